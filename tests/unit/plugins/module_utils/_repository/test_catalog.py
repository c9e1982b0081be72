# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import datetime
import json
import shutil
import typing as t

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import strict_json
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupError,
    KeyProblem,
    ObjectMissing,
    StorageError,
    TamperedData,
    VerificationFailed,
    VersionMismatch,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import catalog as catalogs
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout, objects
from unit.plugins.module_utils._repository.conftest import NOW

DRILL = "20261126T020000Z-dddd"


def refused(world, kind: type[BackupError], words: str, set_id: str | None = None) -> None:
    with pytest.raises(kind, match=words) as caught:
        world.catalog().open(set_id or world.set_id())
    assert "\n" not in caught.value.msg


@pytest.mark.no_false_alarm
def test_catalog_lists_sets_in_journal_order(world) -> None:
    assert world.catalog().newest() is None
    world.commit(2)
    world.clock.add(minutes=-9)
    world.commit(1)
    catalog = world.catalog()
    assert [one.set_id for one in catalog.sets()] == [world.set_id(2), world.set_id(1)]
    assert catalog.latest().set_id == world.set_id(1)
    opened = catalog.open(world.set_id(2))
    assert opened.manifest.set_id == world.set_id(2) and opened.record == catalog.get(world.set_id(2))
    assert entries.sha256(opened.manifest_bytes) == opened.record.manifest_sha256
    checks = catalog.verify_objects(opened)
    assert [(one.id, one.verdict) for one in checks] == [("set.objects", "pass")]
    assert checks[0].message.startswith(f"6 objects, {opened.manifest.size} bytes, ")


@pytest.mark.mutation
def test_a_set_that_a_retired_key_dates_back_is_not_of_today(world) -> None:
    """Its manifest has a snapshot time of today, but its entry has a time at which the key was valid."""
    source = world.manifest()[0].sources[0]
    entry = world.commit(1, sources=(dataclasses.replace(source, snapshot_time=NOW + datetime.timedelta(days=400)),))
    world.allowed.write_text(world.allowed.read_text().replace("backup@prod ", 'backup@prod valid-before="20261231Z"'))
    world.clock.add(days=400)
    catalog = world.catalog()
    found = catalog.read(world.set_id(1)).manifest
    assert catalogs.recovery_point(found, entry) == NOW
    with pytest.raises(VerificationFailed, match=r"9600\.0 hours old"):
        catalog.latest(24)


@pytest.mark.mutation
def test_missing_unknown_or_old_set_is_reported(world) -> None:
    with pytest.raises(ObjectMissing, match="has no backup set; create one first"):
        world.catalog().latest()
    world.commit()
    with pytest.raises(ObjectMissing, match=r"set '20261125T020009Z-aaaa' is not in the journal of .*: it was not committed"):
        world.catalog().get(world.set_id(9))
    world.clock.add(hours=26)
    assert world.catalog().latest(26).set_id == world.set_id()
    with pytest.raises(VerificationFailed, match=r"is 26.0 hours old, more than 25"):
        world.catalog().latest(25)


@pytest.mark.mutation
def test_an_altered_recovery_is_found(world) -> None:
    world.commit()
    path = world.path(layout.recovery_key(world.set_id()))
    path.write_bytes(path.read_bytes().replace(b"# Set", b"$ Set"))
    refused(world, TamperedData, "RECOVERY.md was altered")
    path.write_bytes(path.read_bytes() + b"rm -rf /\n")
    refused(world, TamperedData, "RECOVERY.md has .* bytes instead of")
    path.unlink()
    refused(world, ObjectMissing, "RECOVERY.md is missing")


@pytest.mark.mutation
@pytest.mark.parametrize("key", [layout.manifest_key, layout.backup_signature_key])
def test_missing_manifest_or_signature_of_set_is_reported(world, key: t.Callable[[str], str]) -> None:
    world.commit()
    world.store.delete(key(world.set_id()))
    refused(world, ObjectMissing, f"{key(world.set_id())} (does not exist|is missing)")


def replace_manifest(world, data: bytes, role: str = "backup", namespace: str = layout.NAMESPACE_SET) -> None:
    """Store other bytes as the manifest, validly signed by `role`, and append a set entry that replaces the first one."""
    set_id = world.set_id()
    world.path(layout.manifest_key(set_id)).write_bytes(data)
    world.path(layout.backup_signature_key(set_id)).write_bytes(world.signer(role).sign(data, namespace))
    world.store.delete(layout.entry_key(2))
    subjects = [entries.subject(layout.manifest_key(set_id), entries.sha256(data))]
    world.append("set", "backup", subjects=subjects, body={"set": set_id, "source": []})


