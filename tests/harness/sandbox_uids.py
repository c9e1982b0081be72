# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""UIDs of sandboxes: after a sandbox has ended, the next may use its UID, also one of another run."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import marker
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import Layout
from harness import runs


def of_others(directory: str) -> set[int]:
    """Return the UIDs in use by all other sandboxes. A sandbox registers its UID before it starts anything."""
    found = set()
    for path in (path for place in runs.PLACES for path in Path(place).glob("caracal-*")):
        with contextlib.suppress(BackupError):
            note = marker.read(Layout.of(str(path))) if str(path) != directory else None
            found |= {note.exclusive_uid} if note is not None and note.exclusive_uid is not None else set()
    return found
