# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The targets of a playbook or of the tasks of a role: a role, other tasks, or a module."""

from __future__ import annotations

import functools
import re
import typing as t
from pathlib import Path

import yaml

from tools.rules.references import Place

PREFIX = "caracal_ops.backup."
INCLUDES = ("ansible.builtin.import_tasks", "ansible.builtin.include_tasks")
MODULES = "plugins/modules/"
Mapping = dict[str, t.Any]


def _mappings(value: t.Any) -> t.Iterator[Mapping]:
    """Yield all mappings of a document, such as plays and tasks, from the outside to the inside."""
    if isinstance(value, dict):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _mappings(one)


def _texts(value: t.Any) -> t.Iterator[str]:
    """Yield keys and values."""
    if isinstance(value, dict | list):
        for one in [*value, *(value.values() if isinstance(value, dict) else ())]:
            yield from _texts(one)
    elif isinstance(value, str):
        yield value


def _mentions(value: t.Any, name: str) -> bool:
    return any(re.search(rf"(?<![\w.]){re.escape(name)}\b", text) for text in _texts(value))


def _included(task: Mapping) -> t.Iterator[str]:
    for name in INCLUDES:
        if name in task:
            yield task[name]["file"] if isinstance(task[name], dict) else task[name]


def _is(file: str, tasks: str, known: t.Collection[str]) -> bool:
    """Return whether an included file can be these tasks. A file name with a variable matches any file with a known value."""
    return file == tasks or ("{{" in file and Path(tasks).stem in known)


class Plays:
    """The YAML files of a tree, each read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._document = functools.cache(self._load)

    def _load(self, path: str) -> t.Any:
        return yaml.safe_load((self._root / path).read_text(encoding="utf-8"))

    def mentions(self, place: Place) -> bool:
        """Return whether the name is in the file as a whole word, outside of comments."""
        return _mentions(self._document(place.path), place.name)

    def leads(self, source: Place, target: Place, before: t.Sequence[Place]) -> bool:
        """Return whether the source leads to the target. The variables of the places in `before` are known there."""
        tasks = list(_mappings(self._document(source.path)))
        if target.path.startswith(MODULES):
            # The task that runs the module uses the variable: as the value of an option, or to register the result.
            module = PREFIX + Path(target.path).stem
            return any(module in task and _mentions(task, source.name) for task in tasks)
        role, _slash, file = target.path.removeprefix("roles/").partition("/tasks/")
        if source.path.startswith(f"roles/{role}/"):
            known = {text for one in (source, *before) for text in _texts(self._document(one.path))}
            return any(_is(included, file, known) for task in tasks for included in _included(task))
        named = [(one.get("role") or one.get("name"), one.get("tasks_from", "main")) for one in tasks]
        return (PREFIX + role, Path(file).stem) in named
