# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A managed host answers every task with facts for every name of ours, or with lies in every field.

The tasks on the controller and on other hosts must be the same as with an honest host.
"""

from __future__ import annotations

import re
import shutil
import typing as t
from pathlib import Path

import pytest

from scenes import lying_host, recorded_plays, replay_folders, secrets_scene
from scenes.playing import backup_settings
from scenes.recorded_plays import Ran
from scenes.replay_folders import event
from scenes.scene import DEPLOYMENT
from scenes.secrets_scene import Deployment
from scenes.twin_database import TwinFactory
from system.plays.test_setup_playbook import OF_THE_MACHINE, places

HOST = "source"
# Fields that are not changed. Without a set there is no second step, and a folder would remain on a host that withholds its path.
OWN = ["set_id", "path"]


def lies(value: t.Any) -> lying_host.Answers:
    """Return the answer to every task."""
    return {"*": {"ansible_facts": dict.fromkeys(recorded_plays.names(), value), "ansible_stats": {"data": {"caracal_ops_notify": value}}}}


def of_kind(kind: str, folder: Path) -> t.Any:
    return {
        "path": str(folder / "made_up"),
        "host": "localhost",
        "hosts": [{"host": "localhost", "service": "sts", "path": str(folder)}],
        "mapping": {"backup": "localhost", "set_id": "../../.."},
    }[kind]


@pytest.fixture
def deployment(twin_cluster: TwinFactory, tmp_path: Path) -> Deployment:
    made = secrets_scene.make(tmp_path / "scene", twin_cluster())
    replay_folders.folder(tmp_path / "gateway").file("pending-7-1.ndjson", event("one"))
    return made


def backup(deployment: Deployment, folder: Path, patch: pytest.MonkeyPatch, python: Path | None) -> Ran:
    """Run a backup of the lying host, with a replay directory on an honest one."""
    volume = {"service": "gateway", "replica": "b", "path": str(deployment.scene.root.parent / "gateway"), "host": "elsewhere"}
    settings = {**backup_settings(deployment.scene), "caracal_backup_hosts": HOST, "caracal_backup_replay_volumes": [volume]}
    hosts = {HOST: python, "elsewhere": None, "localhost": None}
    return recorded_plays.play("backup", folder, patch, hosts=hosts, settings=settings)


@pytest.mark.mutation
def test_hostile_facts_change_no_backup_task_elsewhere(deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = backup(deployment, tmp_path / "honest", monkeypatch, None)
    assert honest.status == 0, honest.output
    assert {"elsewhere", "localhost"} <= honest.tasks.keys()
    for kind in ("path", "hosts"):
        python = lying_host.python(tmp_path / f"host-{kind}", lies(of_kind(kind, tmp_path)))
        played = backup(deployment, tmp_path / kind, monkeypatch, python)
        assert played.status == 0, played.output
        assert sorted(played.elsewhere(HOST) ^ honest.elsewhere(HOST)) == []
    assert not (tmp_path / "made_up").exists()


@pytest.mark.mutation
def test_hostile_values_in_every_field_reach_no_other_host(deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = backup(deployment, tmp_path / "honest", monkeypatch, None).elsewhere(HOST)
    broken = lying_host.python(tmp_path / "host", {"pg_encrypted_dump": {"failed": True, "msg": "no room"}})
    aborted = backup(deployment, tmp_path / "aborted", monkeypatch, broken).elsewhere(HOST)
    run = "{{ lookup('ansible.builtin.pipe', 'touch " + str(tmp_path / "made_up") + "') }}"
    texts: list[tuple[str, list[str]]] = [
        (f"../../..{tmp_path}/elsewhere", []),
        (f"../../..{tmp_path}/elsewhere", OWN),
        (run, OWN),
        ("localhost", OWN),
    ]
    for number, (text, but) in enumerate(texts):
        python = lying_host.with_texts(tmp_path / f"host-{number}", text, but)
        played = backup(deployment, tmp_path / str(number), monkeypatch, python)
        assert sorted(played.elsewhere(HOST) - whole - aborted) == []
    assert not (tmp_path / "made_up").exists()


@pytest.mark.mutation
def test_controller_keeps_no_file_after_host_becomes_unreachable(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backup host becomes unreachable after the files of the replay host have arrived."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    gone = lying_host.python(tmp_path / "host", {"tempfile": {"unreachable": True}})
    played = backup(deployment, tmp_path / "play", monkeypatch, gone)
    # The replay host keeps its encrypted files, and the backup host its empty folder, because no further task runs there.
    text = (tmp_path / "play" / "record.jsonl").read_text(encoding="utf-8") + played.output
    for folder in re.findall(r"/var/tmp/caracal_backup[.][a-z0-9_]{8,20}", text):
        shutil.rmtree(folder, ignore_errors=True)
    assert played.status != 0 and "unreachable=1" in played.output, played.output
    assert "changed: [source -> elsewhere]" in played.output.partition("Fetch the encrypted files]")[2], played.output
    assert list(tmp_path.rglob("caracal_backup.*")) == []


def doctor(folder: Path, patch: pytest.MonkeyPatch, python: Path | None, **more: t.Any) -> Ran:
    settings = {"caracal_backup_hosts": HOST, "caracal_drill_hosts": HOST, "caracal_ops_deployment": DEPLOYMENT, **more}
    hosts = {HOST: python, "localhost": None}
    return recorded_plays.play("doctor", folder, patch, hosts=hosts, settings=settings)


@pytest.mark.mutation
@pytest.mark.parametrize("report", [True, False])
def test_hostile_facts_overwrite_no_file_of_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: bool) -> None:
    """With and without the operator's own report."""
    (tmp_path / "made_up").write_text("the operator's\n", encoding="ascii")
    own = {"caracal_doctor_report": str(tmp_path / "report.json")} if report else {}
    honest = doctor(tmp_path / "honest", monkeypatch, None, **own)
    lying = doctor(tmp_path / "lying", monkeypatch, lying_host.python(tmp_path / "host", lies(of_kind("path", tmp_path))), **own)
    assert (tmp_path / "made_up").read_text(encoding="ascii") == "the operator's\n"
    assert (tmp_path / "report.json").exists() == report
    tasks = [{task.partition(" {")[0] for task in one.tasks.get("localhost", [])} for one in (honest, lying)]
    # The report is the only file that doctor writes on this machine.
    assert tasks[0] == tasks[1] and bool(tasks[0]) == report, lying.output


