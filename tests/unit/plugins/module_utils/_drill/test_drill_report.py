# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import os
import subprocess
import typing as t
from pathlib import Path

import pyrage
import pytest
import zstandard

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible import boundary
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import required
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import strict_json
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.allowed_signers import Verifier
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.signing import Signer
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.drill_facts import Findings
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.drill_options import DrillOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StorageError
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.declared import Options
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import WaiverOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import Check
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import (
    artifact,
    commit,
    creation,
    journal,
    layout,
    manifest,
    repository,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.catalog import Catalog
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.base import ObjectStat
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from scenes import drill_reports
from scenes.metrics_text import parse

SET_ID = "20261125T020000Z-k3f9"
MAKER = "the-host-that-made-it"
SEALED = b"sealed bytes"
TIMES: dict[str, str | None] = {"database": None, "store": None}
GOOD = Check("set.objects", "pass", "whole", details={"rows": 471147114711}).to_result()
BAD = Check("inventory.caracal.tables", "fail", "public.zones: 3 rows instead of 4").to_result()
GOOD_ONES = [
    GOOD,
    *drill_reports.passed(*sorted(required.required(["caracal"], "secret_store", "v1.0.0") - {GOOD["id"], BAD["id"]})),
    {**GOOD, "id": BAD["id"]},
]
LACKING = [one for one in GOOD_ONES if one["id"] != BAD["id"]]
WAIVER = WaiverOptions(check=BAD["id"], reason="known, OPS-4711", expires="2999-12-31")


@dataclasses.dataclass(frozen=True)
class World:
    """A repository with one set, and the keys of all hosts."""

    root: Path
    identity: t.Any

    @property
    def store(self) -> LocalStore:
        return LocalStore(str(self.root / "repository"))

    @property
    def verifier(self) -> Verifier:
        return Verifier.load(str(self.root / "allowed_signers"))

    def journal(self) -> journal.Journal:
        return journal.read(repository.load(self.store, self.verifier, "prod"), self.verifier)

    def tree(self) -> dict[str, bytes]:
        files = (path for path in sorted((self.root / "repository").rglob("*")) if path.is_file())
        return {str(path.relative_to(self.root / "repository")): path.read_bytes() for path in files}

    def options(self, **changes: t.Any) -> dict[str, t.Any]:
        """Return options: the repository, the host's keys, and the findings. A step without a time began with the drill."""
        given = {
            "repository": str(self.root / "repository"),
            "deployment": "prod",
            "allowed_signers": str(self.root / "allowed_signers"),
            "high_water_mark": str(self.root / "mark.json"),
            "signing_key": str(self.root / "drill"),
            "recipients": [str(self.identity.to_public())],
            "set_id": SET_ID,
            "started": access.now().isoformat(),
            "checks": GOOD_ONES,
        }
        merged = {name: value for name, value in {**given, **changes}.items() if value is not None}
        return {**merged, "steps": [{"started": merged["started"], **one} for one in merged.get("steps", [])]}

    def ssh_verify(self, name: str, signature: str, principal: str, namespace: str) -> str:
        """Run the real ssh-keygen and return its result."""
        command = ["ssh-keygen", "-Y", "verify", "-f", str(self.root / "allowed_signers"), "-I", principal, "-n", namespace, "-s"]
        with open(self.root / "repository" / name, "rb") as data:
            done = subprocess.run([*command, str(self.root / "repository" / signature)], stdin=data, capture_output=True, check=True)
        return done.stdout.decode()


@pytest.fixture
def world(tmp_path: Path) -> World:
    lines = []
    for role in ("backup", "drill"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(tmp_path / role)], check=True)
        lines.append(f"{role}@prod {(tmp_path / f'{role}.pub').read_text(encoding='ascii')}")
    (tmp_path / "allowed_signers").write_text("".join(lines), encoding="ascii")
    made = World(tmp_path, pyrage.x25519.Identity.generate())
    signer = Signer(str(tmp_path / "backup"), "backup@prod")
    _commit(creation.create(made.store, "prod", signer, MAKER, access.now, verifier=made.verifier), made, signer)
    return made


