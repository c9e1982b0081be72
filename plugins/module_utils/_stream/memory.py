# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files in memory, for programs that need a path. Their content is never written to a disk."""

from __future__ import annotations

import os

from .._errors import StorageError
from . import pipes


def file(name: str, data: bytes = b"", mode: int = 0o777) -> int:
    """Return the descriptor of a new file. A program of another user, as in a sandbox, can open it only if `mode` permits.

    The limit on the size of files applies to it too. Raises StorageError.
    """
    fd = -1
    try:
        fd = os.memfd_create(name, 0)
        os.fchmod(fd, mode)
        pipes.write_all(fd, data)
    except OSError as exc:
        if fd >= 0:
            os.close(fd)
        raise StorageError(f"cannot create a file of {len(data)} bytes in memory: {exc.strerror}; free memory, or raise ulimit -f") from exc
    return fd
