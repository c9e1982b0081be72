# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bucket, or a prefix in a bucket, as a store.

Versions protect its content: the true version of a key is read, even if other versions or a delete marker are on top of
it. Each write requests a lock and reads it back.
"""

from __future__ import annotations

import datetime
import typing as t

from .._errors import ObjectMissing, StorageError
from . import s3_client, s3_holds, s3_lock, s3_prepare, s3_ranges, s3_read, s3_versions
from .archived import NO_LOCK, Held, Locked
from .base import READ_LIMIT, ObjectStat, ObjectWriter, Store, check_key, is_part
from .s3_bucket import Bucket
from .s3_client import Connection, translated_errors
from .s3_lock import Lock
from .s3_upload import S3Writer
from .s3_versions import Found


class S3Store(Store):
    """A store in a bucket. `prefix` has no slash at either end."""

    locks = True
    at_once = s3_client.CONNECTIONS

    def __init__(self, bucket: str, prefix: str, connection: Connection, lock: Lock, probe: bool = False) -> None:
        self.bucket = Bucket(bucket, prefix, connection, lock)
        self.location = self.bucket.location
        self._probe = probe
        self._kept: dict[str, Found] = {}
        self._lockable: bool | None = None

    def clock(self) -> datetime.datetime | None:
        return s3_prepare.clock(self.bucket)

    def writer(self, folder: str, key: str | None = None) -> ObjectWriter:
        return S3Writer(self.bucket, key, self.is_taken)

    def open(self, key: str) -> t.BinaryIO:
        return s3_read.opened(self._getter(key, self._existing(key).version), self.bucket.path(key))

    def _getter(self, key: str, version: str) -> t.Callable[..., t.Any]:
        return lambda **more: self.bucket.client.get_object(**self.bucket.named(key), VersionId=version, **more)

    def read(self, key: str, limit: int = READ_LIMIT) -> bytes:
        with self.open(key) as stream:
            data = stream.read(limit + 1)
        if len(data) > limit:
            raise StorageError(
                f"{self.bucket.path(key)} is larger than {limit} bytes, so it cannot be the expected object; use another copy"
            )
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
        """Add a delete marker: under Object Lock, a writer cannot remove a version."""
        self.bucket.delete(key)

    def purge(self, key: str) -> None:
        with translated_errors(self.bucket.path(key)):
            for version in s3_versions.ids(self.bucket, key):
                self.bucket.client.delete_object(**self.bucket.named(key), VersionId=version)
        self._kept.pop(key, None)

    def clear(self, folder: str, *, dry: bool = False) -> int:
        found = [one.key for one in self.list(folder)]
        uploads = list(s3_prepare.uploads(self.bucket, f"{folder}/"))
        if not dry:
            for key in found:
                self.delete(key)
            for one in uploads:
                s3_prepare.abort(self.bucket, one)
        return len(found) + len(uploads)

    def sweep(self, before: datetime.datetime, *, dry: bool = False) -> int:
        return s3_prepare.abort_begun(self.bucket, before, dry=dry)

    def locked_until(self, key: str) -> datetime.datetime | None:
        found = self._find(key)
        until = self.lock_of(Held(key, found.size, found.version)).until if found else None
        return until if until and until > self.bucket.now() else None

    def can_hold(self) -> bool:
        if self._lockable is None:
            self._lockable = s3_prepare.has_lock(self.bucket)
        return self._lockable

    def is_held(self, key: str) -> bool | None:
        found = self._find(key) if self.can_hold() else None
        return s3_holds.is_on(self.bucket, found) if found else None

    def hold(self, key: str, on: bool) -> None:
        if self.can_hold():
            s3_holds.put(self.bucket, self._existing(key), on)

    def free_bytes(self) -> int | None:
        return None

    def check_writable(self, probe: bool) -> None:
        s3_prepare.check_bucket(self.bucket)
        if probe:
            s3_prepare.probe_write(self.bucket)

    def prepare(self) -> None:
        self.sweep(self.bucket.now() - s3_prepare.UPLOAD_AGE)
        if self._probe:
            s3_prepare.prove_lock(self.bucket)

    def layered(self) -> t.Sequence[str]:
        return [one.key for one in self.walk("") if one.marked or one.versions > 1]

    def put_over(self, key: str, data: bytes) -> None:
        out = S3Writer(self.bucket, key, self.is_taken)
        out.write(data)
        out.publish_over(key)
        self._kept.pop(key, None)

    def held(self, folder: str) -> t.Sequence[Held]:
        return [Held(one.key, one.size, one.version, one.versions, one.marked) for one in self.walk(f"{folder}/")]

    def versions(self, key: str) -> t.Sequence[Held]:
        return s3_versions.of_key(self.bucket, check_key(key))

    def open_held(self, one: Held) -> t.BinaryIO:
        return s3_read.opened(self._getter(one.key, one.version), self.bucket.path(one.key))

    def open_seekable(self, one: Held) -> t.BinaryIO:
        return s3_ranges.seekable(self._getter(one.key, one.version), one.size, self.bucket.path(one.key))

    def lock_of(self, one: Held) -> Locked:
        version = {"VersionId": one.version} if one.version else {}
        with translated_errors(self.bucket.path(one.key)):
            about = self.bucket.client.head_object(**self.bucket.named(one.key), **version)
        return Locked(about.get("ObjectLockMode"), about.get("ObjectLockRetainUntilDate"))

    def lock_wanted(self, key: str, when: datetime.datetime) -> Locked:
        until = self.bucket.lock.until(key, when)
        return Locked(self.bucket.lock.mode, until) if until else NO_LOCK

    def extend(self, key: str, one: Held | None = None) -> None:
        found = one or self._existing(key)
        wanted = self.bucket.lock.until(key, self.bucket.now())
        if wanted is None:
            return
        version = {**self.bucket.named(key), "VersionId": found.version}
        with translated_errors(self.bucket.path(key)):
            about = self.bucket.client.head_object(**version)
            until = about.get("ObjectLockRetainUntilDate")
            if until is None or until < wanted:
                # Never weaken a stricter mode.
                mode = s3_lock.COMPLIANCE if about.get("ObjectLockMode") == s3_lock.COMPLIANCE else self.bucket.lock.mode
                self.bucket.client.put_object_retention(**version, Retention={"Mode": mode, "RetainUntilDate": wanted})
                about = self.bucket.client.head_object(**version)
        self.bucket.check_lock(key, about, {"ObjectLockMode": self.bucket.lock.mode, "ObjectLockRetainUntilDate": wanted})

    def walk(self, prefix: str, after: str = "") -> t.Iterator[Found]:
        return s3_versions.walk(self.bucket, prefix, after)

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
            raise ObjectMissing(f"{self.bucket.path(key)} does not exist; check the repository's address, or use another copy of it")
        return found

    def is_taken(self, key: str) -> bool:
        """Return whether a key that is never deleted has been written.

        For all other keys, and for races, the store itself prevents overwriting.
        """
        return s3_lock.is_kept(key) and self._find(key) is not None
