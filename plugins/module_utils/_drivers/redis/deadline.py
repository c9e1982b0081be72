# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long one answer may take in all. The timeout of a socket begins anew with each byte, so a server could go on for ever."""

from __future__ import annotations

import time
import typing as t


class Deadline:
    """Of the answer that is waited for."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.begin()

    def begin(self) -> None:
        """Another answer is waited for from now on."""
        self._until = time.monotonic() + self._seconds

    def left(self) -> float:
        """Seconds. Raises TimeoutError when there are none."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"the answer took more than {self._seconds} s")
        return left

    def bind(self, connection: t.Any) -> None:
        """What this connection of redis-py reads has to come in time, from its first byte on."""
        connect = connection._connect
        connection._connect = lambda: _Bounded(connect(), self)


class _Bounded:
    """A socket, whatever redis-py does with it, but for how long it waits for bytes."""

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
