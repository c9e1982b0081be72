# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The lock of what a host keeps beside its high-water mark. It is a file that nobody else may open: a folder, or a file that others may
read, they could keep locked."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import typing as t

from .._crypto import trusted_files


def exclusive(mark: str) -> contextlib.AbstractContextManager[None]:
    """Only for one who writes. Raises OSError, also where the lock is another user's."""
    return _locked(mark, os.O_RDONLY | os.O_CREAT, fcntl.LOCK_EX)


def shared(mark: str) -> contextlib.AbstractContextManager[None]:
    """For those who read, while nobody writes; makes nothing. Raises OSError, also where nobody has written yet."""
    return _locked(mark, os.O_RDONLY, fcntl.LOCK_SH)


@contextlib.contextmanager
def _locked(mark: str, flags: int, how: int) -> t.Iterator[None]:
    path = f"{mark}.lock"
    # A planted FIFO must not make us wait.
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    try:
        if not trusted_files.is_private(descriptor):
            raise OSError(errno.EPERM, f"{path} is another user's, who could keep it locked")
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