def _commit(place: repository.Repository, made: World, signer: Signer) -> None:
    recovery, key = b"# Recovery\n", layout.dump_key(SET_ID, "caracal")
    made.store.put(key, SEALED)
    now = access.now()
    content = manifest.Manifest(
        set_id=SET_ID,
        repository=place.id,
        deployment="prod",
        created=now,
        previous=None,
        family="secret_store",
        release="v1.0.0",
        sources=(manifest.Source("caracal", "7711914040412184586", 170010, now, "0/1", False),),
        artifacts=(
            artifact.Artifact(key, artifact.DUMP, len(SEALED), hashlib.sha256(SEALED).hexdigest(), "zstd", ("SHA256:x",), "caracal"),
            artifact.recovery(SET_ID, recovery),
        ),
        pairing=manifest.Pairing("unproven", "no secrets"),
    )
    body = {"source": [{"database": "caracal", "system_identifier": "7711914040412184586"}]}
    commit.commit(place, made.journal(), signer, content, recovery, body=body, time=access.times(), machine=MAKER)


def run(given: dict[str, t.Any], check_mode: bool = False) -> dict[str, t.Any]:
    """Return the result, or the error as the module reports it."""

    def write(_invocation: boundary.Invocation) -> dict[str, t.Any]:
        found = {one.name: given[one.name] for one in dataclasses.fields(Findings) if one.name in given}
        own = {name: given[name] for name in DrillOptions.spec() if name in given and name not in (*found, *drill_reports.REPOSITORY)}
        findings = Findings(**found)
        return drill_reports.report(given, findings, check_mode=check_mode, **own)

    return boundary.answer(write, boundary.Invocation(Options(), check_mode, lambda _text: None))


def test_a_drill_that_passed_is_signed_countersigned_and_in_the_journal(world: World) -> None:
    before = world.tree()
    steps = [{"name": "sandbox", "seconds": 1.5}, {"name": "restore", "seconds": 3.0, "bytes": 6_000_000}]
    given = world.options(steps=steps, sandbox={"isolation": "bubblewrap", "directory": "/var/tmp/drill"})
    predicted = run(given, check_mode=True)
    assert world.tree() == before and not os.path.exists(given["high_water_mark"])
    result = run(given)
    differing = {name for name, value in result.items() if predicted[name] != value}
    assert differing <= {"drill_id", "report", "journal_head", "seconds", "rto_seconds", "summary_lines", "countersigned"}
    assert result["changed"] and predicted["changed"] and result["verdict"] == "pass"
    assert result["countersigned"] and not predicted["countersigned"]
    assert predicted["summary_lines"][-1] not in ("verdict: pass", result["summary_lines"][-1])
    drill = result["drill_id"]
    new = sorted(world.tree().keys() - before.keys())
    assert [name for name in new if not name.startswith("journal/")] == sorted(
        [*result["report"]["files"], layout.countersignature_key(SET_ID, drill)]
    )
    assert all(world.tree()[name] == data for name, data in before.items())
    report = strict_json.loads(world.tree()[f"drills/{drill}/report.json"])
    assert report["set"]["release"] == "v1.0.0" and report["set"]["sequence"] == 2 and report["journal_head"] == predicted["journal_head"]
    assert report["freshness"] == "unproven" and report["steps"][1]["mb_per_second"] == 2.0
    assert world.ssh_verify(f"drills/{drill}/report.json", f"drills/{drill}/report.json.sig", "drill@prod", "drill@caracal-ops")
    assert world.ssh_verify(layout.manifest_key(SET_ID), layout.countersignature_key(SET_ID, drill), "drill@prod", "set@caracal-ops")
    assert result["summary_lines"][-1] == "verdict: pass" and any("report.html" in line for line in result["summary_lines"])


def test_the_journal_names_every_file(world: World) -> None:
    result = run(world.options())
    read = world.journal()
    entry = read.entries[-1]
    assert result["journal_head"] == str(read.head) and entry.kind == "drill" and entry.principal == "drill@prod"
    tree = world.tree()
    named = [name for name in result["report"]["files"] if not name.endswith(".sig")] + [layout.manifest_key(SET_ID)]
    assert entry.subjects == {name: hashlib.sha256(tree[name]).hexdigest() for name in named}
    assert entry.subjects[f"drills/{result['drill_id']}/report.json"] == result["report"]["sha256"]
    assert entry.body == {
        "drill": result["drill_id"],
        "set": SET_ID,
        "verdict": "pass",
        "counts": result["counts"],
        "waived": [],
        "seconds": result["seconds"],
        "separation": "pass",
    }
    catalog = Catalog(repository.load(world.store, world.verifier, "prod"), read, world.verifier)
    assert [one.drill_id for one in catalog.countersignatures(catalog.open(SET_ID))] == [result["drill_id"]]


