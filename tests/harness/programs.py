# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs that every user can start: a clone may lie in somebody's private folder, and tests work as other users."""

from __future__ import annotations

import functools
import os
import shutil

from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import users
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream.process import Identity
from harness import runs

# Any other user, of none of our groups.
NOBODY = Identity(65534, 65534)


@functools.cache
def reachable(folder: str) -> str:
    """The folder itself, or a copy of it that every user can reach, made once in a run and removed with it."""
    if users.blocking_folder(folder, NOBODY) is None:
        return folder
    place = runs.folder("programs")
    os.chmod(place, 0o755)
    copy = os.path.join(place, os.path.basename(folder))
    shutil.copytree(folder, copy, symlinks=True)
    return copy


def path() -> str:
    """`PATH`, with a bubblewrap in front that every user can start."""
    bwrap = shutil.which("bwrap")
    folder = os.path.dirname(os.path.realpath(bwrap)) if bwrap else ""
    return os.pathsep.join([*([reachable(folder)] if folder else []), os.environ["PATH"]])
