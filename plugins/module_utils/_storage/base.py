# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a store of objects can do. Keys are relative paths with `/`; an object appears whole or not at all."""

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
    """Whether a key can have such a part. Temporary names begin with a dot, so no key can have them."""
    return len(name) <= PART_LIMIT and _PART.match(name) is not None


def check_key(key: str) -> str:
    """The key itself; TamperedData when it could lead out of the store or to a temporary name."""
    if not all(is_part(part) for part in key.split("/")):
        raise TamperedData(
            f"{key[:200]!a} is not a valid path in a repository: the file that names it was altered; use another copy of the repository"
        )
    return key


class ObjectWriter(abc.ABC):
    """Bytes on their way in. Leaving the `with` block without `publish` discards them."""

    @abc.abstractmethod
    def write(self, data: bytes) -> int:
        """Append; the number of bytes. Raises StorageError."""

    @abc.abstractmethod
    def publish(self, key: str) -> ObjectStat:
        """Make the bytes durable under `key`. Raises ObjectExists when the key is taken."""

    @abc.abstractmethod
    def discard(self) -> None:
        """Forget the bytes; harmless after `publish`."""

    def __enter__(self) -> ObjectWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: types.TracebackType | None) -> None:
        self.discard()


class Store(abc.ABC):
    """A place for objects. Every method raises StorageError for what the operator must mend."""

    location: str
    # Whether it is of a kind that can lock.
    locks = False
    # How many requests are worth being under way together.
    at_once = 1

    @abc.abstractmethod
    def writer(self, folder: str, key: str | None = None) -> ObjectWriter:
        """A new object whose key will lie in `folder`. Who knows the `key` before the bytes gives it, which spares some stores a copy."""

    @abc.abstractmethod
    def read(self, key: str, limit: int = READ_LIMIT) -> bytes:
        """A small object. Raises ObjectMissing, and StorageError when it is larger than `limit` bytes."""

    def overlapped(self, work: t.Callable[[Item], Result], items: t.Iterable[Item]) -> t.Generator[Result, None, None]:
        """What `work`, which reads here, makes of each item, in their order, and its errors in their turn. Where answers take a while,
        many are awaited together, in threads: close it before a fork."""
        return in_order(work, items, self.at_once)

    @abc.abstractmethod
    def open(self, key: str) -> t.BinaryIO:
        """A stream of any object. Raises ObjectMissing."""

    @abc.abstractmethod
    def stat(self, key: str) -> ObjectStat | None:
        """None when there is no such object."""

    @abc.abstractmethod
    def list(self, prefix: str, after: str = "") -> list[ObjectStat]:
        """Objects in a folder and below whose keys come behind `after`, sorted by key, without temporary ones."""

    @abc.abstractmethod
    def delete(self, key: str) -> None:
        """Remove; harmless when it is gone."""

    def purge(self, key: str) -> None:
        """Remove for good, with whatever else lies under the key; for prunes. Harmless when it is gone."""
        self.delete(key)

    @abc.abstractmethod
    def clear(self, folder: str, *, dry: bool = False) -> int:
        """Remove a folder with all that is below it, also what killed writers left; how many files. With `dry`, only count."""

    def sweep(self, before: datetime.datetime, *, dry: bool = False) -> int:
        """Remove what writers left that were killed before that time; how many. With `dry`, only count."""
        return 0

    def clock(self) -> datetime.datetime | None:
        """The present time by the store's own clock; None where it cannot be asked."""
        return None

    def locked_until(self, key: str) -> datetime.datetime | None:
        """Until when the store itself refuses to delete the object; None where it would not refuse."""
        return None

    def can_hold(self) -> bool:
        """Whether the store itself keeps an object under a legal hold, with no end, from being deleted."""
        return False

    def is_held(self, key: str) -> bool | None:
        """Whether a legal hold is on the object; None where there is no such object, or the store has no such thing."""
        return None

    def hold(self, key: str, on: bool) -> None:  # noqa: B027 - most stores have no such thing
        """Put a legal hold on the object or take it off, where the store has such a thing. Raises ObjectMissing, PermissionMissing."""

    @abc.abstractmethod
    def free_bytes(self) -> int | None:
        """Room for more, or None when there is no bound."""

    @abc.abstractmethod
    def check_writable(self, probe: bool) -> None:
        """Raises StorageError when nothing can be stored; with `probe` by trying."""

    def make_place(self, *, dry: bool = False) -> None:
        """Before a new repository: make the place that it will have. With `dry`, only raise what that would raise. Raises StorageError."""
        self.check_writable(probe=False)

    def prepare(self) -> None:  # noqa: B027 - most stores have nothing to do
        """Before a set is opened: end what killed runs have left, prove what the options ask to be proved. Raises PermissionMissing."""

    def layered(self) -> t.Sequence[str] | None:
        """Keys that have several versions or a delete marker on top, by right or not; None where a store cannot tell."""
        return None

    def versions(self, key: str) -> t.Sequence[Held]:
        """All that lies under a key, the oldest first, also below a delete marker; nothing where nothing does."""
        found = self.stat(key)
        return [Held(key, found.size)] if found else []

    def held(self, folder: str) -> t.Sequence[Held]:
        """All in a folder and below, by key, also what a delete marker hides."""
        return [Held(one.key, one.size) for one in self.list(folder)]

    def open_held(self, one: Held) -> t.BinaryIO:
        """The bytes of that very version, from the first to the last."""
        return self.open(one.key)

    def open_seekable(self, one: Held) -> t.BinaryIO:
        """The same for who reads here and there. Bytes of a large object may be held to no checksum; `open_held` does that."""
        return self.open(one.key)

    def lock_of(self, one: Held) -> Locked:
        """That of the newest version where `version` is empty. Raises PermissionMissing for who may not ask."""
        return NO_LOCK

    def lock_wanted(self, key: str, moment: datetime.datetime) -> Locked:
        """The lock that the options ask for an object of that time. It does not move with the clock, so a second look asks for no more."""
        return NO_LOCK

    def extend(self, key: str, one: Held | None = None) -> None:  # noqa: B027 - most stores lock nothing
        """Keep an object, or just that version of it, as long as if it were written now, where objects are locked. Raises ObjectMissing,
        PermissionMissing."""

    def put_over(self, key: str, data: bytes) -> None:
        """Another version of a small object, where older ones stay. Raises StorageError where a store keeps none."""
        raise StorageError(
            f"{self.location}/{key} cannot be written: an object exists there that no key of allowed_signers signed; find out who "
            "wrote it, and move it away"
        )

    def put(self, key: str, data: bytes) -> ObjectStat:
        """A small object, only if the key is new: raises ObjectExists."""
        with self.writer(key.rpartition("/")[0], key) as out:
            out.write(data)
            return out.publish(key)
