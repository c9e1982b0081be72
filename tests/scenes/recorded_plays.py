# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A play of several hosts, and the tasks that it ran on each of them."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from scenes.playing import Play
from tools.rules import tree

CALLBACKS = Path(__file__).parent / "callbacks"
NAME = re.compile(r"\b_*(?:caracal|doctor|notify|quickstart)_[a-z0-9_]+\b")
# Parts that differ between runs: IDs of sets, random names, processes and times.
_RANDOM = (
    (re.compile(r"[0-9]{8}T[0-9]{6}Z-[a-z0-9]{4}"), "<id>"),
    (re.compile(r"caracal_backup\.[A-Za-z0-9_]+"), "caracal_backup.<random>"),
    (re.compile(r"ansible-(local|tmp)-[^/\"]+"), "ansible-<random>"),
    (re.compile(r"[0-9a-f]{40,64}"), "<digest>"),
    (re.compile(r'"_original_basename": "[.][a-z0-9_]{8}"'), "<name>"),
)


def names() -> list[str]:
    """Return every name of a setting, a variable and a result in the roles and playbooks."""
    files = [path for folder in ("roles", "playbooks") for path in (tree.ROOT / folder).rglob("*") if path.suffix in (".yml", ".j2")]
    return sorted({name for path in files for name in NAME.findall(path.read_text(encoding="utf-8"))})


@dataclasses.dataclass(frozen=True)
class Ran:
    """`tasks` are by host: task and arguments, without the parts that differ between runs."""

    status: int
    output: str
    tasks: dict[str, list[str]]

    def elsewhere(self, host: str) -> set[str]:
        """Return the tasks of all other hosts."""
        return {f"{name}: {task}" for name, tasks in self.tasks.items() if name != host for task in tasks}


def play(
    name: str,
    folder: Path,
    patch: pytest.MonkeyPatch,
    *,
    hosts: t.Mapping[str, Path | None],
    settings: dict[str, t.Any],
    forced: t.Mapping[str, t.Any] | None = None,
    options: tuple[str, ...] = (),
    callbacks: tuple[str, ...] = (),
    collections: tuple[Path, ...] = (),
    stand_ins: bool = False,
) -> Ran:
    """Run a playbook and record its tasks.

    `hosts` are the interpreters of the inventory's hosts; None stands for this machine's. The settings are variables of
    the inventory, except those that select hosts, which no play reads from an inventory. `forced` are extra variables:
    they take precedence over a role's own variables, such as paths on the machine, which inventory variables do not.
    `callbacks` are additional ones in `scenes/callbacks`. With `stand_ins`, modules do not need files of their own on a
    host, which is faster, and their answers do not contain their arguments.
    """
    folder.mkdir(exist_ok=True)
    of = {one: {"ansible_connection": "local", "ansible_python_interpreter": str(at or sys.executable)} for one, at in hosts.items()}
    inventory = folder / "inventory.yml"
    given = {one: value for one, value in settings.items() if one.endswith("_hosts")}
    own = {one: value for one, value in settings.items() if one not in given}
    inventory.write_text(yaml.safe_dump({"all": {"hosts": of, "vars": own}}), encoding="utf-8")
    record = folder / "record.jsonl"
    record.touch()
    enabled = ",".join(["recorded", *callbacks])
    settings_of_ansible = (
        f"[defaults]\ncallbacks_enabled = {enabled}\ncallback_plugins = {CALLBACKS}\n[connection]\npipelining = {stand_ins}\n"
    )
    (folder / "ansible.cfg").write_text(settings_of_ansible, encoding="utf-8")
    patch.setenv("RECORDED", str(record))
    if stand_ins:
        patch.setenv("RECORDED_GIVEN", "1")
    played = Play(name, {**given, **(forced or {})}, folder, options, inventory, collections)
    status = played.ended()
    tasks: dict[str, list[str]] = {}
    for line in record.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        tasks.setdefault(one["host"], []).append(_plain(f"{one['task']} {json.dumps(one['arguments'], sort_keys=True)}", folder))
    return Ran(status, played.output(), tasks)


def _plain(text: str, folder: Path) -> str:
    for pattern, put in ((re.compile(re.escape(str(folder))), "<folder>"), *_RANDOM):
        text = pattern.sub(put, text)
    return text
