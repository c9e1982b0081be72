# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs that every user can start: a clone may lie in somebody's private folder, and tests work as other users."""

from __future__ import annotations

import functools
import os
import shutil
import stat
from pathlib import Path

from unit import runs


def is_open(path: str) -> bool:
    """Whether every user gets there."""
    real = Path(os.path.realpath(path))
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (real, *real.parents))


@functools.cache
def reachable(folder: str) -> str:
    """The folder itself, or a copy of it that every user can reach, made once in a run and removed with it."""
    if is_open(folder):
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
