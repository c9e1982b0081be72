# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pipes between threads, and copying from a reader to a sink."""

from __future__ import annotations

import fcntl
import os
import typing as t

CHUNK = 1 << 20
# The amount that stages pass on at a time. Smaller writes of a tool are collected: each stage has a cost per call, and
# this amount stays in a cache.
PIECE = 1 << 18
F_SETPIPE_SZ = 1031


class Reader(t.Protocol):
    def read(self, size: int, /) -> bytes: ...


class Sink(t.Protocol):
    def write(self, data: bytes, /) -> t.Any: ...


class Both:
    """A sink that passes all data to one sink, then to another."""

    def __init__(self, first: Sink, second: Sink) -> None:
        self._first = first
        self._second = second

    def write(self, data: bytes) -> None:
        self._first.write(data)
        self._second.write(data)


class Pieces:
    """A reader of pieces of any length."""

    def __init__(self, pieces: t.Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._pending = memoryview(b"")

    def read(self, size: int) -> bytes:
        while not self._pending:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._pending = memoryview(piece)
        part, self._pending = self._pending[:size], self._pending[size:]
        return bytes(part)


def large_pipe() -> tuple[int, int]:
    """Return a pipe (read end, write end) of 1 MiB, so that the stages at its ends seldom wait for each other."""
    read_end, write_end = os.pipe()
    enlarge(write_end)
    return read_end, write_end


def enlarge(fd: int) -> None:
    """Enlarge a pipe to 1 MiB if the system allows it. A small pipe is slower, but works."""
    try:
        fcntl.fcntl(fd, F_SETPIPE_SZ, CHUNK)
    except OSError:
        return


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def copy(source: Reader, sink: Sink) -> int:
    """Copy all of `source` to `sink` and return the number of bytes."""
    total = 0
    while True:
        chunk = source.read(PIECE)
        if not chunk:
            return total
        sink.write(chunk)
        total += len(chunk)
