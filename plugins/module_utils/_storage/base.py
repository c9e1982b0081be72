# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The interface of object stores. Keys are relative paths with `/`; an object appears completely or not at all."""

from __future__ import annotations

import abc
import dataclasses
import datetime
import re
import types
import typing as t

from .._errors import StorageError, TamperedData
from .archived import NO_LOCK, Held, Locked
from .overlapped import Item, Result, in_order

READ_LIMIT = 16 << 20
PART_LIMIT = 255
_PART = re.compile(r"[A-Za-z0-9_~\-][A-Za-z0-9._~\-]*\Z")


@dataclasses.dataclass(frozen=True)
class ObjectStat:
    """Key and size in bytes of a stored object."""

    key: str
    size: int


def is_part(name: str) -> bool:
    """Return whether a key can have this part. Temporary names begin with a dot, so no key can have them."""
    return len(name) <= PART_LIMIT and _PART.match(name) is not None


def check_key(key: str) -> str:
    """Return the key if it is valid. Raises TamperedData if it could lead out of the store or to a temporary name."""
    if not all(is_part(part) for part in key.split("/")):
        raise TamperedData(
            f"{key[:200]!a} is not a valid path in a repository: the file that names it was altered; use another copy of the repository"
        )
    return key


class ObjectWriter(abc.ABC):
    """A writer of a new object. Leaving the `with` block without `publish` discards the bytes."""

    @abc.abstractmethod
    def write(self, data: bytes) -> int:
        """Append and return the number of bytes. Raises StorageError."""

    @abc.abstractmethod
    def publish(self, key: str) -> ObjectStat:
        """Make the bytes durable under `key`. Raises ObjectExists if the key is in use."""

    @abc.abstractmethod
    def discard(self) -> None:
        """Discard the bytes. Harmless after `publish`."""

    def __enter__(self) -> ObjectWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: types.TracebackType | None) -> None:
        self.discard()


class Store(abc.ABC):
    """A store of objects. Every method raises StorageError for a problem that the operator must fix."""

    location: str
    # True if this type of store supports locks.
    locks = False
    # The number of requests worth running at the same time.
    at_once = 1

    @abc.abstractmethod
    def writer(self, folder: str, key: str | None = None) -> ObjectWriter:
        """Return a writer for a new object in `folder`. Pass `key` if it is known before the content: some stores then need no copy."""

    @abc.abstractmethod
    def read(self, key: str, limit: int = READ_LIMIT) -> bytes:
        """Return a small object. Raises ObjectMissing, and StorageError if it is larger than `limit` bytes."""

    def overlapped(self, work: t.Callable[[Item], Result], items: t.Iterable[Item]) -> t.Generator[Result, None, None]:
        """Yield the result of `work` for each item, in the order of the items. Errors are raised in the same order.

        `work` reads from this store. In a store with latency, it runs in several threads, so close the generator before
        a fork.
        """
        return in_order(work, items, self.at_once)

    @abc.abstractmethod
    def open(self, key: str) -> t.BinaryIO:
        """Return a stream of an object of any size. Raises ObjectMissing."""

    @abc.abstractmethod
    def stat(self, key: str) -> ObjectStat | None:
        """Return key and size of an object, or None if it does not exist."""

    @abc.abstractmethod
    def list(self, prefix: str, after: str = "") -> list[ObjectStat]:
        """Return the objects in a directory and below with keys after `after`, sorted by key. Temporary objects are left out."""

    @abc.abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object. Harmless if it does not exist."""

    def purge(self, key: str) -> None:
        """Remove all versions of an object permanently; used by prunes. Harmless if it does not exist."""
        self.delete(key)

    @abc.abstractmethod
    def clear(self, folder: str, *, dry: bool = False) -> int:
        """Remove a directory with everything below it, including leftovers of killed writers. Returns the number of files.

        With `dry`, only count.
        """

    def sweep(self, before: datetime.datetime, *, dry: bool = False) -> int:
        """Remove leftovers of writers that were killed before that time. Returns their number. With `dry`, only count."""
        return 0

    def clock(self) -> datetime.datetime | None:
        """Return the current time of the store's own clock, or None if it is not available."""
        return None

    def locked_until(self, key: str) -> datetime.datetime | None:
        """Return the time until which the store refuses to delete the object, or None without a lock."""
        return None

    def can_hold(self) -> bool:
        """Return whether the store supports legal holds. They prevent deletion of an object without an end date."""
        return False

    def is_held(self, key: str) -> bool | None:
        """Return whether the object has a legal hold. Returns None if there is no such object, or without support for legal holds."""
        return None

    def hold(self, key: str, on: bool) -> None:  # noqa: B027 - most stores have no such thing
        """Place or remove a legal hold, if the store supports it. Raises ObjectMissing, PermissionMissing."""

    @abc.abstractmethod
    def free_bytes(self) -> int | None:
        """Return the free space in bytes, or None if there is no limit."""

    @abc.abstractmethod
    def check_writable(self, probe: bool) -> None:
        """Raise StorageError if nothing can be stored. With `probe`, try to write."""

    def make_place(self, *, dry: bool = False) -> None:
        """Create the location of a new repository. With `dry`, only raise the errors of a real call. Raises StorageError."""
        self.check_writable(probe=False)

    def prepare(self) -> None:  # noqa: B027 - most stores have nothing to do
        """Prepare for a new set: remove leftovers of killed runs, and run the probes that the options enable. Raises PermissionMissing."""

    def layered(self) -> t.Sequence[str] | None:
        """Return all keys with several versions or a delete marker on top, allowed or not; None if the store has no versions."""
        return None

    def versions(self, key: str) -> t.Sequence[Held]:
        """Return all versions of a key, oldest first, including versions below a delete marker. Empty if there are none."""
        found = self.stat(key)
        return [Held(key, found.size)] if found else []

    def held(self, folder: str) -> t.Sequence[Held]:
        """Return all objects in a directory and below, by key, including those hidden by a delete marker."""
        return [Held(one.key, one.size) for one in self.list(folder)]

    def open_held(self, one: Held) -> t.BinaryIO:
        """Return a stream of exactly this version, read from start to end."""
        return self.open(one.key)

    def open_seekable(self, one: Held) -> t.BinaryIO:
        """Return a seekable stream of this version.

        The bytes of a large object may not be compared with a checksum; use `open_held` for that.
        """
        return self.open(one.key)

    def lock_of(self, one: Held) -> Locked:
        """Return the lock of a version, or of the newest version if `version` is empty. Raises PermissionMissing."""
        return NO_LOCK

    def lock_wanted(self, key: str, when: datetime.datetime) -> Locked:
        """Return the lock that the options require for an object created at `when`.

        It does not depend on the current time, so a later check requires the same lock.
        """
        return NO_LOCK

    def extend(self, key: str, one: Held | None = None) -> None:  # noqa: B027 - most stores lock nothing
        """Extend the lock of an object, or only of one version, as if it were written now. Does nothing if objects are not locked.

        Raises ObjectMissing, PermissionMissing.
        """

    def put_over(self, key: str, data: bytes) -> None:
        """Write a new version of a small object and keep the older versions. Raises StorageError if the store has no versions."""
        raise StorageError(
            f"{self.location}/{key} cannot be written: an object exists there that no key of allowed_signers signed; find out who "
            "wrote it, and move it away"
        )

    def put(self, key: str, data: bytes) -> ObjectStat:
        """Write a small object. Raises ObjectExists if the key is in use."""
        with self.writer(key.rpartition("/")[0], key) as out:
            out.write(data)
            return out.publish(key)
