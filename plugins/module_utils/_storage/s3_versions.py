# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Selection of the true version of a key.

Under Object Lock a writer cannot overwrite an object. But anyone with write access can add another version or a delete
marker, so the newest version is not trusted.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import s3_lock
from .archived import Held
from .s3_bucket import Bucket
from .s3_client import translated_errors


@dataclasses.dataclass(frozen=True)
class Found:
    """The true version of a key: its ID and size in bytes. `marked` means a delete marker is on top, `versions` is their number."""

    key: str
    version: str
    size: int
    versions: int
    marked: bool

    @property
    def visible(self) -> bool:
        """Return whether the object counts as existing. An object that may be deleted does not exist below a delete marker."""
        return not self.marked or s3_lock.is_kept(self.key)


def walk(bucket: Bucket, prefix: str, after: str = "") -> t.Iterator[Found]:
    """Yield every key below `prefix` that has a version, in order, from about `after` on.

    Needs constant memory, except for the versions of one key.
    """
    root = bucket.root
    start = {"KeyMarker": root + after} if after else {}
    pages = bucket.client.get_paginator("list_object_versions").paginate(Bucket=bucket.name, Prefix=root + prefix, **start)
    waiting: dict[str, tuple[list[t.Any], list[t.Any]]] = {}
    with translated_errors(bucket.path(prefix)):
        for page in pages:
            versions, markers = page.get("Versions", []), page.get("DeleteMarkers", [])
            last = max((one["Key"] for one in (*versions, *markers)), default="")
            for one in versions:
                waiting.setdefault(one["Key"], ([], []))[0].append(one)
            for one in markers:
                waiting.setdefault(one["Key"], ([], []))[1].append(one)
            # The next page may continue with the last key of this page.
            for key in sorted(key for key in waiting if key < last):
                yield from _true(key[len(root) :], *waiting.pop(key))
        for key in sorted(waiting):
            yield from _true(key[len(root) :], *waiting[key])


def _true(key: str, versions: list[t.Any], markers: list[t.Any]) -> t.Iterator[Found]:
    """Yield the oldest version. For an object that may be deleted, yield the oldest version since its last deletion."""
    marked = any(one["IsLatest"] for one in markers)
    # Versions are listed newest first. Their times are less reliable: some stores change them with the lock or the legal hold of a version.
    oldest_first = versions[::-1]
    if markers and not marked and not s3_lock.is_kept(key):
        deleted = max(one["LastModified"] for one in markers)
        oldest_first = [one for one in oldest_first if one["LastModified"] > deleted or one["IsLatest"]]
    if oldest_first:
        yield Found(key, oldest_first[0]["VersionId"], oldest_first[0]["Size"], len(versions), marked)


def of_key(bucket: Bucket, key: str) -> list[Held]:
    """Return every version of a key, oldest first."""
    name = bucket.root + key
    versions: list[t.Any] = []
    marked = False
    with translated_errors(bucket.path(key)):
        for page in bucket.client.get_paginator("list_object_versions").paginate(Bucket=bucket.name, Prefix=name):
            every = (*page.get("Versions", []), *page.get("DeleteMarkers", []))
            versions += [one for one in page.get("Versions", []) if one["Key"] == name]
            marked = marked or any(one["Key"] == name and one["IsLatest"] for one in page.get("DeleteMarkers", []))
            if any(one["Key"] > name for one in every):
                break
    return [Held(key, one["Size"], one["VersionId"], len(versions), marked) for one in versions[::-1]]


def ids(bucket: Bucket, key: str) -> list[str]:
    """Return the IDs of all versions and delete markers of a key, newest first. Raises the client's errors."""
    name = bucket.root + key
    pages = bucket.client.get_paginator("list_object_versions").paginate(Bucket=bucket.name, Prefix=name)
    found = (one for page in pages for one in (*page.get("Versions", []), *page.get("DeleteMarkers", [])))
    return [one["VersionId"] for one in found if one["Key"] == name]
