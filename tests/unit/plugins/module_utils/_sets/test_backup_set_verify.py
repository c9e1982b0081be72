# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that can be proved about a set without decryption, and every way in which a set can be wrong."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import allowed_signers
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.signing import Signer
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    KeyProblem,
    ObjectMissing,
    TamperedData,
    VerificationFailed,
    VersionMismatch,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout, manifest
from scenes.fixtures import Committed
from scenes.scene import Scene, tree

VERIFY = "backup_set_verify"


def folder(scene: Scene) -> Path:
    """Return the directory of the newest set."""
    return scene.repository / "sets" / scene.sets()[-1]


@pytest.mark.no_false_alarm
def test_whole_set_passes_and_reports_its_facts(committed: Committed) -> None:
    result = committed.scene.call(VERIFY)
    verdicts = {check["id"]: check["verdict"] for check in result["checks"]}
    assert verdicts == {
        "journal.chain": "pass",
        "journal.freshness": "pass",
        "set.signature": "pass",
        "set.objects": "pass",
        "set.drilled": "unproven",
        "blocks.history": "pass",
    }
    assert result["verdict"] == "pass" and not result["changed"] and "failed" not in result
    facts = result["set_facts"]
    assert (facts["release"], facts["family"], facts["databases"]) == ("v1.0.0", "secret_store", ["caracal", "caracal_auth"])
    assert facts["left_out"] == {"secrets": "not part of this test"} and facts["sequence"] == 3
    times = [one["snapshot_time"] for one in json.loads((folder(committed.scene) / "manifest.json").read_text())["sources"]]
    assert len(set(times)) == 2 and facts["snapshot_time"] == min(times)
    assert result["set_id"] == committed.second["set_id"] == committed.scene.sets()[-1]
    older = committed.scene.call(VERIFY, set_id=committed.first["set_id"])
    assert older["verdict"] == "pass" and older["set_facts"]["sequence"] == 2


def test_first_verification_on_host_reports_unproven_freshness(scene: Scene) -> None:
    """The first time freshness is unproven, later it is proven. Check mode does not store a mark."""
    mark = scene.root / "new_mark"
    for check_mode in (True, True, False):
        before = tree(scene.root)
        result = scene.call(VERIFY, check_mode=check_mode, high_water_mark=str(mark))
        assert {"unproven"} == {check["verdict"] for check in result["checks"] if check["id"] == "journal.freshness"}
        assert result["verdict"] == "pass" and not result["changed"]
        assert (tree(scene.root) == before) == check_mode == (not mark.exists())
    result = scene.call(VERIFY, high_water_mark=str(mark))
    assert {"pass"} == {check["verdict"] for check in result["checks"] if check["id"] == "journal.freshness"}


