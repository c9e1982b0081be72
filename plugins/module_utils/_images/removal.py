# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removal of what an image has put below a directory of ours: in constant memory, however many files lie in one directory."""

from __future__ import annotations

import os


def remove(folder: str) -> None:
    """The directory and all below it."""
    empty(folder)
    os.rmdir(folder)


def empty(folder: str) -> None:
    """All that is in the directory. Nobody else writes there."""
    removed = True
    # What is removed while a directory is read may hide something of the rest from who reads.
    while removed:
        removed = False
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    remove(entry.path)
                else:
                    os.unlink(entry.path)
                removed = True
