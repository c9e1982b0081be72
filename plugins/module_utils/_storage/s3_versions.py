# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which version of a key is the true one. A writer cannot overwrite under Object Lock, but anyone who may write can put another
version or a delete marker on top, so the newest version is nobody's word."""

from __future__ import annotations

import dataclasses
import typing as t

from . import s3_lock
from .archived import Held
from .s3_bucket import Bucket
from .s3_client import told


@dataclasses.dataclass(frozen=True)
class Found:
    """A key's true version: its id and size in bytes. `marked`: a delete marker is on top; `versions`: how many there are."""

    key: str
    version: str
    size: int
    versions: int
    marked: bool

    @property
    def visible(self) -> bool:
        """Whether the object counts as there: what may be deleted by right is gone under a marker."""
        return not self.marked or s3_lock.is_kept(self.key)


def walk(bucket: Bucket, prefix: str, after: str = "") -> t.Iterator[Found]:
    """Every key below `prefix` that has a version, in order, from about `after` on. Constant memory but for versions
    of one key."""
    root = bucket.root
    start = {"KeyMarker": root + after} if after else {}
    pages = bucket.client.get_paginator("list_object_versions").paginate(Bucket=bucket.name, Prefix=root + prefix, **start)
    waiting: dict[str, tuple[list[t.Any], list[t.Any]]] = {}
    with told(bucket.path(prefix)):
        for page in pages:
            versions, markers = page.get("Versions", []), page.get("DeleteMarkers", [])
            last = max((one["Key"] for one in (*versions, *markers)), default="")
            for one in versions:
                waiting.setdefault(one["Key"], ([], []))[0].append(one)
            for one in markers:
                waiting.setdefault(one["Key"], ([], []))[1].append(one)
            # The next page may go on with the last key of this one.
            for key in sorted(key for key in waiting if key < last):
                yield from _true(key[len(root) :], *waiting.pop(key))
        for key in sorted(waiting):
            yield from _true(key[len(root) :], *waiting[key])


def _true(key: str, versions: list[t.Any], markers: list[t.Any]) -> t.Iterator[Found]:
    """The oldest version; of what may be deleted by right, the oldest since it was deleted last."""
    marked = any(one["IsLatest"] for one in markers)
    # Listed newest first. Their times say less: some stores set that of a version anew with its lock or its legal hold.
    oldest_first = versions[::-1]
    if markers and not marked and not s3_lock.is_kept(key):
        deleted = max(one["LastModified"] for one in markers)
        oldest_first = [one for one in oldest_first if one["LastModified"] > deleted or one["IsLatest"]]
    if oldest_first:
        yield Found(key, oldest_first[0]["VersionId"], oldest_first[0]["Size"], len(versions), marked)


def of_key(bucket: Bucket, key: str) -> list[Held]:
    """Every version of one key, the oldest first."""
    name = bucket.root + key
    versions: list[t.Any] = []
    marked = False
    with told(bucket.path(key)):
        for page in bucket.client.get_paginator("list_object_versions").paginate(Bucket=bucket.name, Prefix=name):
            every = (*page.get("Versions", []), *page.get("DeleteMarkers", []))
            versions += [one for one in page.get("Versions", []) if one["Key"] == name]
            marked = marked or any(one["Key"] == name and one["IsLatest"] for one in page.get("DeleteMarkers", []))
            if any(one["Key"] > name for one in every):
                break
    return [Held(key, one["Size"], one["VersionId"], len(versions), marked) for one in versions[::-1]]


def ids(bucket: Bucket, key: str) -> list[str]:
    """Of every version and delete marker of one key, newest first. Raises what the client raises."""
    name = bucket.root + key
    pages = bucket.client.get_paginator("list_object_versions").paginate(Bucket=bucket.name, Prefix=name)
    found = (one for page in pages for one in (*page.get("Versions", []), *page.get("DeleteMarkers", [])))
    return [one["VersionId"] for one in found if one["Key"] == name]
