# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Objects as whoever judges an archive must see them: with versions, delete markers and locks, where the store has such things."""

from __future__ import annotations

import dataclasses
import datetime
import io
import typing as t

from .._errors import StorageError, Unreachable
from . import s3_lock, s3_read
from .base import Store
from .s3 import S3Store
from .s3_client import ATTEMPTS, told

BUFFER = 1 << 18
# A request takes longer than the bytes of a usual hour.
AT_ONCE = 8 << 20
TOLERANCE = s3_lock.TOLERANCE


@dataclasses.dataclass(frozen=True)
class Held:
    """The true version of a key: its size in bytes, how many versions the key has, and whether a delete marker is on top.

    `version` is empty where a store keeps none.
    """

    key: str
    size: int
    version: str = ""
    versions: int = 1
    marked: bool = False

    @property
    def shadowed(self) -> bool:
        return self.marked or self.versions > 1


@dataclasses.dataclass(frozen=True)
class Locked:
    """Mode and end of an object's lock, None where there is none."""

    mode: str | None = None
    until: datetime.datetime | None = None


NO_LOCK = Locked()


def held(store: Store, folder: str) -> list[Held]:
    """All in a folder and below, by key, also what a delete marker hides."""
    if isinstance(store, S3Store):
        return [Held(one.key, one.size, one.version, one.versions, one.marked) for one in store.walk(f"{folder}/")]
    return [Held(one.key, one.size) for one in store.list(folder)]


def locks(store: Store) -> bool:
    """Whether this is a kind of store that can lock."""
    return isinstance(store, S3Store)


def lock_of(store: Store, one: Held) -> Locked:
    """That of the newest version where `version` is empty. Raises PermissionMissing for who may not ask."""
    if not isinstance(store, S3Store):
        return NO_LOCK
    version = {"VersionId": one.version} if one.version else {}
    with told(store.path(one.key)):
        about = store.client.head_object(**store.named(one.key), **version)
    return Locked(about.get("ObjectLockMode"), about.get("ObjectLockRetainUntilDate"))


def wanted(store: Store, key: str, moment: datetime.datetime) -> Locked:
    """The lock that the options ask for an object of that time. It does not move with the clock, so a second look asks for no more."""
    until = store.lock.until(key, moment) if isinstance(store, S3Store) else None
    return Locked(store.lock.mode, until) if isinstance(store, S3Store) and until else NO_LOCK


def suffices(found: Locked, asked: Locked, now: datetime.datetime) -> bool:
    """Whether a lock is as strict and as long as asked. Of what is older than its lock would last, none is asked."""
    if asked.until is None or asked.until <= now:
        return True
    return found.mode in (asked.mode, s3_lock.COMPLIANCE) and found.until is not None and found.until + TOLERANCE >= asked.until


def stream(store: Store, one: Held) -> t.BinaryIO:
    """The bytes of that very version, from the first to the last."""
    if not isinstance(store, S3Store):
        return store.open(one.key)
    return s3_read.opened(_getter(store, one), store.path(one.key))


def seekable(store: Store, one: Held) -> t.BinaryIO:
    """The same for who reads here and there. Bytes of a large object are not held to a checksum; `stream` does that."""
    if not isinstance(store, S3Store):
        return store.open(one.key)
    if one.size <= AT_ONCE:
        with stream(store, one) as whole:
            return io.BytesIO(whole.read())
    ranges = _Ranges(_getter(store, one), one.size, store.path(one.key))
    return t.cast("t.BinaryIO", io.BufferedReader(ranges, BUFFER))


def _getter(store: S3Store, one: Held) -> t.Callable[..., t.Any]:
    return lambda **more: store.client.get_object(**store.named(one.key), VersionId=one.version, **more)


class _Ranges(io.RawIOBase):
    """An object of `size` bytes, each read a request of its own."""

    def __init__(self, get: t.Callable[..., t.Any], size: int, where: str) -> None:
        super().__init__()
        self._get = get
        self._size = size
        self._where = where
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if position < 0:
            raise ValueError(f"{position} is no place in {self._where}")
        self._position = position
        return position

    def readinto(self, buffer: t.Any) -> int:
        end = min(self._position + len(buffer), self._size)
        if end <= self._position:
            return 0
        data = self._read(self._position, end)
        buffer[: len(data)] = data
        self._position = end
        return len(data)

    def _read(self, start: int, end: int) -> bytes:
        for attempt in range(ATTEMPTS):
            try:
                with told(self._where):
                    data = bytes(self._get(Range=f"bytes={start}-{end - 1}")["Body"].read())
            except Unreachable:
                if attempt == ATTEMPTS - 1:
                    raise
                continue
            if len(data) == end - start:
                return data
            break
        raise StorageError(f"{self._where}: the store sent another part than was asked for; try again, or use another copy")
