# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Secrets back into files: each is at any moment whole, the old or the new one, and what is replaced is kept first."""

from __future__ import annotations

import contextlib
import dataclasses
import grp
import os
import pwd
import secrets
import stat
import typing as t

from ..._errors import OptionError, StorageError, TargetRefused
from ..._storage import folders
from .files import TEMPORARY

NEW, SAME, MODE, OTHER = "new", "same", "mode", "other"
INNER_MODE = 0o755  # as the product makes them; what keeps others out is the directory above
PRIVATE = 0o700
# No link is followed, and a planted FIFO does not make us wait.
_PLAIN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A file to be: its name in the bundle, the directory that is restored into and the path below it, permission bits, content."""

    name: str
    top: str
    below: str
    mode: int
    content: bytes = dataclasses.field(repr=False)

    @property
    def path(self) -> str:
        return os.path.join(self.top, self.below)


@dataclasses.dataclass(frozen=True)
class Folder:
    """A folder to be, with or without a file in it: its name in the bundle, and as above. `below` is one name."""

    name: str
    top: str
    below: str
    mode: int

    @property
    def path(self) -> str:
        return os.path.join(self.top, self.below)


@dataclasses.dataclass(frozen=True)
class Owner:
    """Numeric user and group; -1 leaves them as they are."""

    uid: int = -1
    gid: int = -1


def owner(user: str | None, group: str | None) -> Owner:
    """From names or numbers. Raises OptionError."""
    try:
        uid = -1 if user is None else int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
        gid = -1 if group is None else int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError as exc:
        raise OptionError(f"owner or group does not exist here ({exc.args[0]}); give a number or create it") from exc
    return Owner(uid, gid)


def mode(text: str, option: str) -> int:
    """Permission bits from octal text. Raises OptionError."""
    try:
        found = int(text, 8)
    except ValueError:
        found = -1
    if not 0 <= found <= 0o777:
        raise OptionError(f"{option} {text!a} is no octal mode; quote it as '0444'")
    return found


def examine(wanted: Wanted, who: Owner) -> str:
    """What stands in its place: NEW (nothing), SAME, MODE (only permissions or owner differ) or OTHER. Raises TargetRefused for a link."""
    folder = os.path.dirname(wanted.below)
    while folder:
        if os.path.lexists(os.path.join(wanted.top, folder)) and not stat.S_ISDIR(os.lstat(os.path.join(wanted.top, folder)).st_mode):
            raise TargetRefused(f"{wanted.top}/{folder} is no directory; remove it or restore elsewhere")
        folder = os.path.dirname(folder)
    about = _seen(wanted.path)
    if about is None:
        return NEW
    if not stat.S_ISREG(about.st_mode):
        raise TargetRefused(f"{wanted.path} is no plain file; remove it or restore elsewhere")
    if about.st_size != len(wanted.content) or _content(wanted.path, about.st_size) != wanted.content:
        return OTHER
    return SAME if _fits(about, wanted.mode, who) else MODE


def examine_folder(wanted: Folder, who: Owner) -> str:
    """The same for a folder: NEW, SAME or MODE. Raises TargetRefused for a link."""
    about = _seen(wanted.path)
    if about is None:
        return NEW
    if not stat.S_ISDIR(about.st_mode):
        raise TargetRefused(f"{wanted.path} is no directory; remove it or restore elsewhere")
    return SAME if _fits(about, wanted.mode, who) else MODE


def _seen(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise StorageError(f"{path} cannot be looked at: {exc.strerror}; check the path and its owner") from exc


def _fits(about: os.stat_result, mode_bits: int, who: Owner) -> bool:
    return (about.st_mode & 0o777, about.st_uid, about.st_gid) == (
        mode_bits,
        about.st_uid if who.uid < 0 else who.uid,
        about.st_gid if who.gid < 0 else who.gid,
    )


def _content(path: str, size: int) -> bytes:
    try:
        with open(os.open(path, _PLAIN), "rb") as stream:
            return stream.read(size + 1)
    except OSError as exc:
        raise StorageError(f"{path} cannot be read: {exc.strerror}; check its owner") from exc


def foreign(top: str, wanted: t.Sequence[Wanted]) -> list[str]:
    """Files in a directory that the set does not hold."""
    mine = {one.below for one in wanted if one.top == top}
    found = [os.path.relpath(os.path.join(parent, name), top) for parent, _folders, names in os.walk(top) for name in names]
    return sorted(name for name in found if name not in mine and not os.path.basename(name).startswith(TEMPORARY))


def keep(path: str, wanted: Wanted) -> None:
    """Copy the file that will be replaced below `path`, under the name that it has in bundles."""
    old = _content(wanted.path, os.lstat(wanted.path).st_size)
    put(Wanted(wanted.name, path, wanted.name, os.lstat(wanted.path).st_mode & 0o777, old), PRIVATE, PRIVATE, Owner())


def put(wanted: Wanted, top_mode: int, inner_mode: int, who: Owner) -> None:
    """Under another name, durable, then renamed. Folders that are missing are made."""
    try:
        folder(wanted.top, top_mode, who)
        parent = _entered(wanted.top, os.path.dirname(wanted.below), inner_mode, who)
        try:
            _put(wanted, parent, who)
        finally:
            os.close(parent)
    except OSError as exc:
        raise StorageError(f"{wanted.path} cannot be written: {exc.strerror}; check space and owner of its directory") from exc


def put_folder(wanted: Folder, top_mode: int, who: Owner) -> None:
    """Make it if it is missing; its permissions and owner are as wanted then."""
    try:
        folder(wanted.top, top_mode, who)
        made = _entered(wanted.top, wanted.below, wanted.mode, who)
        try:
            os.fchown(made, who.uid, who.gid)
            os.fchmod(made, wanted.mode)
        finally:
            os.close(made)
    except OSError as exc:
        raise StorageError(f"{wanted.path} cannot be made: {exc.strerror}; check space and owner of its directory") from exc


def _entered(top: str, below: str, inner_mode: int, who: Owner) -> int:
    """A folder below `top`, made if missing. The directory may be a service's, which could put a link in the place of a folder in it."""

    def make(name: str, outer: int) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, PRIVATE, dir_fd=outer)
            made = os.open(name, folders.OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=outer)
            try:
                os.fchown(made, who.uid, who.gid)
                os.fchmod(made, inner_mode)
            finally:
                os.close(made)
            os.fsync(outer)

    return folders.walk(top, below, make)


