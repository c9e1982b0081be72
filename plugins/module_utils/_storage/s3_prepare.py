# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of a bucket before a backup is stored there, and removal of leftovers of killed runs."""

from __future__ import annotations

import datetime
import email.utils
import secrets
import typing as t

from .._errors import PermissionMissing, StorageError
from . import s3_lock
from .s3_bucket import Bucket
from .s3_client import answered, translated_errors

UPLOAD_AGE = datetime.timedelta(days=1)
CANARIES = "canaries"
PROBED = "journal"
# Error codes of stores for a bucket without Object Lock, or without support for it.
NO_LOCK = ("ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration", "NotImplemented", "MethodNotAllowed")


def check_bucket(bucket: Bucket) -> None:
    """Check that the bucket exists, has versions, and has Object Lock if locks are requested.

    Raises StorageError, PermissionMissing, Unreachable.
    """
    where = f"s3://{bucket.name}"
    with translated_errors(where):
        versioning = bucket.client.get_bucket_versioning(Bucket=bucket.name).get("Status")
    if versioning != "Enabled":
        raise StorageError(f"{where} keeps no versions, so overwritten objects are lost; enable versioning, preferably with Object Lock")
    if bucket.lock.mode == s3_lock.NONE:
        return
    if not has_lock(bucket):
        raise StorageError(f"{where} has no Object Lock; create a bucket with Object Lock, or set lock_mode to none")


def has_lock(bucket: Bucket) -> bool:
    """Return whether the bucket has Object Lock, independent of the options. Raises PermissionMissing, Unreachable, StorageError."""
    try:
        with translated_errors(f"s3://{bucket.name}"):
            found = bucket.client.get_object_lock_configuration(Bucket=bucket.name)
    except StorageError as exc:
        if answered(exc) in NO_LOCK:
            return False
        raise
    return bool(found.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled")


def clock(bucket: Bucket) -> datetime.datetime | None:
    """Return the store's time from the date of an answer, or None if it has no date."""
    with translated_errors(bucket.location):
        answer = bucket.client.list_object_versions(Bucket=bucket.name, Prefix=bucket.root, MaxKeys=1)
    try:
        return email.utils.parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    except (KeyError, ValueError):
        return None


def probe_write(bucket: Bucket) -> None:
    """Begin and abort a write, which leaves nothing. The path is one to which every writer needs access."""
    key = f"{PROBED}/probe-{secrets.token_hex(8)}"
    with translated_errors(bucket.path(key)):
        made = bucket.client.create_multipart_upload(**bucket.named(key), **bucket.lock_arguments(key))
        bucket.client.abort_multipart_upload(**bucket.named(key), UploadId=made["UploadId"])


def uploads(bucket: Bucket, prefix: str) -> t.Iterator[dict[str, t.Any]]:
    """Yield the incomplete uploads below a prefix."""
    pages = bucket.client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket.name, Prefix=bucket.root + prefix)
    with translated_errors(bucket.path(prefix)):
        for page in pages:
            yield from page.get("Uploads", [])


def abort(bucket: Bucket, upload: t.Mapping[str, t.Any]) -> None:
    with translated_errors(f"s3://{bucket.name}/{upload['Key']}"):
        bucket.client.abort_multipart_upload(Bucket=bucket.name, Key=upload["Key"], UploadId=upload["UploadId"])


def abort_begun(bucket: Bucket, before: datetime.datetime, *, dry: bool) -> int:
    """Abort uploads that began before that time: their parts are invisible but cost money. Returns their number."""
    old = [one for one in uploads(bucket, "") if one["Initiated"] < before]
    for one in () if dry else old:
        abort(bucket, one)
    return len(old)


def prove_lock(bucket: Bucket) -> None:
    """Try to break the lock of a test object with this host's credentials. Raises PermissionMissing if that works.

    The test deletes a specific version: a delete without a version only adds a delete marker, and always works.
    """
    if bucket.lock.mode == s3_lock.NONE:
        raise StorageError(f"{bucket.location}: lock_probe needs a lock_mode other than none; set lock_mode, or leave lock_probe out")
    key = f"{CANARIES}/{secrets.token_hex(8)}"
    until = (bucket.now() + datetime.timedelta(days=1)).replace(microsecond=0)
    lock = {"ObjectLockMode": s3_lock.GOVERNANCE, "ObjectLockRetainUntilDate": until}
    with translated_errors(bucket.path(key)):
        made = bucket.client.put_object(**bucket.named(key), Body=b"canary", ChecksumAlgorithm="SHA256", **lock)
    version = {**bucket.named(key), "VersionId": made["VersionId"]}
    shorter = {"Mode": s3_lock.GOVERNANCE, "RetainUntilDate": until - datetime.timedelta(hours=12)}
    tries: tuple[tuple[str, t.Callable[[], t.Any]], ...] = (
        ("shorten a lock", lambda: bucket.client.put_object_retention(**version, Retention=shorter)),
        (
            "shorten a lock by bypassing governance",
            lambda: bucket.client.put_object_retention(**version, Retention=shorter, BypassGovernanceRetention=True),
        ),
        ("delete a locked version", lambda: bucket.client.delete_object(**version)),
        ("delete a locked version by bypassing governance", lambda: bucket.client.delete_object(**version, BypassGovernanceRetention=True)),
    )
    for name, act in tries:
        if not _is_refused(bucket, key, act):
            raise PermissionMissing(
                f"{bucket.location}: the identity of this host could {name}, so an attacker on this host can, too; "
                "give the identity the policy in the S3 guide"
            )


def _is_refused(bucket: Bucket, key: str, act: t.Callable[[], t.Any]) -> bool:
    try:
        with translated_errors(bucket.path(key)):
            act()
    except PermissionMissing:
        return True
    return False