def manifest_bytes(world) -> bytes:
    world.commit()
    data: bytes = world.store.read(layout.manifest_key(world.set_id()))
    return data


@pytest.mark.mutation
def test_a_manifest_that_the_journal_does_not_name_is_refused(world) -> None:
    data = manifest_bytes(world).replace(b"v1.0.0", b"v1.0.1")
    world.path(layout.manifest_key(world.set_id())).write_bytes(data)
    world.path(layout.backup_signature_key(world.set_id())).write_bytes(world.signer().sign(data, layout.NAMESPACE_SET))
    refused(world, TamperedData, "does not match entry 2 of the journal")


@pytest.mark.mutation
def test_an_unsigned_manifest_is_refused(world) -> None:
    manifest_bytes(world)
    world.path(layout.backup_signature_key(world.set_id())).write_bytes(b"")
    refused(world, TamperedData, "not a valid SSH signature")


@pytest.mark.mutation
def test_a_report_offered_as_a_manifest_is_refused_twice(world) -> None:
    """The namespace of its signature is wrong, and so is its type."""
    manifest_bytes(world)
    report = strict_json.dumps({"type": "drill-report", "format": 1, "set_id": world.set_id(), "verdict": "pass"})
    replace_manifest(world, report, namespace=layout.NAMESPACE_DRILL)
    refused(world, TamperedData, "for 'drill@caracal-ops', not for set@caracal-ops")
    replace_manifest(world, report)
    refused(world, TamperedData, "has type 'drill-report', not backup-set")


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"format": 3}, VersionMismatch, "has format 3, "),
        ({"repository": "0" * 32}, TamperedData, "manifest of another set, repository or deployment"),
        ({"deployment": "test"}, TamperedData, "manifest of another set, repository or deployment"),
        ({"set_id": "20251125T020000Z-bbbb"}, TamperedData, "does not belong to set"),
    ],
)
def test_a_signed_manifest_that_does_not_fit_is_refused(world, change: dict[str, t.Any], kind: type[BackupError], words: str) -> None:
    data = strict_json.dumps({**json.loads(manifest_bytes(world)), **change})
    replace_manifest(world, data)
    refused(world, kind, words)


@pytest.mark.mutation
def test_duplicate_keys_are_refused_although_signed(world) -> None:
    replace_manifest(world, manifest_bytes(world).replace(b'"release"', b'"release": "x", "release"'))
    refused(world, TamperedData, "duplicate key 'release'")


@pytest.mark.mutation
def test_a_manifest_signed_by_another_role_is_refused(world) -> None:
    replace_manifest(world, manifest_bytes(world), role="drill")
    refused(world, KeyProblem, "not a key of backup@prod")


@pytest.mark.mutation
def test_the_manifest_of_another_set_is_refused(world) -> None:
    world.commit(1)
    world.commit(2)
    for key in (layout.manifest_key, layout.backup_signature_key):
        shutil.copy(world.path(key(world.set_id(1))), world.path(key(world.set_id(2))))
    refused(world, TamperedData, "does not match entry 3 of the journal", world.set_id(2))


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("subjects", "body"),
    [
        ([entries.subject("x", "0" * 64)], {"set": "20261125T020001Z-aaaa", "source": []}),
        ([entries.subject("sets/20261125T020001Z-aaaa/manifest.json", "0" * 64)], {"source": []}),
        ([entries.subject("sets/20261125T020001Z-aaaa/manifest.json", "0" * 64)], {"set": ["x"], "source": []}),
    ],
)
def test_a_set_entry_that_names_no_manifest_is_refused(world, subjects: list[entries.Subject], body: dict[str, t.Any]) -> None:
    world.append("set", subjects=subjects, body=body)
    with pytest.raises(TamperedData, match="entry 2 of the journal does not name the manifest of a set"):
        world.catalog().sets()


@pytest.mark.mutation
def test_two_manifests_of_one_set_are_refused(world) -> None:
    world.commit()
    subjects = [entries.subject(layout.manifest_key(world.set_id()), "0" * 64)]
    world.append("set", subjects=subjects, body={"set": world.set_id(), "source": []})
    with pytest.raises(TamperedData, match="names two manifests of set"):
        world.catalog().sets()