def _put(wanted: Wanted, parent: int, who: Owner) -> None:
    _clear(parent)
    temporary = TEMPORARY + secrets.token_hex(8)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
    try:
        with open(fd, "wb") as out:
            out.write(wanted.content)
            out.flush()
            os.fchown(fd, who.uid, who.gid)
            os.fchmod(fd, wanted.mode)
            os.fsync(fd)
        os.rename(temporary, os.path.basename(wanted.below), src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=parent)
        raise
    os.fsync(parent)


def adjust(wanted: Wanted, who: Owner) -> None:
    """Permissions and owner of a file that holds the right bytes."""
    try:
        parent = folders.enter(wanted.top, os.path.dirname(wanted.below))
        try:
            file = os.open(os.path.basename(wanted.below), _PLAIN, dir_fd=parent)
        finally:
            os.close(parent)
        with open(file, "rb") as stream:
            # Since it was examined, whoever owns the directory may have put a file in its place that is not theirs to give away.
            if not stat.S_ISREG(os.fstat(file).st_mode) or stream.read(len(wanted.content) + 1) != wanted.content:
                raise TargetRefused(f"{wanted.path} was exchanged while it was restored; find out who did, then restore again")
            os.fchown(file, who.uid, who.gid)
            os.fchmod(file, wanted.mode)
    except OSError as exc:
        raise StorageError(f"{wanted.path} cannot get mode {wanted.mode:04o}: {exc.strerror}; run as its owner") from exc


def folder(path: str, mode_bits: int, who: Owner) -> None:
    """Make it if it is missing; one that exists is left as it is. Raises OSError."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, PRIVATE)
        os.chown(path, who.uid, who.gid)
        os.chmod(path, mode_bits)
        folders.sync(os.path.dirname(path))


def permit(path: str, mode_bits: int) -> None:
    """Permissions of a directory that exists."""
    try:
        os.chmod(path, mode_bits)
    except OSError as exc:
        raise StorageError(f"{path} cannot get mode {mode_bits:04o}: {exc.strerror}; run as its owner") from exc


def _clear(parent: int) -> None:
    """What a killed restore left; no other file has such a name."""
    for name in os.listdir(parent):
        if name.startswith(TEMPORARY):
            os.unlink(name, dir_fd=parent)
