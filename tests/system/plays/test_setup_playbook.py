# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From an empty host to a drill that passes: `setup`, `backup` and `restore_drill` without files created by hand."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest

from scenes import redis_server, secrets_scene
from scenes.playing import LOCAL, Play
from scenes.scene import DEPLOYMENT, tree
from scenes.twin_database import TwinCluster
from system.plays import guide_hosts
from twin import surroundings

# Tasks that change the machine, which are tested by hand.
OF_THE_MACHINE = ("--skip-tags", "caracal_setup_packages,caracal_setup_python")
SECRET = re.compile(r"AGE-SECRET-KEY-|PRIVATE KEY")


def places(root: Path) -> dict[str, t.Any]:
    """Return the paths below /etc and /var/lib, moved below a folder of the test."""
    own = {"caracal_setup_operator_directory": str(root / "operator")}
    return {**own, **guide_hosts.key_paths(root / "both", root / "backup", root / "drill")}


def settings(root: Path) -> dict[str, t.Any]:
    return {"caracal_ops_repository": str(root / "repository"), "caracal_ops_deployment": DEPLOYMENT, **places(root)}


def changes(play: Play) -> list[int]:
    """Return the number of changes by host, from the recap."""
    assert play.ended() == 0, play.output()
    return [int(number) for number in re.findall(r"\bchanged=(\d+)", play.output())]


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """Return a folder in which `setup` ran once."""
    assert any(changes(Play("setup", settings(tmp_path), tmp_path, OF_THE_MACHINE)))
    return tmp_path


def keys(root: Path) -> dict[str, t.Any]:
    return {name: what for name, what in tree(root).items() if name.split("/")[0] in ("backup", "both", "drill", "operator")}


@pytest.mark.story
@pytest.mark.no_false_alarm
def test_setup_backup_and_drill_on_an_empty_host(prepared: Path, caracal_database: TwinCluster, sandbox_directory: str) -> None:
    before = keys(prepared)
    assert changes(Play("setup", settings(prepared), prepared, OF_THE_MACHINE)) == [0]
    assert keys(prepared) == before
    deployment = secrets_scene.make(prepared / "scene", caracal_database)
    with redis_server.start() as redis:
        client = surroundings.connect(f"unix://{redis.socket}", None)
        surroundings.create(caracal_database.target, caracal_database.spec.seed, client, prepared / "replay")
        source = {
            "caracal_backup_create_repository": True,
            "caracal_ops_login_unix_socket": deployment.scene.socket,
            "caracal_backup_secrets_directory": str(deployment.directory),
            "caracal_ops_redis_unix_socket": redis.socket,
            "caracal_backup_replay_volumes": [{"service": name, "path": str(prepared / "replay" / name)} for name in ("sts", "gateway")],
        }
        made = Play("backup", {**settings(prepared), **source}, prepared)
        assert made.ended() == 0, made.output()
    production = f"{deployment.scene.socket}/.s.PGSQL.{caracal_database.info.port}"
    drilled = guide_hosts.drill_settings(prepared, sandbox_directory, production)
    play = Play("restore_drill", {**settings(prepared), **drilled}, prepared)
    assert play.ended() == 0 and "verdict: pass" in play.output(), play.output()


def test_check_mode_creates_nothing_and_output_has_no_secret(tmp_path: Path) -> None:
    checked = Play("setup", settings(tmp_path), tmp_path, (*OF_THE_MACHINE, "--check"))
    assert any(changes(checked)) and keys(tmp_path) == {}
    made = Play("setup", settings(tmp_path), tmp_path, (*OF_THE_MACHINE, "--diff", "-vvv"))
    assert any(changes(made)) and not SECRET.search(made.output())
    assert SECRET.search((tmp_path / "drill" / "drill.identity").read_text(encoding="ascii"))


@pytest.mark.mutation
def test_unavailable_libraries_are_reported_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PIP_INDEX_URL": "http://127.0.0.1:9/nowhere",
        "PIP_RETRIES": "1",
        "PIP_FIND_LINKS": "",
        "PIP_IGNORE_INSTALLED": "1",
    }.items():
        monkeypatch.setenv(name, value)
    own = {**settings(tmp_path), "__caracal_setup_environment": str(tmp_path / "venv")}
    play = Play("setup", own, tmp_path, ("--tags", "caracal_setup_python"))
    assert play.ended() != 0 and "/etc/pip.conf" in play.output() and "stdout_lines" not in play.output(), play.output()
    assert not (tmp_path / "venv" / "requirements.installed").exists()


@pytest.mark.mutation
def test_a_replaced_key_is_refused(prepared: Path) -> None:
    before = keys(prepared)
    lists = {name: before[name] for name in before if name.endswith(("allowed_signers", ".recipients"))}
    assert len(lists) == 8
    for name in ("backup/backup_signing_key", "drill/drill.identity"):
        kept = (prepared / name).rename(prepared / "kept")
        play = Play("setup", settings(prepared), prepared, OF_THE_MACHINE)
        assert play.ended() != 0 and "KeyProblem" in play.output(), play.output()
        assert {one: keys(prepared)[one] for one in lists} == lists
        kept.rename(prepared / name)