@pytest.mark.mutation
def test_truncated_swapped_altered_and_missing_artifacts_are_named(world) -> None:
    world.commit()
    opened = world.catalog().open(world.set_id())
    dump, schema, leaf, inventory = (world.path(one.path) for one in opened.manifest.artifacts[:4])
    first, second = dump.read_bytes(), schema.read_bytes()
    assert len(first) == len(second)
    dump.write_bytes(second)
    schema.write_bytes(first)
    leaf.write_bytes(leaf.read_bytes()[:-1])
    inventory.unlink()
    failed = world.catalog().verify_objects(opened)
    assert [(one.verdict, one.details["path"]) for one in failed] == [("fail", one.path) for one in opened.manifest.artifacts[:4]]
    paths = [one.path for one in opened.manifest.artifacts]
    words = (f"contains the bytes of {paths[1]}", f"contains the bytes of {paths[0]}", "3 bytes instead of 4", "is missing")
    assert [word in check.message for check, word in zip(failed, words, strict=True)] == [True] * 4
    assert {check.id for check in failed} == {objects.CHECK_ID}
    dump.write_bytes(b"X" + first[1:])
    assert "was altered" in world.catalog().verify_objects(opened)[0].message
    refused(world, TamperedData, "3 bytes instead of 4")
    leaf.write_bytes(b"rows")
    refused(world, ObjectMissing, "inventory.json.zst.age is missing")


@pytest.mark.mutation
def test_a_link_in_the_place_of_an_artifact_is_named(world) -> None:
    world.commit()
    opened = world.catalog().open(world.set_id())
    dump = world.path(opened.manifest.artifacts[0].path)
    dump.rename(world.folder / "elsewhere")
    dump.symlink_to(world.folder / "elsewhere")
    assert "is not a regular file" in world.catalog().verify_objects(opened)[0].message


def test_a_small_artifact_is_read_and_compared(world) -> None:
    world.commit()
    blocks = world.catalog().open(world.set_id()).manifest.artifacts[4]
    assert world.catalog().read_artifact(blocks) == b"blocks"
    world.path(blocks.path).write_bytes(b"BLOCKS")
    with pytest.raises(TamperedData, match=r"audit-blocks.tsv.zst was altered"):
        world.catalog().read_artifact(blocks)


def drill(world, role: str = "drill") -> None:
    """Write the signature and the journal entry of a passed drill."""
    opened = world.catalog().open(world.set_id())
    signature = world.signer(role).sign(opened.manifest_bytes, layout.NAMESPACE_SET)
    world.store.put(layout.countersignature_key(world.set_id(), DRILL), signature)
    names = {layout.drill_report_key(DRILL): "1" * 64, layout.manifest_key(world.set_id()): opened.record.manifest_sha256}
    world.append("drill", "drill", subjects=[entries.subject(name, digest) for name, digest in names.items()])


@pytest.mark.no_false_alarm
def test_drills_that_signed_the_set_are_known(world) -> None:
    world.commit(1)
    world.commit(2)
    assert world.catalog().countersignatures(world.catalog().open(world.set_id())) == []
    drill(world)
    found = world.catalog().countersignatures(world.catalog().open(world.set_id()))
    assert [(one.drill_id, one.sequence, one.fingerprint) for one in found] == [(DRILL, 4, world.signer("drill").fingerprint)]
    assert world.catalog().countersignatures(world.catalog().open(world.set_id(2))) == []


@pytest.mark.mutation
def test_a_countersignature_of_the_set_s_own_signer_does_not_count(world) -> None:
    world.commit()
    drill(world, "backup")
    faults: list[str] = []
    assert world.catalog().countersignatures(world.catalog().open(world.set_id()), faults) == []
    assert len(faults) == 1 and "not a key of drill@prod" in faults[0]


@pytest.mark.mutation
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_any_flipped_bit_of_anything_stored_is_found(world, data: st.DataObject) -> None:
    if world.catalog().newest() is None:
        world.commit()
    name = data.draw(st.sampled_from([one.key for one in world.store.list("")]))
    path = world.path(name)
    good = path.read_bytes()
    bit = data.draw(st.integers(0, len(good) * 8 - 1))
    bad = bytearray(good)
    bad[bit // 8] ^= 1 << bit % 8
    path.write_bytes(bytes(bad))
    try:
        catalog = world.catalog()
        failed = [one.verdict for one in catalog.verify_objects(catalog.open(world.set_id()))] != ["pass"]
    except (TamperedData, KeyProblem, VersionMismatch, StorageError):
        failed = True
    finally:
        path.write_bytes(good)
    assert failed, f"bit {bit} of {name}"
