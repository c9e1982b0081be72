# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock for the files next to a host's high-water mark.

The lock is a private file. Other users could hold a lock on a directory, or on a file that they can read.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import typing as t

from .._files import trusted
from .._files.folder import Folder


def exclusive(mark: str) -> contextlib.AbstractContextManager[None]:
    """Lock for writing. Raises OSError, also if the lock file belongs to another user."""
    return _locked(mark, fcntl.LOCK_EX, create=True)


def shared(mark: str) -> contextlib.AbstractContextManager[None]:
    """Lock for reading, which excludes writers. Creates nothing. Raises OSError, also if nothing was written yet."""
    return _locked(mark, fcntl.LOCK_SH, create=False)


@contextlib.contextmanager
def _locked(mark: str, how: int, *, create: bool) -> t.Iterator[None]:
    path = f"{os.path.abspath(mark)}.lock"
    with trusted.folder(os.path.dirname(path)) as folder:
        descriptor = _opened(folder, os.path.basename(path), create)
    try:
        if not trusted.is_private(descriptor):
            raise OSError(errno.EPERM, f"{path} is not a file that only this user can write; correct its owner and mode")
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _opened(folder: Folder, name: str, create: bool) -> int:
    if create:
        with contextlib.suppress(FileExistsError):
            return folder.create(name)
    return folder.open(name)