DAMAGE: dict[str, tuple[str, t.Callable[[bytes], bytes], str]] = {
    "flipped": ("postgres/caracal.dump.zst.age", lambda data: data[:-1] + bytes([data[-1] ^ 1]), "was altered"),
    "truncated": ("postgres/caracal_auth.dump.zst.age", lambda data: data[: len(data) // 2], "bytes instead of"),
    "longer": ("inventory.json.zst.age", lambda data: data + b"\0", "bytes instead of"),
    "blocks": ("audit-blocks.tsv.zst", lambda data: data[:-1] + bytes([data[-1] ^ 1]), "was altered"),
    "empty": ("postgres/caracal.schema.zst.age", lambda _data: b"", "bytes instead of"),
}


@pytest.mark.mutation
@pytest.mark.parametrize("kind", DAMAGE)
def test_an_artifact_that_was_changed_is_named(scene: Scene, kind: str) -> None:
    name, change, words = DAMAGE[kind]
    path = folder(scene) / name
    path.write_bytes(change(path.read_bytes()))
    result = scene.call(VERIFY)
    (check,) = (one for one in result["checks"] if one["verdict"] == "fail")
    assert check["id"] == "set.objects" and str(path) in check["message"] and words in check["message"]
    assert result["failed"] and result["verdict"] == "fail" and result["msg"] == f"verdict fail: set.objects: {check['message']}"
    reported = scene.call(VERIFY, require_valid=False)
    assert reported["verdict"] == "fail" and "failed" not in reported and reported["checks"] == result["checks"]


@pytest.mark.mutation
def test_artifacts_that_changed_places_are_named(scene: Scene) -> None:
    """Each is authentic, some have the right size, but none has its signed path."""
    one, other = (folder(scene) / "postgres" / f"{name}.zst.age" for name in ("caracal.dump", "caracal.schema"))
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    failed = [check for check in scene.call(VERIFY)["checks"] if check["verdict"] == "fail"]
    assert [check["details"]["path"] for check in failed] == [str(path.relative_to(scene.repository)) for path in (one, other)]
    leaves = sorted((scene.repository / "objects").rglob("*.age"))
    same_size = [(a, b) for a in leaves for b in leaves if a < b and a.stat().st_size == b.stat().st_size]
    for a, b in same_size[:1]:
        b.write_bytes(a.read_bytes())
        assert any("contains the bytes of" in check["message"] for check in scene.call(VERIFY)["checks"])


@pytest.mark.mutation
def test_an_artifact_that_is_gone_is_named(scene: Scene) -> None:
    leaf = scene.files("objects/**/*")[3]
    (scene.repository / leaf).unlink()
    for set_id in scene.sets():
        result = scene.call(VERIFY, set_id=set_id)
        assert result["failed"] and leaf in result["msg"] and "missing" in result["msg"]


@pytest.mark.mutation
def test_a_manifest_that_is_not_the_signed_one_is_refused(scene: Scene) -> None:
    path, signature = folder(scene) / "manifest.json", folder(scene) / "signatures" / "backup.sig"
    manifest_bytes, signed = path.read_bytes(), signature.read_bytes()
    for changed in (manifest_bytes + b"\n", manifest_bytes.replace(b"v1.0.0", b"v1.0.1"), b"{}", b"", manifest_bytes[:-1]):
        path.write_bytes(changed)
        scene.refused(VERIFY, TamperedData, str(path), "does not match entry", "another copy")
    path.write_bytes(manifest_bytes)
    older = scene.repository / "sets" / scene.sets()[0]
    shutil.copy(older / "manifest.json", path)
    shutil.copy(older / "signatures" / "backup.sig", signature)
    scene.refused(VERIFY, TamperedData, str(path), "does not match entry")
    path.write_bytes(manifest_bytes)
    scene.refused(VERIFY, TamperedData, str(path))
    signature.unlink()
    scene.refused(VERIFY, ObjectMissing, str(signature))
    signature.write_bytes(signed)
    path.unlink()
    scene.refused(VERIFY, ObjectMissing, str(path))
    path.write_bytes(manifest_bytes)
    assert scene.call(VERIFY)["verdict"] == "pass"


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("host", "namespace"), [("drill", "set@caracal-ops"), ("operator", "set@caracal-ops"), ("backup", "drill@caracal-ops")]
)
def test_a_signature_by_another_or_for_something_else_is_refused(scene: Scene, host: str, namespace: str) -> None:
    signer = Signer(str(scene.key(host)), layout.principal(host, "prod"))
    data = (folder(scene) / "manifest.json").read_bytes()
    (folder(scene) / "signatures" / "backup.sig").write_bytes(signer.sign(data, namespace))
    kind = TamperedData if host == "backup" else KeyProblem
    scene.refused(VERIFY, kind, "manifest.json")


@pytest.mark.mutation
def test_a_report_offered_as_a_manifest_is_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even one that the backup host signed and committed: its type decides."""
    to_bytes = manifest.Manifest.to_bytes
    with monkeypatch.context() as other:
        other.setattr(manifest.Manifest, "to_bytes", lambda self: to_bytes(self).replace(b'"backup-set"', b'"drill-report"'))
        scene.backup()
    scene.refused(VERIFY, TamperedData, "manifest.json", "drill-report", "backup-set")


@pytest.mark.mutation
def test_a_manifest_of_a_newer_format_is_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    to_bytes = manifest.Manifest.to_bytes

    def newer(self: manifest.Manifest) -> bytes:
        data = to_bytes(self)
        changed, count = re.subn(rb'("format": ?)\d+', rb"\g<1>%d" % (layout.NEWEST + 1), data)
        assert count == 1
        return changed

    with monkeypatch.context() as later:
        later.setattr(manifest.Manifest, "to_bytes", newer)
        scene.backup()
    scene.refused(VERIFY, VersionMismatch, "manifest.json", f"format {layout.NEWEST + 1}")
    older = scene.sets()[0]
    assert scene.call(VERIFY, set_id=older)["verdict"] == "pass"


@pytest.mark.mutation
def test_altered_instructions_are_refused(scene: Scene) -> None:
    path = folder(scene) / "RECOVERY.md"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"sha256sum --check", b"true # 3456789abc", 1))
    scene.refused(VERIFY, TamperedData, str(path), "altered")
    path.write_bytes(whole + b"\n")
    scene.refused(VERIFY, TamperedData, str(path), "bytes instead of")
    path.unlink()
    scene.refused(VERIFY, ObjectMissing, str(path), "missing")


def test_revoked_signer_is_refused(scene: Scene) -> None:
    revoked = scene.root / "revoked"
    revoked.write_text(scene.key("backup").with_suffix(".pub").read_text())
    scene.refused(VERIFY, KeyProblem, "revoked", revoked_keys=str(revoked))
    no_signers = scene.root / "nobody"
    no_signers.write_text("")
    scene.refused(VERIFY, KeyProblem, str(no_signers), allowed_signers=str(no_signers))


def test_sets_that_are_not_there_or_too_old_are_refused(scene: Scene, empty_scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.refused(VERIFY, ObjectMissing, "20200101T000000Z-aaaa", "not committed", set_id="20200101T000000Z-aaaa")
    open_set = scene.new_id()
    scene.call("pg_encrypted_dump", set_id=open_set)
    scene.refused(VERIFY, ObjectMissing, open_set, "not committed", set_id=open_set)
    empty_scene.refused(VERIFY, ObjectMissing, str(empty_scene.repository), "create_repository")
    empty_scene.call("backup_set", state="open", create_repository=True)
    empty_scene.refused(VERIFY, ObjectMissing, "no backup set", "create one first")
    assert scene.call(VERIFY, max_age=1)["verdict"] == "pass"
    later = dt.datetime.now(dt.timezone.utc) + dt.timedelta(hours=3)
    load = allowed_signers.Verifier.load
    monkeypatch.setattr(allowed_signers.Verifier, "load", lambda allowed, revoked: load(allowed, revoked, lambda: later))
    scene.refused(VERIFY, VerificationFailed, scene.sets()[-1], " hours old, more than 1", "run a backup", max_age=1)
