# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A wrong setup of a drill host proves nothing about the set: the result is unproven, with its cause, and never a failure."""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import engine
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import isolation
from scenes import role_settings
from scenes.drilling import Drill, command
from scenes.scene import BACKUP_HOST, new_identity

Set = t.Callable[[Drill, Path], t.Mapping[str, t.Any]]


@dataclasses.dataclass(frozen=True)
class Mistake:
    """Settings of the role without their prefix, the step that cannot run, and the other steps that are left out."""

    step: str
    settings: Set
    without: tuple[str, ...] = ()


def mistake(step: str, settings: Set | t.Mapping[str, t.Any], *without: str) -> Mistake:
    return Mistake(step, settings if callable(settings) else (lambda _made, _folder: settings), without)


def readable_by_all(_made: Drill, folder: Path) -> dict[str, t.Any]:
    new_identity(folder / "identity")
    (folder / "identity").chmod(0o644)
    return {"identity_files": [str(folder / "identity")]}


def no_identity_in_it(_made: Drill, folder: Path) -> dict[str, t.Any]:
    (folder / "identity").write_text("AGE-SECRET-KEY-1\n")
    (folder / "identity").chmod(0o600)
    return {"identity_files": [str(folder / "identity")]}


def public_key_instead(made: Drill, _folder: Path) -> dict[str, t.Any]:
    return {"identity_files": [str(made.scene.recipients)]}


def not_executable(_made: Drill, folder: Path) -> dict[str, t.Any]:
    (folder / "audit").write_text("no program")
    return {"services": [{**command("audit"), "command": [str(folder / "audit")]}]}


def image_without_engine(_made: Drill, folder: Path) -> dict[str, t.Any]:
    image = {"name": "audit", "image": f"sha256:{'0' * 64}"}
    return {"services": [image], "engine": f"unix://{folder}/no-such-socket", "images_directory": str(folder / "images")}


def not_a_table(_made: Drill, folder: Path) -> dict[str, t.Any]:
    (folder / "table.json").write_text("{")
    return {"release_table": str(folder / "table.json")}


