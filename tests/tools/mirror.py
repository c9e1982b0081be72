# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copy the files that git would add from the clone into the work area, and remove there what was deleted from the clone."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tools.area import COLLECTION

# ansible-test keeps its results and a virtual environment there between runs.
KEPT = "tests/output"


class MirrorFailed(Exception):
    """The clone cannot be listed."""


def listed(clone: Path) -> list[str]:
    """Return the paths of tracked files and of new files that are not ignored, without deleted files."""
    # The clone may belong to another user than the one who runs make, such as root in a user's checkout.
    command = ["git", "-c", f"safe.directory={clone}", "-C", str(clone), "ls-files", "-coz", "--exclude-standard"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise MirrorFailed("git is missing: install it (Debian: apt-get install git)") from error
    if done.returncode != 0:
        raise MirrorFailed(f"{clone} is not a clone that git can list: {os.fsdecode(done.stderr).strip()}")
    names = [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]
    return sorted({name for name in names if os.path.lexists(clone / name)})


def mirror(clone: Path, area: Path) -> Path:
    """Make the collection folder in `area` equal to the clone, except `tests/output`; return that folder."""
    target = area / COLLECTION
    names = listed(clone)
    if nested := [name for name in names if name.endswith("/")]:
        raise MirrorFailed(f"{clone / nested[0]} is a git repository inside of this one; move it out, or add it to .gitignore")
    _remove_foreign(target, set(names))
    for name in names:
        _copy(clone / name, target / name)
    return target


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not source.is_symlink() and target.is_file() and not target.is_symlink():
        one, two = source.stat(), target.stat()
        if (one.st_size, one.st_mtime_ns, one.st_mode) == (two.st_size, two.st_mtime_ns, two.st_mode):
            return
    target.unlink(missing_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)


def _remove_foreign(target: Path, names: set[str]) -> None:
    for folder, folders, files in os.walk(target, topdown=False):
        here = Path(folder).relative_to(target)
        if here.as_posix() == KEPT or here.as_posix().startswith(f"{KEPT}/"):
            continue
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in files + links:
            if (here / name).as_posix() not in names:
                (Path(folder) / name).unlink()
        if Path(folder) != target and not os.listdir(folder):
            os.rmdir(folder)
