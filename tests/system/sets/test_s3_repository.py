# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules on a bucket with Object Lock. Each host has the policy that the guide gives it."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import required
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupError,
    ObjectMissing,
    PermissionMissing,
    StorageError,
    TamperedData,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxSpec
from ansible_collections.caracal_ops.backup.plugins.module_utils._sets import repository_verify as repository_verify_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.s3 import S3Store
from ansible_collections.caracal_ops.backup.plugins.modules import repository_verify
from scenes import drill_reports, s3_policies
from scenes import scene as scenes
from scenes.s3_server import ADMIN, BACKUP, DRILL, S3Server
from scenes.scene import Result, Scene
from scenes.twin_database import TwinCluster

LEFT_OUT = {"secrets": "not part of this test"}


@dataclasses.dataclass(frozen=True)
class Place:
    """A bucket with the policies of the guide, and the hosts that use it."""

    scene: Scene
    s3: S3Server
    bucket: str
    prefix: str

    def given(self, user: str = BACKUP, **own: t.Any) -> dict[str, t.Any]:
        usual = {"repository": f"s3://{self.bucket}/{self.prefix}", "lock_mode": "GOVERNANCE", "lock_days": {"sets": 3}}
        return {**usual, **self.s3.options(user), **own}

    def call(self, module: str, *, check_mode: bool = False, user: str = BACKUP, **given: t.Any) -> Result:
        return self.scene.call(module, check_mode=check_mode, **self.given(user), **given)

    def backup(self) -> str:
        set_id: str = self.call("backup_set", state="open", create_repository=True)["set_id"]
        self.call("pg_encrypted_dump", set_id=set_id)
        self.call("backup_set", state="committed", set_id=set_id, left_out=LEFT_OUT)
        return set_id

    def store(self, user: str = ADMIN) -> S3Store:
        found = access.open_repository(self.scene.access(**self.given(user))).store
        assert isinstance(found, S3Store)
        return found

    def stored(self) -> list[str]:
        return [one.key for one in self.store().list("")]


def make_place(s3: S3Server, root: Path, socket: str) -> Place:
    bucket, prefix = s3.bucket(), "prod"
    s3_policies.enforce(s3, bucket, prefix)
    return Place(scenes.make(root, socket), s3, bucket, prefix)


@pytest.fixture
def place(s3: S3Server, tmp_path: Path, caracal_database: TwinCluster) -> Place:
    return make_place(s3, tmp_path / "scene", caracal_database.info.socket_dir)


@pytest.mark.no_false_alarm
def test_a_complete_set_is_backed_up_and_restored(
    place: Place,
    caracal_database: TwinCluster,
    server_install: server_binaries.Install,
    sandbox_directory: str,
) -> None:
    """The hosts have only the permissions in the policies."""
    opening: dict[str, t.Any] = {"state": "open", "create_repository": True, "set_id": "20260102T030405Z-abcd"}
    predicted = place.call("backup_set", check_mode=True, **opening)
    made = place.call("backup_set", lock_probe=True, **opening)
    assert predicted["set_id"] == made["set_id"]
    place.call("pg_encrypted_dump", set_id=made["set_id"])
    dumped = place.call("pg_encrypted_dump", set_id=made["set_id"])
    assert not dumped["changed"]
    committed = place.call("backup_set", state="committed", set_id=made["set_id"], left_out=LEFT_OUT)
    assert committed["changed"] and not place.call("backup_set", state="committed", set_id=made["set_id"], left_out=LEFT_OUT)["changed"]
    checks = place.call("backup_set_verify", user=DRILL)["checks"]
    assert {one["id"]: one["verdict"] for one in checks if one["id"].startswith(("set.objects", "repository."))} == {
        "set.objects": "pass",
        "repository.shadowed": "pass",
    }
    lifecycle.create(SandboxSpec(sandbox_directory, server_install))
    restored = place.call("pg_encrypted_restore", user=DRILL, sandbox=sandbox_directory)
    assert restored["changed"]
    assert place.call("state_verify", user=DRILL, sandbox=sandbox_directory)["verdict"] == "pass"
    reported = report(place, made["set_id"])
    assert reported["verdict"] == "pass"
    (drilled,) = (one for one in place.call("backup_set_verify", user=DRILL)["checks"] if one["id"] == "set.drilled")
    assert (drilled["verdict"], "countersigned" in drilled["message"]) == ("pass", True)
    assert not [key for key in place.stored() if "/parts/" in key]


def report(place: Place, set_id: str) -> Result:
    """Write the evidence of a drill whose checks all passed, as the drill host."""
    names = sorted(required.required(["caracal", "caracal_auth"], "secret_store", "v1.0.0"))
    findings = drill_reports.found(set_id, checks=drill_reports.passed(*names))
    return drill_reports.of_scene(place.scene, findings, place.given(DRILL))