def test_details_are_sealed_and_nowhere_else(world: World) -> None:
    drill = run(world.options(sandbox={"directory": "/var/tmp/drill-4712"}))["drill_id"]
    tree = world.tree()
    sealed = tree[f"drills/{drill}/details.json.zst.age"]
    assert not [name for name, data in tree.items() if b"471147114711" in data or b"drill-4712" in data]
    opened = json.loads(zstandard.ZstdDecompressor().decompressobj().decompress(pyrage.decrypt(sealed, [world.identity])))
    assert {name: GOOD[name] for name in ("id", "verdict", "message", "details")} in opened["checks"]
    assert opened["sandbox"] == {"directory": "/var/tmp/drill-4712"}
    report = strict_json.loads(tree[f"drills/{drill}/report.json"])
    assert report["details"]["sha256"] == hashlib.sha256(sealed).hexdigest() and report["details"]["size"] == len(sealed)


def test_the_local_copy_is_the_same(world: World) -> None:
    folder = world.root / "reports"
    result = run(world.options(report_dir=str(folder)))
    copies = {f"drills/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert copies == {name: world.tree()[name] for name in result["report"]["files"]}
    assert Path(result["report"]["html"]).read_bytes().startswith(b"<!DOCTYPE html>")
    assert f"report          {result['report']['html']}" in result["summary_lines"]


@pytest.mark.parametrize(("checks", "verdict"), [(GOOD_ONES, "pass"), ([*LACKING, BAD], "fail"), (LACKING, "unproven")])
def test_metrics_match_report(world: World, checks: list[dict[str, t.Any]], verdict: str) -> None:
    path = world.root / "drill.prom"
    given = world.options(
        checks=checks,
        steps=[{"name": "restore", "seconds": 3.0}],
        metrics_file=str(path),
        started=access.now().isoformat(),
    )
    assert run(given, check_mode=True)["verdict"] == verdict and not path.exists()
    made = run(given)
    report = strict_json.loads(world.tree()[f"drills/{made['drill_id']}/report.json"])
    found = {name.removeprefix("caracal_backup_drill_"): values for name, values in parse(path.read_text()).items()}
    (deployment,) = {labels[0] for values in found.values() for labels in values}
    assert deployment == ("deployment", "prod") and path.stat().st_mode & 0o777 == 0o644
    assert {dict(labels)["verdict"] for labels, value in found["verdict"].items() if value} == {verdict}
    assert {dict(labels)["verdict"]: value for labels, value in found["checks"].items()} == made["counts"]
    assert found["journal_head_info"] == {(deployment, ("head", made["journal_head"])): 1}
    assert found.get("recovery_time_seconds", {}).get((deployment,)) == made["rto_seconds"]
    assert found["recovery_point_seconds"] == {(deployment,): made["rpo_seconds"]} and found["duration_seconds"] == {
        (deployment,): made["seconds"]
    }
    assert found["set_age_seconds"] == {(deployment,): report["set"]["age_seconds"]}
    assert abs(found["finished_timestamp_seconds"][(deployment,)] - access.now().timestamp()) < 60
    passed = {(deployment,): world.journal().entries[-1].judged.timestamp()} if verdict == "pass" else None
    assert found.get("passed_timestamp_seconds") == passed


@pytest.mark.mutation
def test_a_drill_that_failed_is_evidence_too(world: World) -> None:
    result = run(world.options(checks=[*LACKING, BAD]))
    assert result["failed"] and result["msg"] == "verdict fail: inventory.caracal.tables: public.zones: 3 rows instead of 4"
    assert result["verdict"] == "fail" and result["counts"]["fail"] == 1 and not result["countersigned"]
    assert result["summary_lines"][-1] == "verdict: fail"
    assert world.store.stat(layout.countersignature_key(SET_ID, result["drill_id"])) is None
    assert world.journal().entries[-1].body["verdict"] == "fail"


@pytest.mark.mutation
def test_no_check_at_all_is_unproven(world: World) -> None:
    result = run(world.options(checks=[]))
    assert result["failed"] and result["verdict"] == "unproven" and result["msg"].startswith("verdict unproven: drill.complete: ")


@pytest.mark.mutation
def test_a_check_left_out_keeps_a_drill_from_passing(world: World) -> None:
    result = run(world.options(checks=LACKING))
    assert result["verdict"] == "unproven" and "first: inventory.caracal.tables" in result["msg"]


@pytest.mark.mutation
def test_no_caller_declares_a_required_check_unimportant(world: World) -> None:
    result = run(world.options(checks=[*LACKING, {**BAD, "required": False}]))
    assert result["verdict"] == "fail"


def test_waived_failure_passes_and_is_listed(world: World) -> None:
    result = run(world.options(checks=[*LACKING, BAD], waivers=[WAIVER]))
    assert result["verdict"] == "pass" and not result.get("failed")
    assert world.journal().entries[-1].body["waived"] == [BAD["id"]]
    assert [BAD["id"] in line for line in result["summary_lines"] if line.startswith("waived ")] == [True]


def test_freshness_is_evaluated_for_whole_drill(world: World) -> None:
    assert run(world.options())["freshness"] == "unproven"
    assert run(world.options())["freshness"] == "fresh", "the first report left a mark"
    earlier = Check("journal.freshness", "unproven", "no mark", required=False).to_result()
    assert run(world.options(checks=[*GOOD_ONES, earlier]))["freshness"] == "unproven", "a module before this one made the mark"


def test_drill_signed_with_signing_key_of_set_warns(world: World) -> None:
    assert run(world.options())["separation"]["verdict"] == "pass"
    signers = world.root / "allowed_signers"
    key = (world.root / "backup.pub").read_text(encoding="ascii")
    signers.write_text(signers.read_text(encoding="ascii") + f"drill@prod {key}", encoding="ascii")
    result = run(world.options(signing_key=str(world.root / "backup")))
    assert result["separation"]["verdict"] == "warn" and "set's signing key" in result["separation"]["message"]
    assert any(line.startswith("separation      warn") for line in result["summary_lines"])


def test_a_truncated_artifact_does_not_keep_the_report_from_being_made(world: World) -> None:
    path = world.root / "repository" / layout.dump_key(SET_ID, "caracal")
    path.write_bytes(SEALED[:-1])
    result = run(world.options(checks=[BAD]))
    assert result["verdict"] == "fail" and world.journal().entries[-1].kind == "drill"


@pytest.mark.mutation
@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"signing_key": None}, "signing_key is missing"),
        ({"signing_key": "{root}/backup"}, "not a key of drill@prod"),
        ({"signing_key": "{root}/nothing"}, "cannot be read"),
        ({"set_id": "20261125T020000Z-zzzz"}, "is not in the journal"),
        ({"recipients": None}, "no recipient"),
        ({"recipients": None, "recipients_files": ["{root}/drill.pub"]}, "is the signing key"),
        ({"waivers": [dataclasses.replace(WAIVER, expires="2020-01-01")]}, "expired on 2020-01-01"),
        ({"waivers": [dataclasses.replace(WAIVER, reason=" ")]}, "without a reason"),
        ({"started": "2999-01-01T00:00:00Z"}, "which is in the future"),
        ({"steps": [{"name": "restore", "seconds": -1.0}]}, "step restore took -1.0 seconds"),
        ({"steps": [{"name": "restore", "seconds": 1, "started": "2999-01-01T00:00:00Z"}]}, "step restore started at 2999"),
        ({"rto_budget": 0.0}, "rto_budget is 0.0 hours"),
        ({"rpo_budget": float("nan")}, "rpo_budget is nan hours"),
        ({"log_files": {"sts": "{root}"}}, "log {root}: "),
        ({"identity_files": ["{root}/none"]}, "cannot be read"),
        ({"report_dir": "{root}/allowed_signers"}, "{root}/allowed_signers: "),
        ({"metrics_file": "{root}/drill.txt"}, "does not end in .prom"),
        ({"metrics_file": "{root}/no/drill.prom"}, "the directory"),
        ({"high_water_mark": "{root}/no/such/mark"}, "folder that exists"),
        ({"deployment": "stage"}, "belongs to deployment prod"),
        ({"repository": "{root}/nowhere"}, "contains no repository"),
    ],
)
def test_wrong_options_end_in_one_line_before_anything_is_written(
    world: World, check_mode: bool, changes: dict[str, t.Any], words: str
) -> None:
    filled = {name: _below(world.root, value) for name, value in changes.items()}
    before = world.tree()
    result = run(world.options(**filled), check_mode)
    assert result["failed"] and words.replace("{root}", str(world.root)) in result["msg"] and "\n" not in result["msg"]
    assert world.tree() == before and not os.path.exists(world.root / "mark.json")