def old_programs(_made: Drill, folder: Path) -> dict[str, t.Any]:
    for name in ("postgres", "initdb", "pg_ctl", "pg_restore", "pg_dump", "psql"):
        (folder / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 12.1'\n")
        (folder / name).chmod(0o755)
    return {"pg_bin": str(folder)}


def application(**own: t.Any) -> dict[str, t.Any]:
    usual = {"zone": "z", "id": "a", "client_secret_file": "/no/such/file", "resource": "resource://canary"}
    return {"application": {**usual, **own}}


READERS = ("migrations", "state", "evidence", "keys")
MISTAKES = {
    "programs of PostgreSQL that are not there": mistake("sandbox", {"pg_bin": "/no/such/folder"}),
    "programs of PostgreSQL that are too old": mistake("sandbox", old_programs),
    "a superuser that PostgreSQL refuses": mistake("sandbox", {"superuser": "pg_drill"}),
    "a directory without a parent": mistake("sandbox", {"sandbox_directory": "/no/such/parent/drill"}),
    "no room": mistake("sandbox", {"minimum_free_mb": 2**40}),
    "an address of production that is none": mistake("sandbox", {"production": ["postgres://db"]}),
    "no reason for no isolation": mistake("sandbox", {"isolation": "auto"}),
    "a table of a release that is not there": mistake("migrations", {"release_table": "/no/such/table"}),
    "a table of a release that is none": mistake("migrations", not_a_table),
    "an audit key that is not there": mistake(
        "evidence", {"audit_hmac_key_files": ["/no/such/key"]}, "migrations", "state"),
    "a Redis that is not there": mistake("prepare", {"redis_server": "/no/such/redis"}, *READERS),
    "a service that is not there": mistake(
        "services", {"services": [{**command("audit"), "command": ["/no/such/audit"]}]}, *READERS),
    "a service that is not executable": mistake("services", not_executable, *READERS),
    "files of a service that are not there": mistake(
        "services", {"services": [{**command("audit"), "readable": ["/no/such/folder"]}]}, *READERS),
    "a service without an absolute path": mistake(
        "services", {"services": [{**command("audit"), "command": ["audit"]}]}, *READERS),
    "an image without an engine": mistake("services", image_without_engine, *READERS),
    "a service that is neither image nor program": mistake("services", {"services": [{"name": "audit"}]}, *READERS),
    "an application whose secret is not there": mistake("canary", application(), *READERS),
}  # fmt: skip


# Found before the restore. A host that cannot decrypt, sign, encrypt or write has no drill, and no report about the set.
BEFORE: dict[str, Set] = {
    "an identity that is not there": lambda _made, _folder: {"identity_files": ["/no/such/identity"]},
    "an identity that every user may read": readable_by_all,
    "an identity that is cut": no_identity_in_it,
    "a public key as identity": public_key_instead,
    "an identity for the secrets that is not there": lambda _made, _folder: {"secrets_identity_files": ["/no/such/identity"]},
    "a key that is not the drill's": lambda made, _folder: {"signing_key": str(made.scene.key(BACKUP_HOST))},
    "a list of signers that is not there": lambda _made, _folder: {"allowed_signers": "/no/such/list"},
    "a folder for reports that cannot be": lambda made, _folder: {"report_dir": f"{made.scene.identity}/reports"},
    "a folder for metrics that is not there": lambda _made, _folder: {"metrics_file": "/no/such/folder/x.prom"},
}


@pytest.mark.mutation
@pytest.mark.parametrize("name", BEFORE)
def test_early_host_mistake_ends_without_a_drill(store_drill: Drill, tmp_path: Path, name: str) -> None:
    changed = BEFORE[name](store_drill, tmp_path)
    store_drill.settings.update(role_settings.of("caracal_drill", changed))
    before = store_drill.scene.files("**/*")
    outcome = store_drill.run()
    assert outcome.document is None and outcome.error and store_drill.scene.files("**/*") == before, outcome.error


@pytest.mark.mutation
@pytest.mark.parametrize("name", MISTAKES)
def test_host_mistake_is_unproven_and_not_a_failure(store_drill: Drill, tmp_path: Path, name: str) -> None:
    wanted = MISTAKES[name]
    changed = wanted.settings(store_drill, tmp_path)
    store_drill.settings.update(role_settings.of("caracal_drill", changed))
    outcome = store_drill.run(until=wanted.step, without=set(wanted.without))
    assert (outcome.verdict, outcome.failed) == ("unproven", set()), outcome.summary()
    check = outcome.checks[f"drill.{wanted.step}"]
    assert check["verdict"] == "unproven" and check["message"].startswith(engine.OF_HOST), outcome.summary()
    assert outcome.causes, outcome.summary()


@pytest.mark.mutation
def test_a_directory_with_other_files_is_left_alone(store_drill: Drill) -> None:
    """There is no drill if its sandbox can never be created."""
    os.mkdir(store_drill.directory)
    Path(store_drill.directory, "mine").touch()
    begun = store_drill.take("verify")
    assert begun["failed"] and begun["error"] == "TargetRefused" and Path(store_drill.directory, "mine").exists()
    assert store_drill.scene.files("drills/**/*") == []
    Path(store_drill.directory, "mine").unlink()


@pytest.mark.mutation
def test_a_drill_with_a_host_mistake_is_recorded_as_unproven(store_drill: Drill) -> None:
    """A mistake must not count as a drill when the next set is selected by its last drill."""
    store_drill.settings["caracal_ops_pg_bin"] = "/no/such/folder"
    assert store_drill.run(until="sandbox").verdict == "unproven"
    entries = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(store_drill.scene.repository.glob("journal/*.json"))]
    assert [one["predicate"]["body"]["verdict"] for one in entries if one["predicate"]["kind"] == "drill"] == ["unproven"]


