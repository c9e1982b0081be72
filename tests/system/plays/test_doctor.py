# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook doctor finds all problems on all hosts in one run, and writes nothing on them."""

from __future__ import annotations

import json
import types
import typing as t
from pathlib import Path

import pytest

from scenes import role_settings
from scenes.playing import LOCAL, Play, backup_settings
from scenes.scene import BACKUP_HOST, DEPLOYMENT, DRILL_HOST, Scene, new_identity, tree
from system.plays.drillable import Drillable

Settings = dict[str, t.Any]
# The problems of a host: the part that needs it, and the class of the error. Two of a kind are two entries.
Wanted = list[tuple[str, str]]


def of_backup(**own: t.Any) -> Settings:
    return role_settings.of("caracal_backup", own)


def of_drill(**own: t.Any) -> Settings:
    return role_settings.of("caracal_drill", own)


def broken(scene: Scene, folder: Path) -> dict[str, tuple[Settings, Wanted]]:
    """Return a host for each setup that is broken in its own way, or in several ways."""
    new_identity(folder / "open")
    (folder / "open").chmod(0o644)
    new_identity(folder / "stranger")
    absent = "/no/such/thing"
    service = {"name": "audit", "command": ["/no/such/audit"]}
    backups: dict[str, tuple[Settings, Wanted]] = {
        "signing-key-missing": (of_backup(signing_key=absent), [("backup", "KeyProblem")]),
        # There is an identity next to the key.
        "signing-key-of-another": (of_backup(signing_key=str(scene.key(DRILL_HOST))), [("backup", "KeyProblem")] * 2),
        "recipients-missing": (of_backup(recipients_files=[absent]), [("backup", "KeyProblem")]),
        "metrics-impossible": (of_backup(metrics_file=f"{absent}/x.prom"), [("backup", "StorageError")]),
        "database-missing": (of_backup(login_unix_socket=absent), [("backup", "Unreachable")]),
        "login-unknown": (of_backup(login_user="nobody_at_all"), [("backup", "Unreachable")]),
        "secrets-missing": (of_backup(secrets_directory=absent), [("backup", "KeyProblem")]),
        "replay-missing": (of_backup(replay_volumes=[{"service": "sts", "path": absent}]), [("backup", "OptionError")]),
        "redis-missing": (of_backup(redis_unix_socket=absent), [("backup", "Unreachable")]),
        "project-unknown": (
            of_backup(compose_project="nobody", engine=f"unix://{absent}", signing_key=absent, login_unix_socket=""),
            [("backup", "Unreachable"), ("backup", "KeyProblem")],
        ),
        "settings-wrong": (
            of_backup(login_host="db", timestamp_url="http://tsa"),
            [("backup", "OptionError"), ("backup", "OptionError"), ("backup", "Unreachable")],
        ),
    }
    drills: dict[str, tuple[Settings, Wanted]] = {
        "identity-missing": (of_drill(identity_files=[absent]), [("drill", "KeyProblem")]),
        "identity-open": (of_drill(identity_files=[str(folder / "open")]), [("drill", "WrongIdentity")]),
        "identity-of-another": (of_drill(identity_files=[str(folder / "stranger")]), [("drill", "KeyProblem")]),
        "programs-missing": (
            of_drill(pg_bin=absent, redis_server=absent, services=[service]),
            [("backup", "MissingDependency")] + [("drill", "MissingDependency")] * 3,
        ),
        "no-room": (
            of_drill(minimum_free_mb=2**40, report_dir=f"{scene.identity}/x"),
            [("drill", "NoRoom"), ("drill", "StorageError")],
        ),
    }
    both: dict[str, tuple[Settings, Wanted]] = {
        "signers-missing": (
            of_backup(allowed_signers=absent) | of_drill(allowed_signers=absent),
            [("backup", "KeyProblem"), ("drill", "KeyProblem")],
        ),
        "repository-missing": (
            of_backup(repository=absent, create_repository=False, signing_key=absent) | of_drill(repository=absent, signing_key=absent),
            [("backup drill", "ObjectMissing"), ("backup drill", "KeyProblem")],
        ),
        "unreachable": ({"ansible_remote_tmp": "/proc/no-such-folder"}, [("backup drill", "Unreachable")]),
        "no-python": ({"ansible_python_interpreter": absent}, [("backup drill", "ModuleFailed")]),
        "everything": (
            of_backup(
                signing_key=absent, recipients_files=["/no/such/list"], secrets_directory="/no/such/secrets", redis_unix_socket=absent
            )
            | of_drill(signing_key="/no/such/key", identity_files=["/no/such/identity"], redis_server="/no/such/redis"),
            [("backup", error) for error in ("KeyProblem", "KeyProblem", "KeyProblem", "Unreachable")]
            + [("drill", error) for error in ("KeyProblem", "KeyProblem", "MissingDependency")],
        ),
    }
    return {**backups, **drills, **both}