@pytest.fixture(scope="module")
def committed(s3: S3Server, tmp_path_factory: pytest.TempPathFactory, caracal_database: TwinCluster) -> Place:
    """Yield two sets. A test that damages them only damages parts that other tests do not check."""
    made = make_place(s3, tmp_path_factory.mktemp("s3") / "scene", caracal_database.info.socket_dir)
    made.backup()
    made.backup()
    return made


def test_objects_are_locked_and_locks_of_shared_ones_extended(committed: Place) -> None:
    store = committed.store()
    for key in committed.stored():
        about = store.bucket.client.head_object(**store.bucket.named(key))
        left = about["ObjectLockRetainUntilDate"] - store.bucket.now()
        days = 400 if key.startswith(("journal/", "repository")) else 35 if key.startswith("objects/") else 3
        assert about["ObjectLockMode"] == "GOVERNANCE" and abs(left - datetime.timedelta(days=days)) < datetime.timedelta(hours=1), key
    first, second = [one.set_id for one in access.open_repository(committed.scene.access(**committed.given())).catalog.sets()]
    longer = committed.given(lock_days={"objects": 60})
    set_id = committed.scene.call("backup_set", **longer, state="open")["set_id"]
    committed.scene.call("pg_encrypted_dump", **committed.given(), set_id=set_id)
    committed.scene.call("backup_set", **longer, state="committed", set_id=set_id, left_out=LEFT_OUT)
    shared = [key for key in committed.stored() if key.startswith("objects/audit/") and f".{first}." in key]
    assert shared and not [key for key in committed.stored() if f".{second}." in key and key.startswith("objects/")]
    for key in shared:
        left = store.bucket.client.head_object(**store.bucket.named(key))["ObjectLockRetainUntilDate"] - store.bucket.now()
        assert left > datetime.timedelta(days=59), key


@pytest.mark.mutation
def test_the_backup_host_can_destroy_nothing(committed: Place) -> None:
    store, mine = committed.store(), committed.s3.client_of(BACKUP)
    for key in committed.stored():
        version = {**store.bucket.named(key), "VersionId": store.bucket.client.head_object(**store.bucket.named(key))["VersionId"]}
        for bypass in ({}, {"BypassGovernanceRetention": True}):
            with pytest.raises(mine.exceptions.ClientError, match="AccessDenied"):
                mine.delete_object(**version, **bypass)
        with pytest.raises(mine.exceptions.ClientError, match="AccessDenied"):
            mine.delete_object(**store.bucket.named(key))


@pytest.mark.mutation
def test_a_probe_finds_an_identity_that_can_break_locks(place: Place) -> None:
    with pytest.raises(PermissionMissing, match="could shorten a lock by bypassing governance, so an attacker on this host can"):
        place.call("backup_set", user=ADMIN, state="open", create_repository=True, lock_probe=True)


@pytest.mark.mutation
@pytest.mark.parametrize("other", [True, False])
@pytest.mark.parametrize("which", ["journal/0000000002.json", "manifest.json", "signatures/backup.sig"])
def test_shadowing_versions_are_reported_and_harmless(s3: S3Server, committed: Place, which: str, other: bool) -> None:
    store = committed.store()
    key = next(key for key in committed.stored() if key.endswith(which))
    if other:
        made = s3.client.put_object(**store.bucket.named(key), Body=b"forged")
    else:
        made = s3.client.delete_object(**store.bucket.named(key))
    try:
        found = committed.call("backup_set_verify", user=DRILL, require_valid=False)
        (check,) = [one for one in found["checks"] if one["verdict"] == "warn"]
        assert found["verdict"] == "pass" and check["id"] == "repository.shadowed" and store.bucket.path(key) in check["message"]
    finally:
        s3.client.delete_object(**store.bucket.named(key), VersionId=made["VersionId"])
    assert committed.call("backup_set_verify", user=DRILL)["verdict"] == "pass"


def verify_all(place: Place) -> Result:
    """Run repository_verify as the drill host."""
    usual = {**place.scene.given("backup_set_verify"), "high_water_mark": str(place.scene.mark("drill"))}
    checked = complete(repository_verify.Options, {**usual, **place.given(DRILL)})
    found: Result = repository_verify_case.run(Invocation(checked, False, lambda _text: None))
    return found