def inspected(made: Drill) -> dict[str, t.Any]:
    """Return the result of the step preflight, and check that it changed nothing."""
    before = made.scene.files("**/*")
    found = made.take("preflight")
    assert made.scene.files("**/*") == before and not made.sandbox.exists()
    return found


@pytest.mark.no_false_alarm
def test_preflight_passes_on_a_healthy_host(store_drill: Drill) -> None:
    found = inspected(store_drill)
    assert not found.get("failed"), found
    assert f"sets/{found['set_id']}/manifest.json" in str(store_drill.scene.files("sets/*/manifest.json")) and not found["changed"]


@pytest.mark.no_false_alarm
def test_preflight_passes_during_a_running_drill(store_drill: Drill) -> None:
    begun = store_drill.take("verify")
    found = store_drill.take("preflight")
    store_drill.take("destroy", begun["drill"])
    assert not found.get("failed"), found


@pytest.mark.mutation
@pytest.mark.parametrize("name", [*BEFORE, *MISTAKES])
def test_preflight_finds_each_host_mistake(store_drill: Drill, tmp_path: Path, name: str) -> None:
    made = BEFORE[name] if name in BEFORE else MISTAKES[name].settings
    changed = made(store_drill, tmp_path)
    store_drill.settings.update(role_settings.of("caracal_drill", changed))
    found = inspected(store_drill)
    assert found.get("failed") and "problems" not in found, found


@pytest.mark.mutation
def test_preflight_finds_all_host_mistakes_at_once(store_drill: Drill, tmp_path: Path) -> None:
    made: dict[str, t.Any] = {}
    for settings in [*BEFORE.values(), *(one.settings for one in MISTAKES.values())]:
        changed = settings(store_drill, tmp_path)
        # The first mistake of each option. Some prevent further checks of the host, or fail with the message of another mistake.
        if not changed.keys() & {*made, "allowed_signers", "sandbox_directory", "isolation", "superuser", "secrets_identity_files"}:
            made.update(changed)
    store_drill.settings.update(role_settings.of("caracal_drill", made))
    found = inspected(store_drill)
    assert (found["error"], len(found["problems"])) == ("NotReady", len(made)), (made, found)


@pytest.mark.mutation
def test_preflight_finds_an_identity_that_decrypts_nothing(store_drill: Drill, tmp_path: Path) -> None:
    new_identity(tmp_path / "stranger")
    store_drill.settings["caracal_drill_identity_files"] = [str(tmp_path / "stranger")]
    assert inspected(store_drill)["error"] == "KeyProblem"
    store_drill.settings["caracal_drill_secrets_identity_files"] = [str(tmp_path / "stranger")]
    assert len(inspected(store_drill)["problems"]) > 1


@pytest.mark.mutation
def test_preflight_without_a_set_checks_everything_else(store_drill: Drill) -> None:
    store_drill.settings.update(caracal_drill_max_age=1e-6, caracal_drill_redis_server="/no/such/redis")
    assert [one["asset"] for one in inspected(store_drill)["problems"]] == ["set", "redis"]


@pytest.mark.mutation
def test_preflight_reports_an_altered_manifest(store_drill: Drill) -> None:
    """It must not be reported as a set that does not name its programs, which the operator could name instead."""
    (manifest,) = store_drill.scene.repository.glob("sets/*/manifest.json")
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    found = inspected(store_drill)
    assert found["error"] == "TamperedData" and "problems" not in found, found


@pytest.mark.mutation
def test_preflight_finds_a_host_that_cannot_start_a_sandbox(store_drill: Drill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the server comes from an image, there is no server to start in the preflight."""
    forbidden = tmp_path / "bwrap"
    forbidden.write_text("#!/bin/sh\nexit 1\n", encoding="ascii")
    forbidden.chmod(0o755)
    monkeypatch.setattr(isolation, "find_bwrap", lambda: str(forbidden))
    store_drill.settings["caracal_ops_pg_bin"] = "/no/such/folder"
    found = inspected(store_drill)
    assert [problem["asset"] for problem in found["problems"]] == ["sandbox", "sandbox"], found
