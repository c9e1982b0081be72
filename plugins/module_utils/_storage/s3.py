# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bucket, or what lies below a prefix of it, as a store. Versions make it honest: the true one of a key is read, whatever was put
on top; locks are asked for with each write, and read back."""

from __future__ import annotations

import datetime
import os
import secrets
import time
import typing as t

from .._errors import ObjectMissing, StorageError
from . import s3_client, s3_holds, s3_lock, s3_prepare, s3_ranges, s3_read, s3_versions
from .archived import NO_LOCK, Held, Locked
from .base import READ_LIMIT, ObjectStat, ObjectWriter, Store, check_key, is_part
from .s3_client import Connection, told
from .s3_lock import Lock
from .s3_upload import S3Writer
from .s3_versions import Found


class S3Store(Store):
    """`prefix` has no slash at either end. It may be used after a fork: each process has a connection of its own."""

    locks = True
    at_once = s3_client.CONNECTIONS
    clock = s3_prepare.clock

    def __init__(self, bucket: str, prefix: str, connection: Connection, lock: Lock, probe: bool = False) -> None:
        self.location = f"s3://{bucket}/{prefix}".rstrip("/")
        self.bucket = bucket
        self.root = f"{prefix}/" if prefix else ""
        self.lock = lock
        self._connection = connection
        self._probe = probe
        self._client: tuple[int, t.Any] = (0, None)
        self._kept: dict[str, Found] = {}
        self._lockable: bool | None = None

    @property
    def client(self) -> t.Any:
        if self._client[0] != os.getpid():
            self._client = (os.getpid(), s3_client.connect(self.location, self._connection))
        return self._client[1]

    def path(self, key: str) -> str:
        """Where a key lies, for messages and for people."""
        return f"{self.location}/{key}" if key else self.location

    def named(self, key: str) -> dict[str, str]:
        """The object in a request."""
        return {"Bucket": self.bucket, "Key": self.root + key}

    def writer(self, folder: str, key: str | None = None) -> ObjectWriter:
        return S3Writer(self, key)

    def open(self, key: str) -> t.BinaryIO:
        return s3_read.opened(self._getter(key, self._existing(key).version), self.path(key))

    def _getter(self, key: str, version: str) -> t.Callable[..., t.Any]:
        return lambda **more: self.client.get_object(**self.named(key), VersionId=version, **more)

    def read(self, key: str, limit: int = READ_LIMIT) -> bytes:
        with self.open(key) as stream:
            data = stream.read(limit + 1)
        if len(data) > limit:
            raise StorageError(f"{self.path(key)} is larger than {limit} bytes; it is not what its name says, use another copy")
        return data

    def stat(self, key: str) -> ObjectStat | None:
        found = self._find(key)
        return ObjectStat(key, found.size) if found else None

    def list(self, prefix: str, after: str = "") -> list[ObjectStat]:
        found = []
        for one in self.walk(f"{prefix.rstrip('/')}/" if prefix else "", after):
            if one.key <= after or not all(is_part(part) for part in one.key.split("/")):
                continue
            if s3_lock.is_kept(one.key):
                self._kept[one.key] = one
            if not one.marked or s3_lock.class_of(one.key) == "journal":
                found.append(ObjectStat(one.key, one.size))
        return sorted(found, key=lambda one: one.key)

    def delete(self, key: str) -> None:
        """A delete marker: under Object Lock, a writer cannot remove a version."""
        with told(self.path(key)):
            self.client.delete_object(**self.named(key))

    def purge(self, key: str) -> None:
        with told(self.path(key)):
            for version in s3_versions.ids(self.client, self.bucket, self.root + key):
                self.client.delete_object(**self.named(key), VersionId=version)
        self._kept.pop(key, None)

    def clear(self, folder: str, *, dry: bool = False) -> int:
        found = [one.key for one in self.list(folder)]
        uploads = list(s3_prepare.uploads(self, f"{folder}/"))
        if not dry:
            for key in found:
                self.delete(key)
            for one in uploads:
                s3_prepare.abort(self, one)
        return len(found) + len(uploads)

    def sweep(self, before: datetime.datetime, *, dry: bool = False) -> int:
        return s3_prepare.abort_begun(self, before, dry=dry)

    def locked_until(self, key: str) -> datetime.datetime | None:
        found = self._find(key)
        until = self.lock_of(Held(key, found.size, found.version)).until if found else None
        return until if until and until > self.now() else None

    def can_hold(self) -> bool:
        if self._lockable is None:
            self._lockable = s3_prepare.has_lock(self)
        return self._lockable

    def is_held(self, key: str) -> bool | None:
        found = self._find(key) if self.can_hold() else None
        return s3_holds.is_on(self, found) if found else None

    def hold(self, key: str, on: bool) -> None:
        if self.can_hold():
            s3_holds.put(self, self._existing(key), on)

    def free_bytes(self) -> int | None:
        return None

    def check_writable(self, probe: bool) -> None:
        s3_prepare.check_bucket(self)
        if probe:
            s3_prepare.probe_write(self)

    def prepare(self) -> None:
        self.sweep(self.now() - s3_prepare.UPLOAD_AGE)
        if self._probe:
            s3_prepare.prove_lock(self)

    def layered(self) -> t.Sequence[str]:
        return [one.key for one in self.walk("") if one.marked or one.versions > 1]

    def put_over(self, key: str, data: bytes) -> None:
        out = S3Writer(self, key)
        out.write(data)
        out.publish_over(key)
        self._kept.pop(key, None)

    def held(self, folder: str) -> t.Sequence[Held]:
        return [Held(one.key, one.size, one.version, one.versions, one.marked) for one in self.walk(f"{folder}/")]

    def versions(self, key: str) -> t.Sequence[Held]:
        return s3_versions.of_key(self.client, self.bucket, self.root, check_key(key), self.path(key))

    def open_held(self, one: Held) -> t.BinaryIO:
        return s3_read.opened(self._getter(one.key, one.version), self.path(one.key))

    def open_seekable(self, one: Held) -> t.BinaryIO:
        return s3_ranges.seekable(self._getter(one.key, one.version), one.size, self.path(one.key))

    def lock_of(self, one: Held) -> Locked:
        version = {"VersionId": one.version} if one.version else {}
        with told(self.path(one.key)):
            about = self.client.head_object(**self.named(one.key), **version)
        return Locked(about.get("ObjectLockMode"), about.get("ObjectLockRetainUntilDate"))

    def lock_wanted(self, key: str, moment: datetime.datetime) -> Locked:
        until = self.lock.until(key, moment)
        return Locked(self.lock.mode, until) if until else NO_LOCK

    def extend(self, key: str, one: Held | None = None) -> None:
        found = one or self._existing(key)
        wanted = self.lock.until(key, self.now())
        if wanted is None:
            return
        version = {**self.named(key), "VersionId": found.version}
        with told(self.path(key)):
            about = self.client.head_object(**version)
            until = about.get("ObjectLockRetainUntilDate")
            if until is None or until < wanted:
                # A stricter mode is not ours to weaken.
                mode = s3_lock.COMPLIANCE if about.get("ObjectLockMode") == s3_lock.COMPLIANCE else self.lock.mode
                self.client.put_object_retention(**version, Retention={"Mode": mode, "RetainUntilDate": wanted})
                about = self.client.head_object(**version)
        self._check_lock(key, about, {"ObjectLockMode": self.lock.mode, "ObjectLockRetainUntilDate": wanted})

    def walk(self, prefix: str, after: str = "") -> t.Iterator[Found]:
        return s3_versions.walk(self.client, self.bucket, self.root, prefix, self.path(prefix), after)

    def _find(self, key: str) -> Found | None:
        if check_key(key) in self._kept:
            return self._kept[key]
        for one in self.walk(key):
            if one.key == key:
                if one.visible and s3_lock.is_kept(key):
                    self._kept[key] = one
                return one if one.visible else None
            if one.key > key:
                break
        return None

    def _existing(self, key: str) -> Found:
        found = self._find(key)
        if found is None:
            raise ObjectMissing(f"{self.path(key)} does not exist; check the repository's address, or use another copy of it")
        return found

    def is_taken(self, key: str) -> bool:
        """Whether a key that is never deleted by right has been written. The store itself sees to all others, and to races."""
        return s3_lock.is_kept(key) and self._find(key) is not None

    def lock_arguments(self, key: str) -> dict[str, t.Any]:
        return self.lock.arguments(key, self.now())

    def confirm(self, key: str, made: t.Mapping[str, t.Any], size: int, checksum: str, asked: t.Mapping[str, t.Any]) -> None:
        """The very version that was made, read back: size, checksum, and the lock that was `asked` for. Raises StorageError."""
        version = made.get("VersionId")
        if not version or version == "null":
            raise StorageError(f"{self.path(key)}: the bucket keeps no versions; switch versioning on")
        with told(self.path(key)):
            about = self.client.head_object(**self.named(key), VersionId=version, ChecksumMode="ENABLED")
        if about["ContentLength"] != size or about.get("ChecksumSHA256") != checksum:
            raise StorageError(
                f"{self.path(key)}: the store holds {about['ContentLength']} bytes with SHA-256 {about.get('ChecksumSHA256')} instead of "
                f"{size} with {checksum}; try again, and use a store that keeps SHA-256 checksums"
            )
        self._check_lock(key, about, asked)

    def _check_lock(self, key: str, about: t.Mapping[str, t.Any], asked: t.Mapping[str, t.Any]) -> None:
        if not asked.get("ObjectLockMode"):
            return
        wanted, mode, until = asked["ObjectLockRetainUntilDate"], about.get("ObjectLockMode"), about.get("ObjectLockRetainUntilDate")
        if mode not in (asked["ObjectLockMode"], s3_lock.COMPLIANCE) or until is None or until + s3_lock.TOLERANCE < wanted:
            raise StorageError(
                f"{self.path(key)} is locked {mode or 'not at all'} until {until or 'never'}, not {asked['ObjectLockMode']} until "
                f"{wanted}; check the Object Lock of the bucket"
            )

    @staticmethod
    def now() -> datetime.datetime:
        return datetime.datetime.now(datetime.timezone.utc)

    @staticmethod
    def pause(attempt: int) -> None:
        time.sleep((1 << attempt) * (0.1 + secrets.randbelow(100) / 1000))
