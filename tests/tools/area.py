# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The folder in which the gates work: outside the clone, ending in `ansible_collections/caracal_ops/backup`.

Ansible finds a collection only at such a path. The tool `ansible-test` does not follow a symbolic link to it. Inside a
git-ignored folder of a clone it skips every target and exits with status 0. So each run works on a mirror of the tree
(see `mirror`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import sys
from pathlib import Path

CLONE = Path(__file__).resolve().parents[2]
COLLECTION = Path("ansible_collections/caracal_ops/backup")


class AreaRefused(Exception):
    """The work area cannot be used."""


def path_of(clone: Path) -> Path:
    """Return the path of the work area of this user and this clone; `TMPDIR` moves it. Does not create it."""
    name = hashlib.sha256(os.fsencode(clone)).hexdigest()[:12]
    root = Path(os.environ.get("TMPDIR") or "/var/tmp").resolve()
    return root / f"caracal-ops-{os.getuid()}-{name}"


def make(clone: Path = CLONE) -> Path:
    """Create the work area with mode 0700 if it does not exist. Its name can be guessed, so a folder of another user is refused."""
    area = path_of(clone)
    if area.is_relative_to(clone):
        raise AreaRefused(f"{area} lies inside the clone, where ansible-test would test nothing: set TMPDIR to a folder outside")
    area.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = area.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise AreaRefused(f"{area} is not a private folder of user {os.getuid()}: remove it, or set TMPDIR to another folder")
    return area


if __name__ == "__main__":
    if sys.argv[1:] != ["--remove"]:
        sys.exit("usage: python -m tools.area --remove")
    shutil.rmtree(path_of(CLONE), ignore_errors=True)
