# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bucket with a prefix: the connection, the names of objects in requests, and the confirmation of writes."""

from __future__ import annotations

import datetime
import os
import secrets
import time
import typing as t

from .._errors import StorageError
from . import s3_client, s3_lock
from .s3_client import Connection, translated_errors
from .s3_lock import Lock


class Bucket:
    """A bucket. `prefix` has no slash at either end. It can be used after a fork, because each process has its own connection."""

    def __init__(self, name: str, prefix: str, connection: Connection, lock: Lock) -> None:
        self.location = f"s3://{name}/{prefix}".rstrip("/")
        self.name = name
        self.root = f"{prefix}/" if prefix else ""
        self.lock = lock
        self._connection = connection
        self._client: tuple[int, t.Any] = (0, None)

    @property
    def client(self) -> t.Any:
        if self._client[0] != os.getpid():
            self._client = (os.getpid(), s3_client.connect(self.location, self._connection))
        return self._client[1]

    def path(self, key: str) -> str:
        """Return the location of a key, for messages and operators."""
        return f"{self.location}/{key}" if key else self.location

    def named(self, key: str) -> dict[str, str]:
        """Return the request arguments that name an object."""
        return {"Bucket": self.name, "Key": self.root + key}

    def delete(self, key: str) -> None:
        """Add a delete marker: under Object Lock, a writer cannot remove a version."""
        with translated_errors(self.path(key)):
            self.client.delete_object(**self.named(key))

    def lock_arguments(self, key: str) -> dict[str, t.Any]:
        return self.lock.arguments(key, self.now())

    def confirm(self, key: str, made: t.Mapping[str, t.Any], size: int, checksum: str, asked: t.Mapping[str, t.Any]) -> None:
        """Read back the created version and compare size, checksum and the requested lock. Raises StorageError."""
        version = made.get("VersionId")
        if not version or version == "null":
            raise StorageError(f"{self.path(key)}: the bucket keeps no versions; enable versioning")
        with translated_errors(self.path(key)):
            about = self.client.head_object(**self.named(key), VersionId=version, ChecksumMode="ENABLED")
        if about["ContentLength"] != size or about.get("ChecksumSHA256") != checksum:
            raise StorageError(
                f"{self.path(key)}: the store has {about['ContentLength']} bytes with SHA-256 {about.get('ChecksumSHA256')} instead of "
                f"{size} with {checksum}; try again, or use a store with SHA-256 checksums"
            )
        self.check_lock(key, about, asked)

    def check_lock(self, key: str, about: t.Mapping[str, t.Any], asked: t.Mapping[str, t.Any]) -> None:
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
