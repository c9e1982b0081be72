# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Legal holds of a real server, on the version that counts."""

from __future__ import annotations

import time
import typing as t
import uuid
from pathlib import Path

import botocore.retries.standard
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, ObjectMissing, PermissionMissing, StorageError
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import BucketOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage import s3_prepare
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.s3 import S3Store
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.s3_client import translated_errors
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.schemes import open_store
from scenes import s3_policies
from scenes.fault_proxy import FaultProxy
from scenes.s3_server import ADMIN, BACKUP, DRILL, OPERATOR, PRUNE, S3Server

KEPT = "sets/20261125T020000Z-k3f9/manifest.json"
SHARED = "objects/audit/x/a.age"
ASKED = r"GET .*legal-hold"


def reach(s3: S3Server, bucket: str, user: str = ADMIN, prefix: str = "", **own: t.Any) -> S3Store:
    found = open_store(f"s3://{bucket}/{prefix or uuid.uuid4().hex}", BucketOptions(**s3.options(user, **own)))
    assert isinstance(found, S3Store)
    return found


def destroy(store: S3Store, key: str, **more: t.Any) -> None:
    """Delete the valid version like an attacker, without checking which version counts."""
    (version,) = [one.version for one in store.held(key.rpartition("/")[0]) if one.key == key]
    with translated_errors(key):
        store.bucket.client.delete_object(**store.bucket.named(key), VersionId=version, **more)


@pytest.mark.parametrize("key", [KEPT, SHARED])
def test_a_hold_is_on_until_it_is_taken_off(s3: S3Server, key: str) -> None:
    store = reach(s3, s3.shared)
    assert store.can_hold() and store.is_held(key) is None
    with pytest.raises(ObjectMissing):
        store.hold(key, True)
    store.put(key, b"true")
    assert store.is_held(key) is False and store.locked_until(key) is None
    for on in (True, True, False, False):
        store.hold(key, on)
        assert store.is_held(key) is on
        assert reach(s3, store.bucket.name, prefix=store.bucket.root.rstrip("/")).is_held(key) is on
    destroy(store, key)


@pytest.mark.mutation
def test_held_object_cannot_be_destroyed_by_any_identity(s3: S3Server) -> None:
    bucket = s3.bucket()
    store = reach(s3, bucket, prefix="prod")
    for key in (KEPT, SHARED):
        store.put(key, b"true")
        store.hold(key, True)
    s3_policies.enforce(s3, bucket, "prod")
    for user in (ADMIN, BACKUP, DRILL, PRUNE, OPERATOR):
        intruder = reach(s3, bucket, user, "prod")
        for key in (KEPT, SHARED):
            for bypass in ({}, {"BypassGovernanceRetention": True}):
                with pytest.raises(PermissionMissing):
                    destroy(intruder, key, **bypass)
            if user not in (ADMIN, OPERATOR):
                with pytest.raises(PermissionMissing, match=r"s3:PutObjectLegalHold is not allowed; give the operator's identity"):
                    intruder.hold(key, False)
    operator, prune = reach(s3, bucket, OPERATOR, "prod"), reach(s3, bucket, PRUNE, "prod")
    operator.hold(SHARED, False)
    assert prune.is_held(SHARED) is False and prune.is_held(KEPT) is True
    destroy(prune, SHARED)
    with pytest.raises(PermissionMissing):
        destroy(operator, KEPT)
    with pytest.raises(PermissionMissing, match="GetObjectLegalHold is not allowed"):
        reach(s3, bucket, BACKUP, "prod").is_held(KEPT)


