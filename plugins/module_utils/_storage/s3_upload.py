# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Upload of an object: one request if it is small, else parallel parts, each with its SHA-256.

An upload needs its key at the beginning. If the key is only known at the end (a name with a digest), the bytes are
uploaded to a temporary key, and the store copies them.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import dataclasses
import hashlib
import secrets
import typing as t

from .._errors import BackupError, ObjectExists, StorageError
from . import s3_parts
from .base import ObjectStat, ObjectWriter, check_key
from .s3_bucket import Bucket
from .s3_client import answered, translated_errors
from .s3_parts import PARTS_MAX, composite, part_size, text

IN_FLIGHT = 32 << 20
WORKERS = 4
UPLOADS = ".uploads"
CONFLICTS = 5


@dataclasses.dataclass(frozen=True)
class Part:
    """A stored part: number from 1, first byte, size, SHA-256, and the store's tag."""

    number: int
    start: int
    size: int
    digest: bytes
    tag: str

    def named(self) -> dict[str, t.Any]:
        return {"PartNumber": self.number, "ETag": self.tag, "ChecksumSHA256": text(self.digest)}


class S3Writer(ObjectWriter):
    """A writer of an object. `key` is its final key, if that is known. `is_taken` detects existing keys that are never overwritten.

    It needs memory for the parts in flight and two more.
    """

    def __init__(self, bucket: Bucket, key: str | None, is_taken: t.Callable[[str], bool]) -> None:
        self._bucket, self._is_taken = bucket, is_taken
        self._key = check_key(key) if key else f"{UPLOADS}/{secrets.token_hex(16)}"
        self._nonce = secrets.token_hex(16)
        self._buffer = bytearray()
        self._upload = ""
        self._pool: concurrent.futures.ThreadPoolExecutor | None = None
        self._flying: collections.deque[tuple[int, concurrent.futures.Future[Part]]] = collections.deque()
        self._parts: list[Part] = []
        self._sent = 0
        self._asked: dict[str, t.Any] = {}
        self._number = 0

    def write(self, data: bytes) -> int:
        self._buffer += data
        while len(self._buffer) > part_size(self._number + 1):
            size = part_size(self._number + 1)
            piece = bytes(memoryview(self._buffer)[:size])
            del self._buffer[:size]
            self._send(piece)
        return len(data)

    def publish(self, key: str) -> ObjectStat:
        check_key(key)
        size = self._sent + len(self._buffer)
        if self._is_taken(key):
            raise ObjectExists(f"{self._bucket.path(key)} already exists; a repository never overwrites an object")
        if not self._upload:
            self._put(key, IfNoneMatch="*")
            return ObjectStat(key, size)
        self._send(bytes(self._buffer))
        self._collect(0)
        self._complete(self._key, size)
        if self._key != key:
            self._copy(key, size)
        self._close()
        return ObjectStat(key, size)

    def publish_over(self, key: str) -> None:
        """Write a small object as a new version, even if the key exists."""
        self._put(check_key(key))

    def _put(self, key: str, **condition: str) -> None:
        data = bytes(self._buffer)
        checksum = text(hashlib.sha256(data).digest())
        arguments = {**self._made_of(key), "Body": data, "ChecksumSHA256": checksum, **condition}
        made = self._once(key, lambda: self._bucket.client.put_object(**arguments))
        self._bucket.confirm(key, made, len(data), checksum, self._asked)

    def discard(self) -> None:
        """Abort the upload. If that fails, `S3Store.prepare` aborts it a day later."""
        upload, self._upload = self._upload, ""
        self._close()
        if upload:
            with contextlib.suppress(BackupError), translated_errors(self._bucket.path(self._key)):
                self._bucket.client.abort_multipart_upload(**self._bucket.named(self._key), UploadId=upload)

    def _close(self) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
        self._flying.clear()
        self._buffer = bytearray()

    def _made_of(self, key: str) -> dict[str, t.Any]:
        self._asked = self._bucket.lock_arguments(key)
        return {**self._bucket.named(key), "Metadata": {"writer": self._nonce, "part": str(s3_parts.PART)}, **self._asked}

    def _begin(self, key: str) -> str:
        with translated_errors(self._bucket.path(key)):
            made = self._bucket.client.create_multipart_upload(**self._made_of(key), ChecksumAlgorithm="SHA256")
        return str(made["UploadId"])

    def _send(self, data: bytes) -> None:
        if not self._upload:
            self._upload = self._begin(self._key)
            self._pool = concurrent.futures.ThreadPoolExecutor(WORKERS)
        self._number += 1
        if self._number > PARTS_MAX:
            raise StorageError(
                f"{self._bucket.path(self._key)} has more than {self._sent >> 30} GiB, the limit of an upload; dump less at once"
            )
        self._collect(IN_FLIGHT - len(data))
        self._fly(len(data), self._put_part, self._number, self._sent, data)
        self._sent += len(data)

    def _fly(self, size: int, work: t.Callable[..., Part], *arguments: t.Any) -> None:
        if self._pool is None:
            raise StorageError(f"{self._bucket.path(self._key)}: the upload has already ended")
        self._flying.append((size, self._pool.submit(work, *arguments)))

    def _collect(self, room: int) -> None:
        """Wait until at most `room` bytes are in flight. Raises the error of a failed part."""
        while self._flying and sum(size for size, _future in self._flying) > room:
            self._parts.append(self._flying[0][1].result())
            self._flying.popleft()

    def _put_part(self, number: int, start: int, data: bytes) -> Part:
        digest = hashlib.sha256(data).digest()
        with translated_errors(self._bucket.path(self._key)):
            response = self._bucket.client.upload_part(
                **self._bucket.named(self._key), UploadId=self._upload, PartNumber=number, Body=data, ChecksumSHA256=text(digest)
            )
        return self._agreed(Part(number, start, len(data), digest, response["ETag"]), response)

    def _agreed(self, part: Part, response: t.Mapping[str, t.Any]) -> Part:
        if response.get("ChecksumSHA256") != text(part.digest):
            raise StorageError(
                f"{self._bucket.path(self._key)}: the store reports another SHA-256 of part {part.number} than was sent; "
                "try again, or use a store with SHA-256 checksums"
            )
        return part

    def _complete(self, key: str, size: int) -> None:
        listed = {"Parts": [part.named() for part in self._parts]}
        arguments = {**self._bucket.named(key), "UploadId": self._upload, "MultipartUpload": listed, "IfNoneMatch": "*"}
        made = self._once(key, lambda: self._bucket.client.complete_multipart_upload(**arguments))
        self._upload = ""
        self._bucket.confirm(key, made, size, composite([part.digest for part in self._parts]), self._asked)

    def _once(self, key: str, request: t.Callable[[], t.Any]) -> t.Mapping[str, t.Any]:
        """Send a request that creates `key`. After a lost answer, it is sent again and then finds its own object."""
        for attempt in range(CONFLICTS):
            try:
                with translated_errors(self._bucket.path(key)):
                    return t.cast("t.Mapping[str, t.Any]", request())
            except StorageError as exc:
                code = answered(exc)
                if code in ("PreconditionFailed", "412", "NoSuchUpload") and (found := self._own(key)):
                    return found
                if code not in ("ConditionalRequestConflict", "OperationAborted") or attempt == CONFLICTS - 1:
                    raise
                self._bucket.pause(attempt)
        raise StorageError(f"{self._bucket.path(key)}: another writer keeps writing this object; try again")

    def _own(self, key: str) -> t.Mapping[str, t.Any] | None:
        with contextlib.suppress(BackupError), translated_errors(self._bucket.path(key)):
            found = self._bucket.client.head_object(**self._bucket.named(key))
            if found.get("Metadata", {}).get("writer") == self._nonce:
                return t.cast("t.Mapping[str, t.Any]", found)
        return None

    def _copy(self, key: str, size: int) -> None:
        """Copy from the temporary key to `key` within the store."""
        source, sent = self._key, self._parts
        self._key, self._parts, self._upload = key, [], self._begin(key)
        for part in sent:
            self._collect(WORKERS - 1)
            self._fly(1, self._copy_part, self._bucket.named(source), part)
        self._collect(0)
        self._complete(key, size)
        # The temporary object is not needed any more. If this host may not delete it, the bucket's lifecycle rule does.
        with contextlib.suppress(BackupError):
            self._bucket.delete(source)

    def _copy_part(self, source: dict[str, str], part: Part) -> Part:
        with translated_errors(self._bucket.path(self._key)):
            response = self._bucket.client.upload_part_copy(
                **self._bucket.named(self._key),
                UploadId=self._upload,
                PartNumber=part.number,
                CopySource=source,
                CopySourceRange=f"bytes={part.start}-{part.start + part.size - 1}",
            )["CopyPartResult"]
        return self._agreed(dataclasses.replace(part, tag=response["ETag"]), response)
