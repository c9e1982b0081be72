# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Legal holds: a version with a legal hold cannot be deleted by any user, even after its lock has ended."""

from __future__ import annotations

from .._errors import PermissionMissing, StorageError
from .s3_bucket import Bucket
from .s3_client import answered, translated_errors
from .s3_versions import Found

_ON, _OFF = "ON", "OFF"
# Error codes of stores for a version that never had a legal hold.
_NEVER = ("NoSuchObjectLockConfiguration", "NoSuchObjectLegalHold")


def is_on(bucket: Bucket, found: Found) -> bool:
    """Return whether a version has a legal hold. Raises PermissionMissing.

    A HEAD request does not fail without this permission: it reports no legal hold.
    """
    try:
        with translated_errors(bucket.path(found.key)):
            response = bucket.client.get_object_legal_hold(**bucket.named(found.key), VersionId=found.version)
    except StorageError as exc:
        if answered(exc) in _NEVER:
            return False
        raise
    return bool(response["LegalHold"]["Status"] == _ON)


def put(bucket: Bucket, found: Found, on: bool) -> None:
    """Place a legal hold on exactly this version and read it back, or remove it. Raises PermissionMissing, StorageError."""
    where = bucket.path(found.key)
    try:
        with translated_errors(where):
            bucket.client.put_object_legal_hold(
                **bucket.named(found.key), VersionId=found.version, LegalHold={"Status": _ON if on else _OFF}
            )
    except PermissionMissing as exc:
        raise PermissionMissing(
            f"{where}: s3:PutObjectLegalHold is not allowed; give the operator's identity its policy in the S3 guide"
        ) from exc
    if on and not is_on(bucket, found):
        raise StorageError(f"{where}: the store accepted the legal hold but did not set it; try again, and see the store's documentation")