def _below(root: Path, value: t.Any) -> t.Any:
    """Return the value with `root` in place of `{root}` in its texts."""
    if isinstance(value, dict):
        return {name: _below(root, one) for name, one in value.items()}
    if isinstance(value, list):
        return [_below(root, one) for one in value]
    return value.replace("{root}", str(root)) if isinstance(value, str) else value


def _alter(world: World) -> None:
    path = world.root / "repository" / layout.manifest_key(SET_ID)
    path.write_bytes(path.read_bytes().replace(b"v1.0.0", b"v1.0.1"))


def _remove(world: World) -> None:
    os.unlink(world.root / "repository" / layout.manifest_key(SET_ID))


def _sign_by_another(world: World) -> None:
    signature = Signer(str(world.root / "drill"), "drill@prod").sign(
        (world.root / "repository" / layout.manifest_key(SET_ID)).read_bytes(), layout.NAMESPACE_SET
    )
    (world.root / "repository" / layout.backup_signature_key(SET_ID)).write_bytes(signature)


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("damage", "words"),
    [(_alter, "does not match entry 2"), (_remove, "is missing"), (_sign_by_another, "find out who wrote this")],
)
def test_set_that_cannot_be_trusted_fails_and_is_diagnosed_as_altered(world: World, damage: t.Callable[[World], None], words: str) -> None:
    damage(world)
    result = run(world.options(checks=[], rpo_budget=1.0))
    assert result["failed"] and result["verdict"] == "fail" and result["msg"].startswith("verdict fail: set.signature: ")
    assert words in result["msg"] and not result["countersigned"] and result["rpo_seconds"] is None
    assert [one["id"] for one in result["diagnosis"]] == ["set.altered"]
    entry = world.journal().entries[-1]
    assert entry.kind == "drill" and entry.body["verdict"] == "fail" and layout.manifest_key(SET_ID) in entry.subjects
    report = strict_json.loads(world.tree()[f"drills/{result['drill_id']}/report.json"])
    assert report["set"]["sequence"] == 2 and report["set"]["snapshot_time"] is None and report["set"]["artifacts"] is None
    assert report["coverage"]["assets"] is None and report["recipients"] is None
    assert world.store.stat(layout.countersignature_key(SET_ID, result["drill_id"])) is None