def test_changes_of_the_operator_are_kept(prepared: Path) -> None:
    safe = sorted((prepared / "operator").rglob("break-glass*.identity"))
    assert len(safe) == 2
    for path in safe:
        path.unlink()
    own = prepared / "operator" / DEPLOYMENT / "allowed_signers"
    line = "prune@prod ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5nDuTnIOGxrMZI9vGJt0UuqV7wxoBbm1bUYjNfjM8W"
    own.write_text(f"{own.read_text(encoding='ascii')}{line}\n", encoding="ascii")
    assert changes(Play("setup", settings(prepared), prepared, OF_THE_MACHINE)) == [1]
    hand_made = prepared / "both" / "allowed_signers"
    assert hand_made.read_text(encoding="ascii") == own.read_text(encoding="ascii") and not any(path.exists() for path in safe)
    hand_made.write_text(f"{line.replace('prune', 'other')}\n", encoding="ascii")
    play = Play("setup", settings(prepared), prepared, OF_THE_MACHINE)
    assert play.ended() != 0 and f"{hand_made} on localhost" in play.output(), play.output()
    assert "other@prod" in hand_made.read_text(encoding="ascii")


def several(root: Path, *drills: str, prune: str = "") -> Play:
    """Run `setup` with these drill hosts and this prune host, each with keys and lists in a separate folder."""
    hosts: dict[str, t.Any] = {
        name: {
            **LOCAL,
            "caracal_drill_signing_key": str(root / name / "signing_key"),
            "caracal_drill_identity_files": [str(root / name / "drill.identity"), str(root / name / "secrets.identity")],
            "caracal_drill_recipients_files": [str(root / name / "details.recipients")],
            "caracal_repository_signing_key": str(root / name / "signing_key"),
            "caracal_ops_allowed_signers": str(root / name / "allowed_signers"),
        }
        for name in ("localhost", "one", "two", "cutter")
    }
    inventory = root / "inventory.json"
    group: dict[str, t.Any] = {"hosts": {name: {} for name in drills}}
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "children": {"drills": group}}}), encoding="utf-8")
    own = hosts["one"].keys() - LOCAL
    shared = {name: value for name, value in settings(root).items() if name not in own}
    more = {"caracal_repository_prune_hosts": prune} if prune else {}
    return Play("setup", {**shared, "caracal_drill_hosts": "drills", **more}, root, OF_THE_MACHINE, inventory)


def lists(root: Path) -> dict[str, list[str]]:
    """Return the lines of the operator's lists, without comments."""
    texts = {path.name: path.read_text(encoding="ascii") for path in (root / "operator" / DEPLOYMENT).iterdir() if path.suffix != ".pub"}
    named = {name: text for name, text in texts.items() if name == "allowed_signers" or name.endswith(".recipients")}
    return {name: [line for line in text.splitlines() if not line.startswith("#")] for name, text in named.items()}


def test_each_drill_host_and_prune_host_has_its_own_keys(tmp_path: Path) -> None:
    assert any(changes(several(tmp_path, "one")))
    alone = lists(tmp_path)
    assert not any(line.startswith("prune@") for line in alone["allowed_signers"])
    assert any(changes(several(tmp_path, "one", "two", prune="cutter")))
    found = lists(tmp_path)
    assert sorted(line.split()[0].partition("@")[0] for line in found["allowed_signers"]) == [
        "backup",
        "drill",
        "drill",
        "operator",
        "prune",
    ]
    assert all(len(found[name]) == 3 and len(alone[name]) == 2 for name in alone if name.endswith(".recipients"))
    public = {name: (tmp_path / name / "signing_key.pub").read_text(encoding="ascii").split()[1] for name in ("one", "two", "cutter")}
    owners = {line.split()[-1]: line.split()[0].partition("@")[0] for line in found["allowed_signers"]}
    assert [owners[public[name]] for name in ("one", "two", "cutter")] == ["drill", "drill", "prune"]
    own = (tmp_path / "operator" / DEPLOYMENT / "allowed_signers").read_text(encoding="ascii")
    assert all((tmp_path / name / "allowed_signers").read_text(encoding="ascii") == own for name in ("localhost", "one", "two", "cutter"))
    assert sorted(path.name for path in (tmp_path / "cutter").iterdir()) == ["allowed_signers", "signing_key", "signing_key.pub"]
    assert (tmp_path / "two" / "details.recipients").is_file()
    assert not any(changes(several(tmp_path, "one", "two", prune="cutter")))


@pytest.mark.mutation
def test_a_replaced_key_of_one_drill_host_is_refused(tmp_path: Path) -> None:
    assert any(changes(several(tmp_path, "one")))
    before = lists(tmp_path)
    for path in ("signing_key", "signing_key.pub"):
        (tmp_path / "one" / path).unlink()
    play = several(tmp_path, "one", "two")
    assert play.ended() != 0 and "KeyProblem" in play.output(), play.output()
    assert lists(tmp_path) == before
