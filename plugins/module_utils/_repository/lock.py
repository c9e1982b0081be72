# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock of what a host keeps beside its high-water mark. It is a file that nobody else may open: a folder, or a file that others may
read, they could keep locked."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import typing as t

from .._files import trusted
from .._files.folder import Folder


def exclusive(mark: str) -> contextlib.AbstractContextManager[None]:
    """Only for one who writes. Raises OSError, also where the lock is another user's."""
    return _locked(mark, fcntl.LOCK_EX, create=True)


def shared(mark: str) -> contextlib.AbstractContextManager[None]:
    """For those who read, while nobody writes; makes nothing. Raises OSError, also where nobody has written yet."""
    return _locked(mark, fcntl.LOCK_SH, create=False)


@contextlib.contextmanager
def _locked(mark: str, how: int, *, create: bool) -> t.Iterator[None]:
    path = f"{os.path.abspath(mark)}.lock"
    with trusted.folder(os.path.dirname(path)) as folder:
        descriptor = _opened(folder, os.path.basename(path), create)
    try:
        if not trusted.is_private(descriptor):
            raise OSError(errno.EPERM, f"{path} belongs to another user, who could keep it locked")
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _opened(folder: Folder, name: str, create: bool) -> int:
    if create:
        with contextlib.suppress(FileExistsError):
            return folder.create(name)
    return folder.open(name)
