# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The users of a sandbox's programs."""

from __future__ import annotations

import grp
import os
import pwd
import random
import stat
import typing as t

from .._errors import MissingDependency, StorageError
from .._stream.process import Identity
from . import processes

# systemd uses the same range for dynamic users, for the same purpose. A container with 65536 IDs includes it.
FREE_IDS = range(61184, 65520)


def server_identity(taken: t.Collection[int] = ()) -> Identity | None:
    """Return a uid that no other process or user has and that is not in `taken`, if this user is root.

    PostgreSQL refuses to run as root. For an ordinary user, return None, which means the user's own uid.
    """
    if os.geteuid() != 0:
        return None
    used = {process.uid for process in processes.everyone()}.union(taken)
    ids = list(FREE_IDS)
    random.SystemRandom().shuffle(ids)
    for number in ids:
        if number not in used and not _named(number):
            return Identity(number, number)
    raise MissingDependency(
        f"no free uid between {FREE_IDS.start} and {FREE_IDS.stop - 1}; end processes that use these uids, or run as an ordinary user"
    )


def check_own_name() -> None:
    """Raise MissingDependency if this ordinary user has no name. initdb requires one."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        raise MissingDependency(
            f"uid {os.geteuid()} has no user name on this host, but initdb needs one; install bubblewrap or use another user"
        ) from None


def named_identity() -> Identity:
    """Return a user with a name, as initdb requires, for use by root: `postgres` if it exists, else `nobody`."""
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Identity(entry.pw_uid, entry.pw_gid)
    raise MissingDependency("no suitable user for initdb exists; create the user postgres or install bubblewrap")


def _named(number: int) -> bool:
    for known in (pwd.getpwuid, grp.getgrgid):
        try:
            known(number)
        except KeyError:
            continue
        return True
    return False


def blocking_folder(path: str, identity: Identity) -> str | None:
    """Return the first directory on the way to `path`, including `path`, that `identity` cannot enter, or None."""
    for folder in _ancestors(path):
        mode = os.stat(folder)
        if mode.st_uid == identity.uid:
            allowed = mode.st_mode & stat.S_IXUSR
        elif mode.st_gid == identity.gid:
            allowed = mode.st_mode & stat.S_IXGRP
        else:
            allowed = mode.st_mode & stat.S_IXOTH
        if not allowed:
            return folder
    return None


def _ancestors(path: str) -> t.Iterator[str]:
    parts = os.path.realpath(path).strip("/").split("/")
    for count in range(len(parts) + 1):
        yield "/" + "/".join(parts[:count])


def give(path: str, identity: Identity | None) -> None:
    """Make `identity` the owner of `path` and everything below it."""
    if identity is None:
        return
    try:
        os.chown(path, identity.uid, identity.gid, follow_symlinks=False)
        # An image may have filled it with directories too deep for recursion.
        waiting = [path]
        while waiting:
            for entry in os.scandir(waiting.pop()):
                os.chown(entry.path, identity.uid, identity.gid, follow_symlinks=False)
                waiting += [entry.path] if entry.is_dir(follow_symlinks=False) else []
    except OSError as exc:
        raise StorageError(f"cannot change the owner of {path} to uid {identity.uid}: {exc.strerror}; use a local file system") from exc
