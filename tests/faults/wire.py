# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A way to a server's socket that ends after so many bytes."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import typing as t

PIECE = 1 << 14


class Wire:
    """Listens at `path` and passes everything on to `target`, both ways, until `budget` bytes have passed; then all ways are closed."""

    def __init__(self, path: str, target: str, budget: int) -> None:
        self._target, self._left = target, budget
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        os.chmod(path, 0o777)
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _address = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._target)
            except OSError:
                return
            with self._lock:
                self._open += [near, far]
                if self._left <= 0:
                    self._cut()
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(PIECE):
                with self._lock:
                    self._left -= len(data)
                    if self._left <= 0:
                        self._cut()
                        return
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _cut(self) -> None:
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            self._cut()
            for one in self._open:
                one.close()


@contextlib.contextmanager
def cut_after(budget: int, path: str, target: str) -> t.Iterator[None]:
    wire = Wire(path, target, budget)
    try:
        yield
    finally:
        wire.close()
        os.unlink(path)
