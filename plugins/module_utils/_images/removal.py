# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removal of the content of an image from a directory, in constant memory even if a directory has very many files."""

from __future__ import annotations

import os


def remove(folder: str) -> None:
    """Remove the directory and everything below it."""
    empty(folder)
    os.rmdir(folder)


def empty(folder: str) -> None:
    """Remove everything in the directory. No other process writes there."""
    removed = True
    # Removing entries while the directory is read can hide other entries from the reader.
    while removed:
        removed = False
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    remove(entry.path)
                else:
                    os.unlink(entry.path)
                removed = True