@pytest.mark.mutation
def test_nothing_makes_an_unreadable_set_pass(world: World) -> None:
    """Neither a caller's claim about the signature nor a waiver is enough."""
    _alter(world)
    assert run(world.options())["verdict"] == "fail"
    before = world.tree()
    result = run(world.options(waivers=[dataclasses.replace(WAIVER, check="set.signature")]))
    assert "set.signature is waived, but" in result["msg"] and "verdict" not in result and world.tree() == before


@pytest.mark.mutation
def test_without_a_journal_there_is_nothing_to_bind_a_report_to(world: World) -> None:
    path = world.root / "repository" / layout.entry_key(1)
    path.write_bytes(path.read_bytes() + b"\n")
    before = world.tree()
    result = run(world.options())
    assert result["failed"] and result["error"] == "TamperedData" and world.tree() == before


def _report(world: World, result: dict[str, t.Any]) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", strict_json.loads(world.tree()[f"drills/{result['drill_id']}/report.json"]))


def test_budgets_are_checks_that_the_verdict_depends_on(world: World) -> None:
    steps = [{"name": "restore", "seconds": 3.0}]
    early = (access.now() - datetime.timedelta(seconds=90)).isoformat()
    kept = run(world.options(steps=steps, rto_budget=1, rpo_budget=0.5))
    assert kept["verdict"] == "pass" and kept["budgets"] == {"rto_seconds": 3600.0, "rpo_seconds": 1800.0, "tail_seconds": 93600.0}
    broken = run(world.options(steps=steps, started=early, rto_budget=0.01))
    assert broken["verdict"] == "fail" and broken["msg"].startswith("verdict fail: drill.rto: recovery took 1 min 3")
    assert broken["rto_seconds"] > 36 and [one["id"] for one in broken["diagnosis"]] == ["drill.budget"]
    nothing = run(world.options(rto_budget=1))
    assert nothing["verdict"] == "unproven" and "drill.rto: the set was not restored" in nothing["msg"]


@pytest.mark.mutation
def test_the_age_of_the_newest_signed_entry_is_a_check_without_being_asked_for(world: World) -> None:
    in_time = run(world.options())
    assert (in_time["verdict"], in_time["budgets"]["tail_seconds"]) == ("pass", 26 * 3600.0)
    late = run(world.options(tail_budget=1e-9))
    assert late["verdict"] == "fail" and late["msg"].startswith("verdict fail: audit.tail: ")
    assert [one["id"] for one in late["diagnosis"]] == ["drill.budget"]
    assert "budget is -1.0 hours" in run(world.options(tail_budget=-1.0))["msg"]