@pytest.mark.mutation
@pytest.mark.parametrize("key", [KEPT, SHARED])
def test_true_version_is_held_below_forged_newer_version(s3: S3Server, key: str) -> None:
    store = reach(s3, s3.shared)
    store.put(key, b"true")
    s3.client.put_object(**store.bucket.named(key), Body=b"forged")
    time.sleep(1.1)  # this server dates a version again, in seconds, when its lock or its hold changes
    store = reach(s3, store.bucket.name, prefix=store.bucket.root.rstrip("/"))
    store.hold(key, True)
    reach(s3, store.bucket.name, prefix=store.bucket.root.rstrip("/"), lock_mode="GOVERNANCE", lock_days={"sets": 1, "objects": 1}).extend(
        key
    )
    store = reach(s3, store.bucket.name, prefix=store.bucket.root.rstrip("/"))
    true, forged = sorted(
        s3.client.list_object_versions(Bucket=store.bucket.name, Prefix=store.bucket.root + key)["Versions"],
        key=lambda one: bool(one["IsLatest"]),
    )
    assert about(s3, store, key, true["VersionId"]) == "ON" and about(s3, store, key, forged["VersionId"]) is None
    assert store.is_held(key) is True and store.locked_until(key) and store.read(key) == b"true"


def about(s3: S3Server, store: S3Store, key: str, version: str) -> str | None:
    found: str | None = s3.client.head_object(**store.bucket.named(key), VersionId=version).get("ObjectLockLegalHoldStatus")
    return found


def test_a_bucket_without_object_lock_and_a_directory_hold_nothing(s3: S3Server, s3_proxy: FaultProxy, tmp_path: Path) -> None:
    place = tmp_path / "store"
    for store in (reach(s3, s3.bucket(lock=False), s3_endpoint=s3_proxy.endpoint), LocalStore(str(place))):
        store.put(SHARED, b"x")
        assert not store.can_hold() and store.is_held(SHARED) is None
        store.hold(SHARED, True)
        assert store.is_held(SHARED) is None
    assert not s3_proxy.count("legal-hold")


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.retries.standard.ExponentialBackoff, "delay_amount", lambda *_given: 0)


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.mutation
def test_a_store_that_does_not_answer_is_not_one_without_locks(s3: S3Server, s3_proxy: FaultProxy) -> None:
    store = reach(s3, s3.shared, s3_endpoint=s3_proxy.endpoint, lock_mode="GOVERNANCE")
    for status, code, kind in ((503, "SlowDown", StorageError), (403, "AccessDenied", PermissionMissing)):
        s3_proxy.faults.clear()
        s3_proxy.add(r"GET .*object-lock", status=status, code=code)
        asks: tuple[t.Callable[[], t.Any], ...] = (store.can_hold, lambda: s3_prepare.check_bucket(store.bucket))
        for ask in asks:
            with pytest.raises(BackupError) as raised:
                ask()
            assert raised.type is kind and "has no Object Lock" not in raised.value.msg
    for code in s3_prepare.NO_LOCK:
        s3_proxy.faults.clear()
        s3_proxy.add(r"GET .*object-lock", status=404, code=code)
        assert not reach(s3, s3.shared, s3_endpoint=s3_proxy.endpoint).can_hold()
        with pytest.raises(StorageError, match="has no Object Lock"):
            s3_prepare.check_bucket(store.bucket)


@pytest.mark.mutation
def test_hold_that_store_accepts_without_setting_it_is_found(s3: S3Server, s3_proxy: FaultProxy) -> None:
    store = reach(s3, s3.shared, s3_endpoint=s3_proxy.endpoint)
    store.put(KEPT, b"x")
    s3_proxy.add(ASKED, status=404, code="NoSuchObjectLegalHold")
    with pytest.raises(StorageError, match=r"manifest\.json: the store accepted the legal hold but did not set it"):
        store.hold(KEPT, True)


@pytest.mark.parametrize("code", ["NoSuchObjectLockConfiguration", "NoSuchObjectLegalHold"])
def test_store_error_for_missing_hold_means_not_held(s3: S3Server, s3_proxy: FaultProxy, code: str) -> None:
    store = reach(s3, s3.shared, s3_endpoint=s3_proxy.endpoint)
    store.put(SHARED, b"x")
    s3_proxy.add(ASKED, status=404, code=code)
    assert store.is_held(SHARED) is False
    s3_proxy.faults.clear()
    s3_proxy.add(ASKED, status=404, code="NoSuchVersion")
    with pytest.raises(ObjectMissing):
        store.is_held(SHARED)