def of_retention(scene: Scene, **own: t.Any) -> Settings:
    known = {"repository": str(scene.repository), "deployment": DEPLOYMENT, "allowed_signers": str(scene.root / "allowed_signers")}
    asked = {"login_unix_socket": scene.socket, "left_out": {"streams": "none"}, "effective_environment": {"AUDIT_EXPORT_S3_BUCKET": ""}}
    mark = {"high_water_mark": str(scene.mark(BACKUP_HOST))}
    return role_settings.of("caracal_retention", {**known, **asked, **mark, **own})


def played(
    drilled: Drillable,
    folder: Path,
    hosts: t.Mapping[str, Settings],
    everywhere: t.Mapping[str, t.Any] = types.MappingProxyType({}),
    retention: str = "",
) -> tuple[int, dict[str, t.Any], str]:
    """Return exit status, the JSON report, and the output."""
    whole = {
        **LOCAL,
        **everywhere,
        **backup_settings(drilled.scene),
        **of_backup(secrets_directory=str(drilled.deployment.directory), secrets_recipients_files=[str(drilled.deployment.recipients)]),
        **drilled.settings(str(folder / "sandbox")),
    }
    inventory = folder / "inventory.json"
    inventory.write_text(json.dumps({"all": {"vars": whole, "hosts": dict(hosts)}}), encoding="utf-8")
    names = {
        "caracal_backup_hosts": "all",
        "caracal_drill_hosts": "all",
        "caracal_retention_hosts": retention,
        "caracal_doctor_report": str(folder / "doctor.json"),
    }
    play = Play("doctor", names, folder, inventory=inventory)
    status = play.ended()
    return status, json.loads((folder / "doctor.json").read_text(encoding="utf-8")), play.output()


def findings_of(kept: t.Mapping[str, t.Any], host: str) -> Wanted:
    return sorted((" ".join(one["parts"]), one["error"]) for one in kept["findings"] if one["host"] == host)


@pytest.mark.no_false_alarm
def test_healthy_hosts_pass(drilled: Drillable, tmp_path: Path) -> None:
    before = tree(drilled.scene.repository)
    status, kept, output = played(drilled, tmp_path, {"prod": {}, "drill": {}})
    assert (status, kept) == (0, {"verdict": "pass", "findings": []}), output
    assert "changed=0" in output and "prod: backup, drill ok" in output, output
    assert tree(drilled.scene.repository) == before


@pytest.mark.no_false_alarm
def test_hosts_of_an_inventory_become_root_and_the_controller_does_not(drilled: Drillable, tmp_path: Path) -> None:
    no_become = {"ansible_become": True, "ansible_become_user": "nobody", "ansible_become_exe": "/no/such/sudo"}
    status, _kept, output = played(drilled, tmp_path, {"prod": {"ansible_become": False}}, no_become)
    assert status == 0 and "localhost" not in output.partition("PLAY RECAP")[2], output


@pytest.mark.mutation
def test_an_unreachable_host_does_not_hide_other_findings(drilled: Drillable, tmp_path: Path) -> None:
    hosts = broken(drilled.scene, tmp_path)
    chosen = ("unreachable", "no-python", "everything", "project-unknown")
    status, kept, output = played(drilled, tmp_path, {"well": {}, **{name: hosts[name][0] for name in chosen}})
    assert status == 2 and kept["verdict"] == "fail", output
    assert {name: findings_of(kept, name) for name in chosen} == {name: sorted(hosts[name][1]) for name in chosen}, output
    assert not findings_of(kept, "well") and "well: backup, drill ok" in output


@pytest.mark.mutation
def test_retention_that_cannot_read_its_evidence_is_never_ok(drilled: Drillable, tmp_path: Path) -> None:
    hosts = {"well": of_retention(drilled.scene), "refused": of_retention(drilled.scene, login_user="nobody_at_all")}
    status, kept, output = played(drilled, tmp_path, hosts, retention="all")
    assert status == 2 and findings_of(kept, "refused") == [("backup retention", "Unreachable")] and not findings_of(kept, "well"), output
    assert "well: backup, drill, retention ok" in output and "refused: drill ok" in output, output


@pytest.mark.mutation
def test_every_broken_setup_is_reported_in_one_run(drilled: Drillable, tmp_path: Path) -> None:
    hosts = broken(drilled.scene, tmp_path)
    assert len(hosts) >= 20
    status, kept, output = played(drilled, tmp_path, {name: settings for name, (settings, _wanted) in hosts.items()})
    assert status == 2, output
    assert {name: findings_of(kept, name) for name in hosts} == {name: sorted(wanted) for name, (_settings, wanted) in hosts.items()}, (
        output
    )