def test_metrics_of_budgets_and_causes(world: World) -> None:
    path = world.root / "drill.prom"
    bad = Check("canary.jwks", "fail", "500: signing key decryption failed").to_result()
    run(world.options(checks=[*GOOD_ONES, bad], rto_budget=2, metrics_file=str(path)))
    found = parse(path.read_text())
    deployment = ("deployment", "prod")
    assert found["caracal_backup_drill_rto_budget_seconds"] == {(deployment,): 7200}
    assert found["caracal_backup_drill_diagnosis_info"] == {(deployment, ("cause", "kek.wrong")): 1}
    assert "caracal_backup_drill_rpo_budget_seconds" not in found


@pytest.mark.mutation
def test_causes_use_checks_and_logs_without_printing_log_lines(world: World) -> None:
    log = world.root / "sts.log"
    log.write_text("secret-of-a-log 1\n" * 40_000 + "jwks: skipped invalid signing key secret-of-a-log\n", encoding="ascii")
    logs = {"sts": str(log), "api": str(world.root / "none.log")}
    result = run(world.options(log_files=logs))
    assert [one["id"] for one in result["diagnosis"]] == ["kek.wrong"]
    assert result["diagnosis"][0]["because"] == ["log of sts"]
    assert not [name for name, data in world.tree().items() if b"secret-of-a-log" in data] and "secret-of-a-log" not in str(result)
    assert _report(world, result)["diagnosis"] == result["diagnosis"]


def test_identity_is_reported_as_opener_only_if_headers_prove_it(world: World) -> None:
    """The only artifact of this set is not an age file, so no identity decrypts it. The other tests of recipients use real sets."""
    (world.root / "identity").write_text(str(world.identity), encoding="ascii")
    (world.root / "identity").chmod(0o600)
    report = _report(world, run(world.options(identity_files=[str(world.root / "identity")])))
    assert report["recipients"] == [{"assets": "databases", "sealed_to": ["SHA256:x"], "opened_by": None}]


ZONE = "019a326a-0400-781c-8083-2b051a8ef0ae"


def test_identifiers_are_nowhere_but_among_what_is_sealed(world: World) -> None:
    taken = {"id": "revoked.grants", "words": "grants", "remedy": "delete", "count": 1, "examples": [ZONE]}
    checks = [*LACKING, {**BAD, "message": f"zone {ZONE} lacks a row"}]
    result = run(world.options(checks=checks, rollback=[taken]))
    assert ZONE not in json.dumps(result)
    assert not [name for name, data in world.tree().items() if ZONE.encode() in data]
    sealed = world.tree()[f"drills/{result['drill_id']}/details.json.zst.age"]
    opened = json.loads(zstandard.ZstdDecompressor().decompressobj().decompress(pyrage.decrypt(sealed, [world.identity])))
    ((short, known),) = opened["identifiers"].items()
    assert known == ZONE and _report(world, result)["rolls_back"] == [{**taken, "examples": [short]}]


@pytest.mark.mutation
@pytest.mark.parametrize("number", range(1, 9))
def test_store_failure_midway_records_no_drill(world: World, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Eight objects: four files, two signatures, and the signature and entry of the journal."""
    head, left, put = str(world.journal().head), [number], LocalStore.put

    def failing(self: LocalStore, key: str, data: bytes) -> ObjectStat:
        left[0] -= 1
        if not left[0]:
            raise StorageError("the disk is full; make room")
        return put(self, key, data)

    with monkeypatch.context() as patched:
        patched.setattr(LocalStore, "put", failing)
        result = run(world.options())
    assert result["failed"] and "disk is full" in result["msg"] and str(world.journal().head) == head
    after = run(world.options())
    assert after["verdict"] == "pass" and str(world.journal().head) == after["journal_head"]


def test_hostile_words_reach_every_file_as_words(world: World) -> None:
    message = "\x1b[2J</code><script>\u202e\ufffe\nsecond line"
    result = run(world.options(checks=[*LACKING, {**BAD, "message": message}]))
    assert all(not {"\x1b", "\n", "\u202e"} & set(line) for line in result["summary_lines"])
    page = world.tree()[f"drills/{result['drill_id']}/report.html"].decode()
    assert "<script>" not in page and not {"\x1b", "\u202e"} & set(page)
