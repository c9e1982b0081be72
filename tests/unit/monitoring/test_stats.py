# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Results that playbooks pass to other jobs with set_stats.

In the next job they are extra variables: they override all others and are evaluated as templates.
"""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml

from tools.rules import tree
from unit.snapshots import test_role_words as words
from unit.snapshots.role_words import Values, left

GUIDE = tree.ROOT / "docs" / "docsite" / "rst" / "guide_monitoring.rst"
# Nothing that a template, a shell or YAML would interpret.
PLAIN = re.compile(r"[A-Za-z0-9 ._:/@-]*\Z")
HOSTILE = "{{ lookup('pipe', 'id') }}"
# Quickstart runs all other playbooks; the others are run by them.
NO_JOB = {"quickstart", "notify", "setup", "schedule"}


def tasks_in(given: t.Iterable[dict[str, t.Any]]) -> t.Iterator[dict[str, t.Any]]:
    """Yield the tasks in a list of tasks or plays, at any depth."""
    for one in given:
        yield one
        yield from tasks_in(inner for part in ("tasks", "block", "rescue", "always") for inner in one.get(part) or [])


def stats(path: Path) -> t.Iterator[dict[str, t.Any]]:
    found = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    return (task for task in tasks_in(found) if "ansible.builtin.set_stats" in task)


PLAYBOOKS = sorted((tree.ROOT / "playbooks").glob("*.yml"))
# If a playbook runs several roles, the playbook leaves the result; otherwise the role does.
OF_ROLES = sorted(path for path in (tree.ROOT / "roles").glob("*/tasks/*.yml") if list(stats(path)))
FILES = [*OF_ROLES, *(path for path in PLAYBOOKS if list(stats(path)))]
NAMES = {name: path for path in FILES for task in stats(path) for name in task["ansible.builtin.set_stats"]["data"]}


def entry_of(playbook: Path) -> Path:
    """Return the first task file of the role that does the playbook's job, or the playbook itself."""
    if list(stats(playbook)):
        return playbook
    (play,) = yaml.safe_load(playbook.read_text(encoding="utf-8"))
    # Most playbooks name the role for parts/job.yml.
    imported = [task["ansible.builtin.import_role"] for task in tasks_in([play]) if "ansible.builtin.import_role" in task]
    given = (play.get("vars") or {}).get("__caracal_job") or imported[0]
    role = (given.get("role") or given["name"]).rpartition(".")[2]
    return tree.ROOT / "roles" / role / "tasks" / f"{given.get('tasks_from', 'main')}.yml"


def reached(path: Path) -> t.Iterator[Path]:
    yield path
    for task in tasks_in(yaml.safe_load(path.read_text(encoding="utf-8")) or []):
        imported = task.get("ansible.builtin.import_tasks")
        if imported:
            yield from reached(path.with_name(imported))


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
def test_each_playbook_sets_stats_that_the_guide_documents(playbook: Path) -> None:
    if playbook.stem in NO_JOB:
        return
    names = {name for name, path in NAMES.items() if path in list(reached(entry_of(playbook)))}
    assert len(names) == 1
    row = re.search(
        rf"\* - ``{playbook.stem}``\n     - ``(\w+)``\n     - (.*?)\n(?:   \*|\n)", GUIDE.read_text(encoding="utf-8"), re.DOTALL
    )
    assert row and {row[1]} == names
    assert re.findall(r"``(\w+)``", row[2]) == list(fields(row[1]))


def fields(name: str) -> t.Iterable[str]:
    """Return the fields that a task stores under this name, or the fields of the results below if a filter creates them."""
    path = NAMES[name]
    (data,) = [task["ansible.builtin.set_stats"]["data"][name] for task in stats(path)]
    if isinstance(data, dict):
        return data
    (found,) = [left(*one)[name] for one in RESULTS if one[:2] == (path.parts[-3], path.stem)]
    return t.cast(Values, found)


# The AWX template of a drill, for the set that the previous job created; the journal must contain it.
HANDED_ON = {"caracal_backup_stats": {tree.ROOT / "roles/caracal_schedule/vars/main.yml": 1}}


def test_no_role_playbook_or_module_reads_a_stats_name() -> None:
    """Only the task that stores the name may use it. A variable, fact, result, option or template of another file must not contain it."""
    readers = [
        path
        for folder in ("roles", "playbooks", "plugins")
        for path in (tree.ROOT / folder).rglob("*")
        if path.suffix in (".yml", ".py", ".j2")
    ]
    texts = {path: path.read_text(encoding="utf-8") for path in readers}
    for name, path in NAMES.items():
        prefix = path.parts[-3] if path in OF_ROLES else f"caracal_{path.stem}"
        assert name.startswith(f"{prefix}_") and name.endswith("_stats")
        found = {reader: len(re.findall(rf"\b{name}\b", text)) for reader, text in texts.items() if name in text}
        assert found == {path: 1, **HANDED_ON.get(name, {})}, name


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_stats_are_not_set_in_check_mode_and_never_aggregated(path: Path) -> None:
    for task in stats(path):
        conditions = task["when"] if isinstance(task["when"], list) else [task["when"]]
        assert "not ansible_check_mode" in conditions and task["ansible.builtin.set_stats"]["aggregate"] is False
        assert "per_host" not in task["ansible.builtin.set_stats"], "AWX hands on only what is of the whole run"


