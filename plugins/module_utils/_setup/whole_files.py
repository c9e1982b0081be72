# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Small files that appear whole or not at all, in a folder that nobody else may write."""

from __future__ import annotations

import contextlib
import os
import secrets
import typing as t

from .._crypto import trusted_files
from .._errors import StorageError


def refuse_shared_folder(path: str) -> None:
    """Raises StorageError when the folder of a file is not there, KeyProblem when somebody else could exchange what lies in it."""
    folder = os.path.dirname(os.path.abspath(path))
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise StorageError(f"{folder} cannot be opened: {exc.strerror}; make the folder, mode 0700, for keys and lists of keys") from exc
    try:
        trusted_files.refuse_public(descriptor, folder)
    finally:
        os.close(descriptor)


def write_new(path: str, text: str) -> bool:
    """False, and nothing written, when the file is there already."""
    with _written(path, text, 0o600) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
    return True


def replace(path: str, text: str, mode: int = 0o600) -> None:
    """In one step, whatever was there before."""
    with _written(path, text, mode) as temporary:
        os.replace(temporary, path)


@contextlib.contextmanager
def _written(path: str, text: str, mode: int) -> t.Iterator[str]:
    """Beside its place, under a name that is removed again; on disk."""
    temporary = f"{path}.{secrets.token_hex(8)}.new"
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    except OSError as exc:
        raise StorageError(f"{path} cannot be written: {exc.strerror}; check its folder and the room there") from exc
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
