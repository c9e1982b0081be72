# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import users
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream.process import Identity

# More levels than Python's recursion limit, but short enough for a path.
DEPTH = 1500


@pytest.mark.mutation
def test_a_folder_is_given_away_however_deep_it_is(tmp_path: Path) -> None:
    identity = Identity(61190, 61190) if os.geteuid() == 0 else Identity(os.getuid(), os.getgid())
    at = os.open(tmp_path, os.O_RDONLY)
    for _level in range(DEPTH):
        os.mkdir("d", dir_fd=at)
        above, at = at, os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(above)
    try:
        users.give(str(tmp_path), identity)
        assert (os.fstat(at).st_uid, os.fstat(at).st_gid) == (identity.uid, identity.gid)
    finally:
        os.close(at)
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)
