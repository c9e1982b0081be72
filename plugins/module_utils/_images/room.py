# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check of free disk space before an image is unpacked, since other programs need that disk too."""

from __future__ import annotations

import os

from .._errors import NoRoom

# A hundredth of the disk stays free.
LEFT = 100
# The minimum space that a file needs in addition to its bytes.
BLOCK = 4096


def check(folder: str, files: int, size: int) -> None:
    """Raise StorageError unless the disk has space for this number of files and bytes."""
    about = os.statvfs(folder)
    free, needed = about.f_bavail * about.f_frsize, size + files * BLOCK + about.f_blocks * about.f_frsize // LEFT
    if needed > free:
        words = f"the image needs {needed >> 20} MiB to be unpacked, but only {free >> 20} MiB are free"
        raise NoRoom(f"{folder}: {words}; make room there, or name another directory")
    # Some file systems do not count inodes.
    if about.f_files and files + about.f_files // LEFT > about.f_favail:
        raise NoRoom(f"{folder}: the image needs {files} files, but the disk has inodes for only {about.f_favail}; make room there")
