# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A terminal for a program, and a file with its output."""

from __future__ import annotations

import contextlib
import os
import pty
import threading
import typing as t


class Terminal:
    """Use `fd` for the program, then `given`. The terminal ends with the last process that has it open."""

    def __init__(self, log: t.BinaryIO) -> None:
        self._seen, self.fd = pty.openpty()
        self._log = os.dup(log.fileno())
        self._reader = threading.Thread(target=self._read, daemon=True)

    def given(self) -> None:
        os.close(self.fd)
        self._reader.start()

    def _read(self) -> None:
        # When no process has the terminal open any more, its reader gets an error.
        with contextlib.suppress(OSError):
            while data := os.read(self._seen, 1 << 16):
                os.write(self._log, data)
        os.close(self._seen)
        os.close(self._log)

    def ended(self) -> None:
        self._reader.join(60)
