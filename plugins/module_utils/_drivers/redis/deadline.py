# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A limit for the total time of one answer. The timeout of a socket restarts with each byte, so a server could delay forever."""

from __future__ import annotations

import time
import typing as t


class Deadline:
    """The deadline of the answer that is being read."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.begin()

    def begin(self) -> None:
        """Restart the deadline for the next answer."""
        self._until = time.monotonic() + self._seconds

    def left(self) -> float:
        """Return the remaining seconds. Raise TimeoutError if there are none."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"the answer took more than {self._seconds} s")
        return left

    def bind(self, connection: t.Any) -> None:
        """Apply the deadline to all data that this redis-py connection reads, from its first byte on."""
        connect = connection._connect
        connection._connect = lambda: _Bounded(connect(), self)


class _Bounded:
    """A socket for redis-py that limits how long it waits for bytes."""

    def __init__(self, socket: t.Any, deadline: Deadline) -> None:
        self._socket = socket
        self._deadline = deadline
        self._timeout = socket.gettimeout()

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds
        self._socket.settimeout(seconds)

    def recv(self, *given: t.Any) -> bytes:
        self._limit()
        return bytes(self._socket.recv(*given))

    def recv_into(self, *given: t.Any) -> int:
        self._limit()
        return int(self._socket.recv_into(*given))

    def _limit(self) -> None:
        left = self._deadline.left()
        self._socket.settimeout(left if self._timeout is None else min(left, self._timeout))

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self._socket, name)
