# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test which addresses accept a connection: in this network, and at paths as another process sees them."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import selectors
import socket
import time
import typing as t

SECONDS = 3.0
# For a Unix socket, the errors for a full queue and for another socket type also show that it exists.
_REACHED = (0, errno.EAGAIN, errno.EPROTOTYPE)
# linux/openat2.h. The number is the same on all architectures.
_OPENAT2 = 437
_RESOLVE_IN_ROOT = 0x10

# Address family and address, as a socket accepts them.
Addresses = list[tuple[int, t.Any]]


def is_path(address: t.Any) -> bool:
    return isinstance(address, bytes) and not address.startswith(b"\0")


def shown(pid: int, paths: t.Sequence[str]) -> list[bool]:
    """Return for each path whether the process sees a socket there that accepts a connection.

    Raises OSError if this cannot be determined.
    """
    root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return [_accepts(root, os.fsencode(path)) for path in paths]
    finally:
        os.close(root)


def _accepts(root: int, path: bytes) -> bool:
    if not is_path(path):
        return False
    try:
        place = _open_in(root, path)
    except OSError as exc:
        if exc.errno in (errno.ENOSYS, errno.EPERM):  # an older kernel, or a container that forbids the call
            raise
        return False
    try:
        code, _line = _try(socket.AF_UNIX, f"/proc/self/fd/{place}")
        return code in _REACHED
    finally:
        os.close(place)


def _open_in(root: int, path: bytes) -> int:
    """Open a path as a process with that root would resolve it, including links.

    Returns a file descriptor without access to the content.
    """
    how = (ctypes.c_uint64 * 3)(os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
    place: int = ctypes.CDLL(None, use_errno=True).syscall(_OPENAT2, root, path, how, ctypes.sizeof(how))
    if place < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return place


def connected(places: t.Sequence[Addresses]) -> list[bool]:
    """Return for each list whether one of its addresses accepts a connection. All are tried in parallel within a few seconds."""
    reached = [False] * len(places)
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as opened:
        for index, addresses in enumerate(places):
            for family, address in addresses:
                code, line = _try(family, address)
                reached[index] = reached[index] or code in _REACHED
                if line is not None:
                    selector.register(opened.enter_context(line), selectors.EVENT_WRITE, index)
        until = time.monotonic() + SECONDS
        while selector.get_map() and (left := until - time.monotonic()) > 0:
            for key, _events in selector.select(left):
                selector.unregister(key.fileobj)
                line = t.cast(socket.socket, key.fileobj)
                reached[key.data] = reached[key.data] or line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    return reached


def _try(family: int, address: t.Any) -> tuple[int, socket.socket | None]:
    """Return the error code of a connection attempt, and its socket if the attempt is still in progress."""
    try:
        line = socket.socket(family)
    except OSError as exc:  # a kernel without IPv6
        return exc.errno or errno.EAFNOSUPPORT, None
    line.setblocking(False)
    try:
        code = line.connect_ex(address)
    except OSError:  # a path that no client can use
        code = errno.EINVAL
    if code == errno.EINPROGRESS:
        return code, line
    line.close()
    return code, None
