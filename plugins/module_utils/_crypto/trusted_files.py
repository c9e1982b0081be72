# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A file that says whom or what this host believes proves something only while not everybody may write it."""

from __future__ import annotations

import os
import stat

from .._errors import KeyProblem


def refuse_public(descriptor: int, path: str) -> None:
    """Raises KeyProblem when every user of the host may write the file, or somebody else may exchange it, or a folder above it."""
    if os.fstat(descriptor).st_mode & stat.S_IWOTH:
        raise KeyProblem(f"{path} can be written by every user of this host, so it proves nothing; look at it, then chmod o-w {path}")
    place = os.path.abspath(path)
    while place != "/":
        inner, place = place, os.path.dirname(place)
        mode = os.stat(place).st_mode
        if not mode & stat.S_IWOTH:
            continue
        if not mode & stat.S_ISVTX:
            raise KeyProblem(f"every user of this host can exchange {path}, so it proves nothing; look at it, then chmod o-w {place}")
        # What lies there is whose it is to exchange.
        owner = os.lstat(inner).st_uid
        if owner not in (0, os.geteuid()):
            raise KeyProblem(f"user {owner} can exchange {path}, so it proves nothing; look at it, then give {inner} to root")


def is_private(descriptor: int) -> bool:
    """Whether it is a plain file of this user that nobody else may write."""
    about = os.fstat(descriptor)
    return stat.S_ISREG(about.st_mode) and about.st_uid == os.geteuid() and not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
