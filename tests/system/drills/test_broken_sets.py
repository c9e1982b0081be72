# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sets that differ from the signed ones, keys that decrypt nothing, hosts without free space, and incomplete drills."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from scenes import role_settings
from scenes.drilling import STEPS, Drill, Outcome, Source
from scenes.scene import BACKUP_HOST, new_identity

AFTER_VERIFY = {f"drill.{step}" for step in STEPS[1:]}
KINDS = ("dump", "secrets", "replay", "redis")


def artifact(made: Drill, kind: str) -> Path:
    """Return the first object of this kind in the set."""
    [manifest] = (made.scene.repository / "sets").glob("*/manifest.json")
    found = json.loads(manifest.read_text(encoding="utf-8"))["artifacts"]
    return made.scene.repository / str(next(one["path"] for one in found if one["kind"] == kind))


def rewrite(path: Path, data: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(data)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    rewrite(path, bytes(data))


def is_refused_at_once(outcome: Outcome, *failed: str) -> None:
    """Check that such a set is not restored."""
    assert (outcome.verdict, outcome.failed, outcome.unproven) == ("fail", set(failed), AFTER_VERIFY), outcome.summary()
    assert outcome.causes == ["set.altered"], outcome.summary()


@pytest.mark.mutation
@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bit_in_an_artifact_fails_the_drill(store_drill: Drill, kind: str) -> None:
    flip(artifact(store_drill, kind))
    is_refused_at_once(store_drill.run(), "set.objects")


@pytest.mark.mutation
@pytest.mark.parametrize("kind", KINDS)
def test_missing_artifact_fails_the_drill(store_drill: Drill, kind: str) -> None:
    artifact(store_drill, kind).unlink()
    is_refused_at_once(store_drill.run(), "set.objects")


@pytest.mark.mutation
def test_truncated_artifact_fails_the_drill(store_drill: Drill) -> None:
    path = artifact(store_drill, "replay")
    rewrite(path, path.read_bytes()[:-1])
    is_refused_at_once(store_drill.run(), "set.objects")


@pytest.mark.mutation
def test_altered_manifest_fails_the_drill(store_drill: Drill) -> None:
    [manifest] = (store_drill.scene.repository / "sets").glob("*/manifest.json")
    signed = manifest.read_bytes()
    assert b"v1.0.0" in signed
    rewrite(manifest, signed.replace(b"v1.0.0", b"v1.0.1"))
    is_refused_at_once(store_drill.run(), "set.signature", "drill.verify")


@pytest.mark.mutation
def test_set_for_other_recipients_is_unproven(store_drill: Drill, tmp_path: Path) -> None:
    new_identity(tmp_path / "identity")
    store_drill.settings["caracal_drill_identity_files"] = [str(tmp_path / "identity")]
    outcome = store_drill.run()
    assert (outcome.verdict, outcome.failed, outcome.causes) == ("unproven", set(), ["set.identity"]), outcome.summary()
    assert outcome.unproven == AFTER_VERIFY - {"drill.sandbox", "drill.secrets"}


@pytest.mark.mutation
def test_secrets_for_other_recipients_are_unproven(store_drill: Drill) -> None:
    store_drill.settings["caracal_drill_secrets_identity_files"] = [str(store_drill.scene.identity)]
    outcome = store_drill.run()
    assert (outcome.verdict, outcome.failed, outcome.causes) == ("unproven", set(), ["set.identity"]), outcome.summary()
    assert {"drill.secrets", "drill.keys", "drill.services"} <= outcome.unproven


@pytest.mark.mutation
@pytest.mark.parametrize(("setting", "step"), [("pg_bin", "sandbox"), ("redis_server", "prepare"), ("services", "services")])
def test_missing_program_is_unproven_and_not_a_failure(store_drill: Drill, setting: str, step: str) -> None:
    value: t.Any = "/no/such/program"
    if setting == "services":
        value = [{**one, "command": ["/no/such/program"]} for one in store_drill.settings["caracal_drill_services"]]
    store_drill.settings[role_settings.named("caracal_drill", setting)] = value
    outcome = store_drill.run()
    assert (outcome.verdict, outcome.failed, outcome.causes) == ("unproven", set(), ["drill.host"]), outcome.summary()
    assert outcome.checks[f"drill.{step}"]["message"].startswith("this drill host could not run the step: ")


@pytest.mark.mutation
def test_sandbox_on_the_file_system_of_production_is_unproven(store_drill: Drill, store_source: Source) -> None:
    directory = store_source.cluster.info.data_directory
    store_drill.settings.update(caracal_drill_allow_shared_filesystem=False, caracal_drill_source_data_directory=directory)
    outcome = store_drill.run()
    assert (outcome.verdict, outcome.failed, outcome.causes) == ("unproven", set(), ["sandbox.shared"]), outcome.summary()


@pytest.mark.mutation
def test_host_without_free_space_is_unproven(store_drill: Drill) -> None:
    store_drill.settings["caracal_drill_minimum_free_mb"] = 2**40
    outcome = store_drill.run()
    assert (outcome.verdict, outcome.failed, outcome.causes) == ("unproven", set(), ["sandbox.room"]), outcome.summary()


@pytest.mark.mutation
def test_set_older_than_its_rpo_budget_fails(store_drill: Drill) -> None:
    store_drill.settings["caracal_drill_rpo_budget"] = 1e-6
    outcome = store_drill.run(until="state")
    assert (outcome.verdict, outcome.failed, outcome.causes) == ("fail", {"drill.rpo"}, ["drill.budget"]), outcome.summary()


@pytest.mark.mutation
def test_drill_longer_than_its_rto_budget_fails(store_drill: Drill) -> None:
    store_drill.settings["caracal_drill_rto_budget"] = 1e-6
    outcome = store_drill.run()
    assert (outcome.verdict, outcome.failed, outcome.causes) == ("fail", {"drill.rto"}, ["drill.budget"]), outcome.summary()


@pytest.mark.mutation
def test_skipped_step_is_unproven(store_drill: Drill) -> None:
    outcome = store_drill.run(without={"evidence"})
    assert (outcome.verdict, outcome.failed, outcome.unproven, outcome.causes) == ("unproven", set(), set(), []), outcome.summary()
    assert outcome.checks["drill.evidence"]["message"] == "not run: the step was skipped"


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"caracal_drill_waivers": [{"check": "x", "reason": "later", "expires": "2020-01-01"}]}, "expired"),
        ({"caracal_drill_signing_key": "{root}/backup/signing_key"}, "drill@prod"),
        ({"caracal_drill_set_id": "20200101T000000Z-aaaa"}, "20200101T000000Z-aaaa"),
        ({"caracal_drill_identity_files": []}, "identity_files"),
    ],
)
def test_invalid_settings_end_before_the_drill(store_drill: Drill, changes: dict[str, t.Any], words: str) -> None:
    given = {name: value.format(root=store_drill.scene.root) if isinstance(value, str) else value for name, value in changes.items()}
    store_drill.settings.update(given)
    outcome = store_drill.run()
    assert outcome.document is None and words in outcome.error and "\n" not in outcome.error, outcome.error
    assert not store_drill.scene.files("drills/**/*")


@pytest.mark.mutation
def test_drill_signed_with_the_backup_key_warns(store_drill: Drill) -> None:
    """One key has both principals: it is in the list of signers, so it is trusted, and the report warns that one stolen
    host could do both.
    """
    scene, key = store_drill.scene, store_drill.scene.key(BACKUP_HOST)
    signers = scene.root / "allowed_signers"
    signers.write_text(f"{signers.read_text()}drill@prod {key.with_suffix('.pub').read_text()}")
    store_drill.settings["caracal_drill_signing_key"] = str(key)
    outcome = store_drill.run(until="verify")
    assert outcome.document and outcome.document["separation"]["verdict"] == "warn", outcome.summary()
    assert "signed with the set's signing key" in outcome.document["separation"]["message"]
