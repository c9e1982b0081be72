# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files with a password. A file that other users can read is refused, since it is not secret."""

from __future__ import annotations

import os
import stat

from .._errors import KeyProblem
from .._files import paths

_OTHERS = 0o077
_PASS = 0o011


def text(path: str, option: str) -> str:
    """Return the content of the file set by `option`. Raises KeyProblem if it is unreadable, or readable by other users."""
    try:
        with paths.reading(path) as stream:
            refuse_shared(stream.fileno(), option, path)
            return stream.read().decode()
    except OSError as exc:
        raise KeyProblem(f"{option} {path} cannot be read: {exc.strerror}; check the path and its owner") from exc
    except UnicodeError:
        raise KeyProblem(f"{option} {path} is not UTF-8 text; write the password to it again") from None


def refuse_shared(descriptor: int, what: str, path: str) -> None:
    """Raise KeyProblem if neither the mode of the open file nor a directory above it excludes group and others.

    Secrets of Caracal have mode 0444 in a directory with mode 0700, since its containers read them as other users.
    """
    about = os.fstat(descriptor)
    if about.st_mode & _OTHERS and not _is_shut_in(descriptor, about.st_uid):
        raise KeyProblem(
            f"{what} {path} has mode {stat.S_IMODE(about.st_mode):04o}, so other users can read it; chmod 600 {path}, or chmod 700 its "
            "directory if containers read it, and consider it leaked"
        )


def _is_shut_in(descriptor: int, owner: int) -> bool:
    """Return whether a directory above the open file lets only its owner pass. Links to the file do not count, only its real path."""
    place = os.path.realpath(f"/proc/self/fd/{descriptor}")
    while place != (place := os.path.dirname(place)):
        try:
            about = os.stat(place)
        except OSError:
            return False
        if not about.st_mode & _PASS and about.st_uid in (0, os.geteuid(), owner):
            return True
    return False