@pytest.mark.mutation
def test_only_signed_versions_are_restored(s3: S3Server, place: Place, sandbox_directory: str) -> None:
    """Versions written without a key are ignored, also if the oldest version is not the signed one."""
    set_id = place.backup()
    store = place.store()
    dump, schema, inventory = (
        f"sets/{set_id}/{name}.zst.age" for name in ("postgres/caracal.dump", "postgres/caracal.schema", "inventory.json")
    )
    leaf = next(key for key in place.stored() if key.startswith("objects/audit/"))
    s3.client.delete_object(**store.bucket.named(dump))
    for key in (inventory, leaf):
        if key == leaf:
            s3.client.delete_object(**store.bucket.named(key))
        s3.client.put_object(**store.bucket.named(key), Body=b"x" * store.versions(key)[0].size)
    s3.client.put_object(**store.bucket.named(schema), Body=b"forged")
    lifecycle.create(SandboxSpec(sandbox_directory, server_binaries.find(None, minimum_major=17)))
    assert place.call("pg_encrypted_restore", user=DRILL, sandbox=sandbox_directory)["changed"]
    assert place.call("state_verify", user=DRILL, sandbox=sandbox_directory)["verdict"] == "pass"
    results = []
    for found in (place.call("backup_set_verify", user=DRILL), verify_all(place)):
        (check,) = [one for one in found["checks"] if one["id"] == "repository.shadowed"]
        assert found["verdict"] == "pass" and check["verdict"] == "warn"
        assert check["details"]["paths"] == sorted(store.bucket.path(key) for key in (dump, schema, inventory, leaf))
        results.append(check)
    assert results[0] == results[1]


@pytest.mark.mutation
def test_an_unsigned_next_entry_warns_and_blocks_no_backup(s3: S3Server, place: Place) -> None:
    place.backup()
    store, key = place.store(), "journal/0000000003.json"
    s3.client.put_object(**store.bucket.named(key), Body=b"junk")
    warned: list[str] = []
    place.scene.call("backup_set_info", **place.given(DRILL), warn=warned.append)
    assert len(warned) == 1 and store.bucket.path(key) in warned[0]
    for found in (place.call("backup_set_verify", user=DRILL), verify_all(place)):
        (check,) = [one for one in found["checks"] if one["id"] == "journal.unsigned"]
        assert found["verdict"] == "pass" and check["verdict"] == "warn" and check["message"] == warned[0]
    made = place.backup()
    assert place.call("backup_set_verify", user=DRILL)["set_id"] == made
    assert key in str(verify_all(place)["checks"])


@pytest.mark.mutation
def test_finds_a_missing_or_altered_artifact(s3: S3Server, place: Place) -> None:
    place.backup()
    store = place.store()
    dump = next(key for key in place.stored() if key.endswith("caracal.dump.zst.age"))
    version = {**store.bucket.named(dump), "VersionId": store.bucket.client.head_object(**store.bucket.named(dump))["VersionId"]}
    data = store.read(dump, limit=1 << 30)
    s3.client.delete_object(**version, BypassGovernanceRetention=True)
    found = place.call("backup_set_verify", user=DRILL, require_valid=False)
    assert found["verdict"] == "fail" and "is missing" in found["msg"]
    s3.client.put_object(**store.bucket.named(dump), Body=data[:-1] + bytes([data[-1] ^ 1]), ChecksumAlgorithm="SHA256")
    found = place.call("backup_set_verify", user=DRILL, require_valid=False)
    assert found["verdict"] == "fail" and "was altered" in found["msg"]


@pytest.mark.mutation
@pytest.mark.parametrize("request_line", [r"caracal\.dump", r"inventory", r"parts/", r"journal/", r"manifest"])
def test_failed_store_request_creates_no_set(committed: Place, s3_proxy: t.Any, request_line: str) -> None:
    """If a request fails, there is one error line and no set, and the next run creates one."""
    place = committed
    before = place.call("backup_set_info", user=DRILL)["sets"]
    set_id = place.call("backup_set", state="open")["set_id"]
    s3_proxy.add(f"(PUT|POST) .*{request_line}", status=403, code="AccessDenied")
    given = {**place.given(), "s3_endpoint": s3_proxy.endpoint}

    def run() -> None:
        place.scene.call("pg_encrypted_dump", **given, set_id=set_id)
        place.scene.call("backup_set", **given, state="committed", set_id=set_id, left_out=LEFT_OUT)

    with pytest.raises(BackupError) as caught:
        run()
    assert "is not allowed; give this identity the policy in the S3 guide" in caught.value.msg and "\n" not in caught.value.msg
    assert place.call("backup_set_info", user=DRILL)["sets"] == before


@pytest.mark.mutation
def test_a_missing_or_different_bucket_is_reported(place: Place) -> None:
    with pytest.raises(ObjectMissing, match="contains no repository"):
        place.call("backup_set_verify", user=DRILL)
    place.backup()
    with pytest.raises(StorageError, match="the bucket does not exist"):
        place.scene.call("backup_set_verify", **{**place.given(ADMIN), "repository": "s3://test-vanished/prod"})
    with pytest.raises(TamperedData, match="find out where it went"):
        dataclasses.replace(place, prefix="elsewhere").call("backup_set", user=ADMIN, state="open", create_repository=True)
