# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection that breaks: a relay to a real server that stops after a number of bytes."""

from __future__ import annotations

import contextlib
import socket
import threading


class CutProxy:
    """Listens on `port` of 127.0.0.1. It passes `to_server` or `to_client` bytes and then nothing more."""

    def __init__(self, path: str, *, to_server: int = 1 << 40, to_client: int = 1 << 40) -> None:
        self._path = path
        self._left = {"to_server": to_server, "to_client": to_client}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._path)
                self._open += [client, server]
                threading.Thread(target=self._relay, args=(client, server, "to_server"), daemon=True).start()
                threading.Thread(target=self._relay, args=(server, client, "to_client"), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                sink.sendall(data[: self._left[way]])
                self._left[way] -= len(data)
                if self._left[way] <= 0:
                    self.cut()

    def cut(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
