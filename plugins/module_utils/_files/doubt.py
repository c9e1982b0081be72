# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether anybody but root and the user who runs could exchange a file or a directory, and who."""

from __future__ import annotations

import dataclasses
import functools
import grp
import os
import pwd
import stat

# UID_MIN of all distributions.
_FIRST_USER = 1000


@dataclasses.dataclass(frozen=True)
class Doubt:
    """What another user can change: its path, in which way, and the command that ends it."""

    place: str
    words: str
    remedy: str


def of(descriptor: int, about: os.stat_result, path: str) -> Doubt | None:
    """Of an open file or directory, not of those above it. What is in a directory with the sticky bit counts by its own owner."""
    if about.st_uid not in (0, os.geteuid()):
        return Doubt(path, f"{path} belongs to user {about.st_uid}", f"chown {_me()} {path}")
    if stat.S_ISDIR(about.st_mode) and about.st_mode & stat.S_ISVTX:
        return None
    if about.st_mode & stat.S_IWOTH:
        return Doubt(path, f"every user of this host can write {path}", f"chmod o-w {path}")
    if about.st_mode & stat.S_IWGRP and (not _is_own_group(about.st_gid) or _has_list(descriptor)):
        return Doubt(path, f"group {about.st_gid} can write {path}", f"chmod g-w {path}")
    return None


@functools.lru_cache
def _is_own_group(gid: int) -> bool:
    """Root's, or the group that has this user's name, where no other user is in it: neither as a member nor by their own group."""
    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(0 if gid == 0 else os.geteuid())
    except KeyError:
        return gid == 0
    own = (user.pw_uid, os.geteuid())
    others = {one.pw_name for one in pwd.getpwall() if one.pw_gid == gid and one.pw_uid not in own and not _is_of_system(one)}
    is_ours = gid == 0 or (group.gr_name, gid) == (user.pw_name, user.pw_gid)
    return is_ours and set(group.gr_mem) <= {user.pw_name} and not others


def _is_of_system(user: pwd.struct_passwd) -> bool:
    """Programs of the system have root's group as their own; a user of the system has a low uid."""
    return user.pw_gid == 0 and user.pw_uid < _FIRST_USER


def _has_list(descriptor: int) -> bool:
    """Whether the bits of the group stand for an access control list, which may name anybody."""
    try:
        return bool(os.getxattr(f"/proc/self/fd/{descriptor}", "system.posix_acl_access"))
    except OSError:
        return False


def _me() -> str:
    return "root" if os.geteuid() == 0 else str(os.geteuid())
