# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Access to files with the rights of another user: for this thread only, during a `with` block."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import platform
import pwd
import typing as t

from .._errors import PermissionMissing

# The C library's function changes the groups of all threads; the system call changes only this thread.
_SET_GROUPS = {"x86_64": 116, "aarch64": 159, "riscv64": 159, "loongarch64": 159, "ppc64le": 81, "s390x": 206}
_NOBODY = 65534
_GET_SECURE_BITS, _KEEPS_CAPABILITIES = 27, 1 << 2
_UNCHANGED = 0xFFFFFFFF


@contextlib.contextmanager
def of(uid: int) -> t.Iterator[None]:
    """Open, create and remove files as this user. Only root can become another user; for other users nothing changes.

    Raises PermissionMissing if root cannot give up its rights.
    """
    if uid == os.geteuid() or os.geteuid() != 0:
        yield
        return
    group, groups = _groups(uid)
    before = os.getgroups()
    try:
        _become(uid, group, groups)
        yield
    finally:
        libc = _libc()
        libc.setfsuid(os.geteuid())
        libc.setfsgid(os.getegid())
        _set_groups(before)


def _become(uid: int, group: int, groups: t.Sequence[int]) -> None:
    libc = _libc()
    _set_groups(groups)
    libc.setfsgid(group)
    libc.setfsuid(uid)
    # Neither call reports a failure; each returns the previous value.
    became = (libc.setfsuid(_UNCHANGED), libc.setfsgid(_UNCHANGED), sorted(os.getgroups())) == (uid, group, sorted(groups))
    if not became or libc.prctl(_GET_SECURE_BITS, 0, 0, 0, 0) & _KEEPS_CAPABILITIES:
        raise PermissionMissing(
            f"root cannot drop its rights to write as user {uid}, who owns a directory; run as that user, "
            "or outside a container that keeps root's rights"
        )


def _set_groups(groups: t.Sequence[int]) -> None:
    number = _SET_GROUPS.get(platform.machine())
    if number is not None and sorted(os.getgroups()) != sorted(groups):
        _libc().syscall(ctypes.c_long(number), ctypes.c_long(len(groups)), (ctypes.c_uint32 * len(groups))(*groups))


@functools.lru_cache
def _groups(uid: int) -> tuple[int, list[int]]:
    """Return the primary group and all groups. A user unknown to this host, such as a container's user, has none of its groups."""
    try:
        found = pwd.getpwuid(uid)
    except KeyError:
        return _NOBODY, []
    return found.pw_gid, os.getgrouplist(found.pw_name, found.pw_gid)


@functools.lru_cache
def _libc() -> ctypes.CDLL:
    found = ctypes.CDLL(None)
    found.setfsuid.restype = found.setfsgid.restype = ctypes.c_uint32
    found.setfsuid.argtypes = found.setfsgid.argtypes = [ctypes.c_uint32]
    return found
