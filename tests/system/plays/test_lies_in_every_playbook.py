# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every playbook, with a hostile host and an honest one.

The hostile host answers every task with facts for every name of ours, or with lies in every field. The tasks on the
controller and on the honest host must be the same as when both hosts are honest. Our modules do not run: each answers
with the samples of its documentation, and the hostile host changes these answers.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import getpass
import re
import typing as t
from pathlib import Path

import pytest
import yaml

from scenes import awx_recording, awx_schedule, lying_host, recorded_plays, sample_answers
from scenes.lying_host import Answers
from scenes.recorded_plays import Ran
from system.plays import test_lies_of_a_host
from tools.rules import tree

HOSTILE, OTHER = "hostile", "other"
EACH = "{{ inventory_hostname }}"
# Fields of a module's answer that its play needs to continue.
OWN = ["path", "set_id", "verdict"]
# Modules of Ansible that would act outside of the folder of a play.
AWX = sorted(
    name.rpartition(".")[2]
    for path in (tree.ROOT / "roles" / "caracal_schedule" / "tasks").glob("awx_*.yml")
    for name in re.findall(r"(?m)^  (awx[.]awx[.]\w+):$", path.read_text(encoding="utf-8"))
)
STAND_INS: Answers = {
    "uri": {"changed": False, "status": 200},
    "systemd_service": {"changed": True, "status": {}},
    "command": {"changed": True, "rc": 0, "stdout": "", "stderr": ""},
    # AWX's modules. Answers of AWX itself are recorded.
    **{name: {"changed": False, "id": 1} for name in AWX},
}
# Values that differ between runs, and the text of a notification, which after a failure is the host's own.
VARY = (
    (re.compile(r"http://127[.]0[.]0[.]1:[0-9]+"), "<address>"),
    (re.compile(r'"body": "(?:[^"\\]|\\.)*"'), "<words>"),
)


@dataclasses.dataclass(frozen=True)
class Case:
    """A playbook, the variable with its hosts, and its settings, with `{folder}` for the folder of the play.

    `awx` is the recording of the AWX that it uses.
    """

    playbook: str
    hosts: str
    settings: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    awx: str = ""


COMMON = {
    "caracal_ops_repository": "/srv/repository",
    "caracal_ops_deployment": "prod",
    "caracal_ops_notify": [{"kind": "ntfy", "url": "https://ntfy.example/topic", "events": ["started", "succeeded", "failed"]}],
}
SCHEDULED = {
    "caracal_schedule_settings": ["{folder}/settings.yml"],
    "caracal_schedule_program": "{folder}/settings.yml",
    "caracal_schedule_collections": "{folder}",
    "caracal_schedule_user": getpass.getuser(),
    "caracal_schedule_jobs": {"audit_checkpoint": "", "restore_drill": "", "retention": "", "verify_repository": ""},
}
# Paths on the machine that are a role's own variables: only an extra variable overrides them.
OF_THE_MACHINE = {
    "__caracal_schedule_units": f"{{folder}}/{EACH}",
    "__caracal_schedule_cron_file": f"{{folder}}/{EACH}/cron",
    "__caracal_schedule_locks": f"{{folder}}/{EACH}/locks",
}
RESTORED = {
    "caracal_ops_compose_project": "caracal",
    "caracal_restore_identity_files": ["/etc/identity"],
    "caracal_restore_confirm": ["here"],
    "caracal_restore_start_services": True,
    "caracal_restore_canaries": True,
}
CASES = [
    Case("audit_archive", "caracal_archive_hosts", {"caracal_archive_source": "s3://exports"}),
    Case("audit_checkpoint", "caracal_backup_hosts"),
    Case("prune", "caracal_repository_prune_hosts", {"caracal_repository_signing_key": "/etc/key"}),
    Case("repository_copy", "caracal_repository_copy_hosts", {"caracal_repository_destination": "/srv/copy"}),
    Case("restore", "caracal_restore_hosts", RESTORED),
    Case("restore_drill", "caracal_drill_hosts", {"caracal_drill_identity_files": ["/etc/identity"]}),
    Case("retention", "caracal_retention_hosts"),
    Case("schedule", "caracal_schedule_hosts", SCHEDULED),
    Case("schedule", "caracal_schedule_hosts", {**SCHEDULED, "caracal_schedule_backend": "cron"}),
    Case("schedule", "caracal_schedule_hosts", {**SCHEDULED, **awx_schedule.SETTINGS}, awx="again"),
    Case("sets", "caracal_repository_hosts"),
    Case("verify_audit", "caracal_backup_hosts", {"caracal_ops_audit_hmac_key_files": ["/etc/hmac"]}),
    Case("verify_repository", "caracal_drill_hosts"),
]
# Run with real modules, and their results are compared too.
REAL = {
    "backup": test_lies_of_a_host.test_hostile_facts_change_no_backup_task_elsewhere,
    "doctor": test_lies_of_a_host.test_hostile_facts_overwrite_no_file_of_operator,
    "setup": test_lies_of_a_host.test_hostile_facts_change_no_setup_task_elsewhere,
}
# Run only on the controller, without answers of a host.
ALONE = {
    "notify": "no task of it leaves the controller",
    "quickstart": "its hosts are all the controller",
}