@pytest.mark.mutation
def test_control_characters_in_host_answer_are_not_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lying = doctor(tmp_path / "lying", monkeypatch, lying_host.with_texts(tmp_path / "host", "a\x1b[2Jb\u202ec\u0085d\ne\rf"))
    assert lying.status != 0
    # The only control characters are Ansible's own line breaks.
    assert all(line.isprintable() for line in lying.output.splitlines()), lying.output
    assert "\ne\rf" not in lying.output and "\ne" not in lying.output.replace("\n\n", "")


@pytest.mark.mutation
def test_control_characters_after_host_answer_are_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible prints it before any action gets the answer."""
    junk = "\n\x1b[2Jjunk\u202e\nok: [elsewhere]\n"
    lying = doctor(tmp_path / "lying", monkeypatch, lying_host.with_junk(tmp_path / "host", junk))
    assert "\\x1b[2Jjunk" in lying.output
    lines = lying.output.splitlines()
    assert all(line.isprintable() for line in lines) and "ok: [elsewhere]" not in lines, lying.output


def setup(folder: Path, patch: pytest.MonkeyPatch, root: Path, python: Path | None) -> Ran:
    settings = {"caracal_backup_hosts": HOST, "caracal_drill_hosts": "opens", "caracal_ops_deployment": DEPLOYMENT, **places(root)}
    hosts = {HOST: python, "opens": None, "localhost": None}
    return recorded_plays.play("setup", folder, patch, hosts=hosts, settings=settings, options=OF_THE_MACHINE)


@pytest.mark.mutation
def test_hostile_facts_change_no_setup_task_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root"
    honest = setup(tmp_path / "honest", monkeypatch, root, None)
    again = setup(tmp_path / "again", monkeypatch, root, None)
    assert (honest.status, again.status) == (0, 0), honest.output
    lying = setup(tmp_path / "lying", monkeypatch, root, lying_host.python(tmp_path / "host", lies(of_kind("path", tmp_path))))
    assert lying.status == 0, lying.output
    assert sorted(lying.elsewhere(HOST) ^ again.elsewhere(HOST)) == []
    assert not (tmp_path / "made_up").exists()
