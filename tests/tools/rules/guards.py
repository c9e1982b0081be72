# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of a host's answer that can reach the controller or another host: only results, and only after a check."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import yaml

OURS = "caracal_ops.backup."
# They do not run a module on any host.
CONTROLLER = frozenset(
    f"ansible.builtin.{name}"
    for name in (
        *("assert", "debug", "fail", "group_by", "import_role", "import_tasks", "include_role", "include_tasks"),
        *("set_fact", "set_stats"),
    )
)
# Modules of other collections that run only on the controller, and the files that may use them.
FOREIGN = {"awx.awx.": "caracal_schedule/tasks/awx_", "community.general.mail": "caracal_notify/tasks/mail.yml"}
# With these keys a task names its module in another way than by a key.
ANY_MODULE = ("action", "local_action")
# They stop an invalid value.
CHECKS = re.compile(r"\|\s*caracal_ops\.backup\.checked_\w+")
NAME = re.compile(r"(?<![\w.'\"])_*(?:caracal|doctor)_\w+")
Task = dict[str, t.Any]


def load(path: Path) -> t.Any:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None


def tasks_of(document: t.Any) -> t.Iterator[tuple[Task, tuple[Task, ...]]]:
    """Yield each task at any depth, with the plays and blocks that contain it."""
    yield from _tasks(document, ())


def _tasks(document: t.Any, above: tuple[Task, ...]) -> t.Iterator[tuple[Task, tuple[Task, ...]]]:
    for one in document if isinstance(document, list) else ():
        yield one, above
        for part in ("pre_tasks", "tasks", "post_tasks", "handlers", "block", "rescue", "always"):
            yield from _tasks(one.get(part), (*above, one))


def action(task: Task) -> str:
    return next((key for key in task if "." in key), "")


def unguarded(path: str, document: t.Any, guarded: t.Collection[str]) -> list[str]:
    """Return tasks with answers that Ansible uses unchecked, and plays that gather facts."""
    found = []
    for task, _above in tasks_of(document):
        name = action(task)
        if "hosts" in task and task.get("gather_facts") is not False:
            found.append(str(task.get("name")))
        if "async" in task:
            # It is polled by an action of Ansible, which uses the answer unchecked.
            found.append(str(task.get("name")))
        elif any(key in task for key in ANY_MODULE) or not _is_known(name, path, guarded):
            found.append(str(task.get("name")))
    return found


def _is_known(name: str, path: str, guarded: t.Collection[str]) -> bool:
    return not name or name in CONTROLLER or name.removeprefix(OURS) in guarded or _foreign(name, path)


def _foreign(name: str, path: str) -> bool:
    return any(name.startswith(prefix) and file in path for prefix, file in FOREIGN.items())


def delegated(task: Task, above: t.Sequence[Task]) -> bool:
    """Return whether the task runs on another host than the play's."""
    return any("delegate_to" in one for one in (task, *above))


def results(documents: t.Iterable[t.Any]) -> set[str]:
    """Return the names of results that do not come only from the controller."""
    tasks = [found for one in documents for found in tasks_of(one)]
    places = [(task.get("register"), [one.get("delegate_to") for one in (task, *above)]) for task, above in tasks]
    return {name for name, at in places if name and "localhost" not in at}


def reaches(value: t.Any, variables: t.Mapping[str, t.Any], seen: frozenset[str] = frozenset()) -> set[str]:
    """Return the names that a value is made of, also through variables. A checked value does not count."""
    found: set[str] = set()
    for text in _texts(value):
        if CHECKS.search(text):
            continue
        for name in {*NAME.findall(text)} - seen:
            found |= {name} | (reaches(variables[name], variables, seen | {name}) if name in variables else set())
    return found


def _texts(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def crossings(documents: t.Sequence[t.Any], variables: t.Mapping[str, t.Any]) -> dict[str, set[str]]:
    """Return, for each delegated task, the results of this host in its arguments, its `delegate_to`, its loop and its environment."""
    answers = results(documents)
    found: dict[str, set[str]] = {}
    for document in documents:
        for task, above in tasks_of(document):
            name = action(task)
            if not name or name in CONTROLLER or not delegated(task, above):
                continue
            known = {**variables, **{key: value for one in (*above, task) for key, value in (one.get("vars") or {}).items()}}
            given = [task[name], task.get("delegate_to"), task.get("loop"), task.get("environment")]
            crossed = reaches(given, known) & answers
            if crossed:
                found[str(task.get("name"))] = crossed
    return found
