# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Detection of users, other than root and the current user, who could exchange a file or a directory."""

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
    """A change that another user could make: the path, a description, and the command that prevents it."""

    place: str
    words: str
    remedy: str


def of(descriptor: int, about: os.stat_result, path: str) -> Doubt | None:
    """Return the doubt about an open file or directory, but not about the directories above it.

    A directory with the sticky bit is not in doubt: each file in it is protected by its own owner.
    """
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
    """Return whether the group is root's, or has this user's name, without any other user as a member or with it as primary group."""
    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(0 if gid == 0 else os.geteuid())
    except KeyError:
        return gid == 0
    own = (user.pw_uid, os.geteuid())
    others = {one.pw_name for one in pwd.getpwall() if one.pw_gid == gid and one.pw_uid not in own and not _is_of_system(one)}
    is_ours = gid == 0 or (group.gr_name, gid) == (user.pw_name, user.pw_gid)
    return is_ours and set(group.gr_mem) <= {user.pw_name} and not others


def _is_of_system(user: pwd.struct_passwd) -> bool:
    """Return whether it is a system user in root's group. Programs of the system have that group, and system users have a low uid."""
    return user.pw_gid == 0 and user.pw_uid < _FIRST_USER


def _has_list(descriptor: int) -> bool:
    """Return whether the group bits represent an access control list, which may name any user."""
    try:
        return bool(os.getxattr(f"/proc/self/fd/{descriptor}", "system.posix_acl_access"))
    except OSError:
        return False


def _me() -> str:
    return "root" if os.geteuid() == 0 else str(os.geteuid())
