# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fake server that asks every client for a password, and stores the answers."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104
# AuthenticationCleartextPassword; AuthenticationMD5Password with a salt.
ASK = {"clear": struct.pack("!ciI", b"R", 8, 3), "md5": struct.pack("!ciI", b"R", 12, 5) + b"salt"}


class Listener:
    """A server that asks every client for a password. `heard` are the answers, `visits` the number of startup packets.

    A sandbox of another test may also connect to the port, but it sends nothing.
    """

    def __init__(self, ask: bytes = ASK["clear"]) -> None:
        self._ask = ask
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.heard: list[bytes] = []
        self.visits = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                guest, _address = self._socket.accept()
                with guest, contextlib.suppress(OSError, struct.error):
                    guest.settimeout(10)
                    self._talk(guest)

    def _talk(self, guest: socket.socket) -> None:
        while True:
            length, code = struct.unpack("!II", guest.recv(8))
            self.visits += 1
            if code not in (SSL_REQUEST, GSS_REQUEST):
                break
            guest.sendall(b"N")
        guest.recv(length - 8)
        guest.sendall(self._ask)
        self.heard.append(guest.recv(4096))

    def close(self) -> None:
        # A thread that waits in accept() holds the socket open; shutdown wakes it.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
