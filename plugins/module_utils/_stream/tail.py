# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of the output of a process, kept in memory.

Errors of database tools contain values of rows, and can be very long, so they are never written to a file.
"""

from __future__ import annotations

import os
import threading

# Seconds to read the output after the end of a process. A process that it left behind may hold the pipe open for longer.
GRACE = 1.0
_CHUNK = 1 << 16


class Tail:
    """Reads a pipe in a thread until its end and keeps the last `limit` bytes.

    The process writes to the descriptor `write`. Call `begin` once the process has a copy, to close it here.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = b""
        self._read, self.write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="tail", daemon=True)

    def begin(self) -> None:
        os.close(self.write)
        self._thread.start()

    def discard(self) -> None:
        """Close both ends if no process was started."""
        os.close(self.write)
        os.close(self._read)

    def kept(self) -> bytes:
        """Return the end of the output, after the process has ended."""
        self._thread.join(GRACE)
        return self._kept

    def _run(self) -> None:
        try:
            while chunk := os.read(self._read, _CHUNK):
                self._kept = (self._kept + chunk)[-self._limit :]
        finally:
            os.close(self._read)