BAD = {"id": f"restore.{HOSTILE}.rows", "verdict": "fail", "message": HOSTILE}
DRILL: Values = {
    "__caracal_drill_reported": {
        "drill_id": words.SET_ID,
        "set_id": words.SET_ID,
        "verdict": "fail",
        "counts": {"pass": 1, "fail": 1, "unproven": 0},
        "diagnosis": [{"id": "kek.wrong", "cause": HOSTILE, "remedy": HOSTILE}],
        "seconds": 12.5,
        "rto_seconds": None,
        "rpo_seconds": 3600.0,
        "separation": {"verdict": "pass"},
        "freshness": "fresh",
        "countersigned": False,
        "report": {"html": "/var/reports/x/report.html", "sha256": "0" * 64, "files": []},
        "journal_head": words.HEAD,
        "summary_lines": [HOSTILE],
        "budgets": {},
    }
}
RETENTION: Values = {
    "__caracal_retention_verified": {
        "verdict": "fail",
        "checks": [BAD],
        "counts": {"fail": 1, "unproven": 0},
        "report": [],
        "seconds": 1.5,
        "journal_head": words.HEAD,
        "summary_lines": [HOSTILE],
        "msg": HOSTILE,
    },
    "__caracal_retention_located": {},
}
SETS: Values = {
    "__caracal_repository_listed": {
        "sets": [{"set_id": words.SET_ID}],
        "lines": [HOSTILE],
        "freshness": "fresh",
        "journal_head": words.HEAD,
    }
}
AUDIT = {**words.CHAINS, "verdict": "fail", "checks": [BAD], "msg": HOSTILE}
ARCHIVED = {**words.ARCHIVE["__caracal_archive_verified"], "verdict": "fail", "checks": [BAD], "msg": HOSTILE}
VERIFIED = {**words.REPOSITORY["__caracal_repository_verified"], "checks": [BAD], "msg": HOSTILE, "failed_sets": [], "bytes": 1}
COPIED = {**words.REPOSITORY["__caracal_repository_copied"], "destination": HOSTILE, "freshness": "fresh"}
RESULTS: tuple[tuple[str, str, Values], ...] = (
    ("caracal_backup", "report", {**words.BACKUP, "__caracal_backup_committed": {**words.CHANGED, "msg": HOSTILE}}),
    ("caracal_backup", "checkpoint", {"__caracal_backup_checkpoint": words.CHECKPOINT}),
    ("caracal_backup", "verify_audit", {"__caracal_backup_audit": AUDIT}),
    ("caracal_restore", "report", words.TAKEN_BACK),
    ("caracal_drill", "report", DRILL),
    ("caracal_retention", "report", RETENTION),
    ("caracal_archive", "report", {**words.ARCHIVE, "__caracal_archive_verified": ARCHIVED}),
    ("caracal_repository", "verify", {"__caracal_repository_verified": VERIFIED}),
    ("caracal_repository", "prune", words.REPOSITORY),
    ("caracal_repository", "copy", {"__caracal_repository_copied": COPIED}),
    ("caracal_repository", "sets", SETS),
)


@pytest.mark.mutation
@pytest.mark.parametrize(("role", "tasks", "answers"), RESULTS, ids=[f"{role}-{tasks}" for role, tasks, _answers in RESULTS])
def test_stats_are_flat_plain_and_ignore_earlier_stats(role: str, tasks: str, answers: Values) -> None:
    given = {**answers, "caracal_ops_deployment": "prod"}
    (found,) = left(role, tasks, given).values()
    assert found["deployment"] == "prod" and all(one is None or isinstance(one, str | int | float) for one in found.values())
    assert [one for one in found.values() if isinstance(one, str) and not PLAIN.match(one)] == []
    assert found.get("verdict") in (None, "fail", "pass") and found.get("finding", "restore").startswith("restore")
    earlier = {name: {"verdict": HOSTILE, "set_id": HOSTILE} for name in NAMES}
    assert list(left(role, tasks, {**given, **earlier}).values()) == [found]
    assert left(role, tasks, given, check_mode=True) == {}


def test_every_role_with_stats_has_sample_results() -> None:
    assert {(path.parts[-3], path.stem) for path in OF_ROLES} == {(role, tasks) for role, tasks, _answers in RESULTS}


def test_an_unverified_run_never_has_the_verdict_pass() -> None:
    (found,) = left("caracal_backup", "report", {**words.BACKUP, "__caracal_backup_verified": {}}).values()
    assert found["verdict"] == "unproven"
    (found,) = left("caracal_restore", "report", {**words.RESTORE, "__caracal_restore_verified": {}}).values()
    assert found["verdict"] == "unproven"
    (found,) = left("caracal_archive", "report", {**words.ARCHIVE, "__caracal_archive_verified": {}}).values()
    assert found["verdict"] == "" and found["finding"] == ""
