# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write small files atomically, in a folder that other users cannot change."""

from __future__ import annotations

import contextlib
import os
import typing as t

from .._errors import StorageError
from .._files import trusted
from .._files.folder import OWN, Folder


def refuse_shared_folder(path: str) -> None:
    """Check the folder of a file. Raises StorageError if it does not exist, and KeyProblem if another user could replace its files."""
    _folder(path)[0].close()


def write_new(path: str, text: str) -> bool:
    """Write a new file. Returns False, and writes nothing, if it exists. Raises the same errors."""
    folder, name = _folder(path)
    with _translated_errors(path), folder:
        return folder.add(name, text.encode("ascii"))


def replace(path: str, text: str, mode: int = OWN) -> None:
    """Replace a file atomically, or create it. Raises the same errors."""
    folder, name = _folder(path)
    with _translated_errors(path), folder:
        folder.replace(name, text.encode("ascii"), mode)


def _folder(path: str) -> tuple[Folder, str]:
    above, name = os.path.split(os.path.abspath(path))
    try:
        return trusted.folder(above), name
    except OSError as exc:
        raise StorageError(
            f"{above} cannot be opened: {exc.strerror}; create this directory with mode 0700 for keys and lists of keys"
        ) from exc


@contextlib.contextmanager
def _translated_errors(path: str) -> t.Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StorageError(f"{path} cannot be written: {exc.strerror}; check its directory and the free space") from exc