def kind(case: Case) -> str:
    backend = case.settings.get("caracal_schedule_backend", "systemd")
    return f"{case.playbook} {backend}" if case.playbook == "schedule" else case.playbook


def missing(playbooks: t.Iterable[str]) -> list[str]:
    """Return playbooks without a test with a hostile host."""
    return sorted(set(playbooks) - {case.playbook for case in CASES} - REAL.keys() - ALONE.keys())


def test_each_playbook_has_hostile_host_case() -> None:
    there = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in (tree.ROOT / "playbooks").glob("*.yml")}
    assert missing(there) == []
    assert {name for name, plays in there.items() if {one["hosts"] for one in plays} == {"localhost"}} == ALONE.keys()


@pytest.mark.mutation
def test_reports_untested_playbook() -> None:
    assert missing([*(case.playbook for case in CASES), *REAL, *ALONE, "restore_again"]) == ["restore_again"]


def lies(folder: Path) -> Answers:
    """Return the answer to every task: facts for every name of ours, each with the type of the role's variable."""
    defaults: dict[str, t.Any] = {}
    for path in tree.ROOT.glob("roles/*/defaults/main.yml"):
        defaults.update(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    made_up = str(folder / "made_up")
    kinds: dict[type, t.Any] = {list: [{"host": "localhost", "service": "sts", "path": made_up}], dict: {"backup": "localhost"}}
    facts = {name: kinds.get(type(defaults.get(name)), made_up) for name in recorded_plays.names()}
    return {"*": {"ansible_facts": facts, "ansible_stats": {"data": facts}}}


def play(case: Case, folder: Path, hostile: t.Callable[[Path, Answers], Path] | None = None, **more: t.Any) -> Ran:
    """Run the playbook. `hostile` creates the interpreter of the hostile host; without it that host is honest."""
    for host in (HOSTILE, OTHER):
        # The timer of a job that this host does not have any more.
        (folder / host).mkdir(parents=True)
        (folder / host / "caracal-ops-prune.timer").touch()
    playbooks = folder / "ansible_collections" / "caracal_ops" / "backup" / "playbooks"
    playbooks.mkdir(parents=True)
    for path in (folder / "settings.yml", playbooks / "backup.yml"):
        path.touch(mode=0o600)
    settings, forced = (_filled(one, folder) for one in ({**COMMON, **case.settings}, OF_THE_MACHINE))
    answers = {**sample_answers.by_module(), **STAND_INS}
    honest = lying_host.python(folder / "honest", {}, answers)
    hosts = {HOSTILE: hostile(folder / "python", answers) if hostile else honest, OTHER: honest, "localhost": honest}
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        # So that sets are always in the same order.
        patch.setenv("PYTHONHASHSEED", "0")
        if case.awx:
            awx = stack.enter_context(awx_recording.replaying(awx_schedule.RECORDINGS / f"{case.awx}.json.gz"))
            stack.enter_context(awx_schedule.access(awx.address, "token"))
            more["collections"] = (awx_schedule.AWX_COLLECTION,)
        ran = recorded_plays.play(
            case.playbook,
            folder,
            patch,
            hosts=hosts,
            settings={**settings, case.hosts: f"{HOSTILE},{OTHER}"},
            forced=forced,
            stand_ins=True,
            **more,
        )
        if case.awx:
            ran.tasks["AWX"] = [" ".join(one.question) for one in awx.asked]
    return ran


def _filled(settings: t.Mapping[str, t.Any], folder: Path) -> dict[str, t.Any]:
    found: dict[str, t.Any] = yaml.safe_load(yaml.safe_dump(dict(settings)).replace("{folder}", str(folder)))
    return found


def elsewhere(ran: Ran) -> collections.Counter[str]:
    """Return what ran on the controller and on the honest host, and the requests to AWX."""
    found = [f"{host}: {task}" for host, tasks in ran.tasks.items() if host != HOSTILE for task in tasks]
    for pattern, put in VARY:
        found = [pattern.sub(put, task) for task in found]
    return collections.Counter(found)


RETENTION = next(case for case in CASES if case.playbook == "retention")


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> collections.Counter[str]:
    """Return what a playbook runs elsewhere when an honest host fails."""

    def broken(folder: Path, answers: Answers) -> Path:
        return lying_host.python(folder, {"retention_verify": {"failed": True, "msg": "no room"}}, answers)

    return elsewhere(play(RETENTION, tmp_path_factory.mktemp("failed") / "play", broken))


def with_facts(case: Case, folder: Path, facts: Answers, **more: t.Any) -> Ran:
    return play(case, folder, lambda python, answers: lying_host.python(python, facts, answers), **more)


@pytest.mark.mutation
@pytest.mark.parametrize("case", CASES, ids=kind)
def test_hostile_host_injects_nothing_elsewhere(case: Case, failed: collections.Counter[str], tmp_path: Path) -> None:
    """Facts change nothing. Lies in its results only change how far its own part of the play gets."""
    honest = play(case, tmp_path / "honest")
    assert honest.status == 0, honest.output

    lying = with_facts(case, tmp_path / "facts", lies(tmp_path))
    assert lying.status == 0, lying.output
    assert (elsewhere(lying) - elsewhere(honest), elsewhere(honest) - elsewhere(lying)) == ({}, {})

    run = f"../../..{tmp_path}/made_up {{{{ lookup('ansible.builtin.pipe', 'touch {tmp_path}/made_up') }}}}"
    lying = play(case, tmp_path / "fields", lambda folder, answers: lying_host.with_texts(folder, run, OWN, answers))
    of_failures = {task.replace(RETENTION.playbook, case.playbook) for task in failed}
    assert elsewhere(lying).keys() - elsewhere(honest).keys() - of_failures == set()
    assert not (tmp_path / "made_up").exists()


@pytest.mark.mutation
def test_without_guard_hostile_facts_change_tasks_elsewhere(tmp_path: Path) -> None:
    """An invented setting ends the drill of its host, so the controller sends another notification."""
    case = next(one for one in CASES if one.playbook == "restore_drill")
    lying = with_facts(case, tmp_path / "lying", lies(tmp_path), callbacks=("unguarded",))
    assert lying.status != 0 and elsewhere(lying) - elsewhere(play(case, tmp_path / "honest"))


@pytest.mark.mutation
def test_awx_schedule_refuses_settings_among_facts_without_guard(tmp_path: Path) -> None:
    """The first host of a play sets the schedule, and answers other tasks before. Each task that uses the plan refuses such facts."""
    case = next(one for one in CASES if one.awx)
    facts: Answers = {"*": {"ansible_facts": {"caracal_schedule_awx_image": "registry.example/made-up"}}}
    lying = with_facts(case, tmp_path / "lying", facts, callbacks=("unguarded",))
    assert lying.status != 0 and "caracal_schedule_awx_image" in lying.output, lying.output
    assert elsewhere(lying) - elsewhere(play(case, tmp_path / "honest")) == {}
