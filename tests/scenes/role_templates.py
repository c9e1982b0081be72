# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of a role, and Ansible's own templates with its variables."""

from __future__ import annotations

import functools
import importlib
import inspect
import typing as t

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from tools.rules import tree

Values = dict[str, t.Any]
# Marks an option that a variable leaves out. From ansible-core 2.19 on the engine leaves it out itself.
OMITTED = "__left_out__"
_PACKAGE = "ansible_collections.caracal_ops.backup.plugins.filter"
_OWN = [importlib.import_module(f"{_PACKAGE}.{path.stem}") for path in sorted((tree.ROOT / "plugins/filter").glob("*.py"))]
FILTERS: dict[str, t.Any] = {name: function for one in _OWN for name, function in one.FilterModule().filters().items()}


@functools.cache
def _loaded(path: str) -> t.Any:
    """Load a YAML file. From ansible-core 2.19 on, only strings that are marked as trusted are templates."""
    loader = DataLoader()
    trusted = {"trusted_as_template": True} if "trusted_as_template" in inspect.signature(loader.load_from_file).parameters else {}
    return loader.load_from_file(path, **trusted) if (tree.ROOT / path).is_file() else {}


def tasks(role: str, file: str) -> list[Values]:
    found: list[Values] = _loaded(str(tree.ROOT / "roles" / role / "tasks" / f"{file}.yml"))
    return found


def variables(role: str) -> Values:
    """Return the variables of the role and of the roles that it depends on."""
    folder = tree.ROOT / "roles" / role
    needed = [one["role"].rpartition(".")[2] for one in _loaded(str(folder / "meta/main.yml")).get("dependencies", [])]
    found = {name: value for one in needed for name, value in variables(one).items()}
    return {**found, **_loaded(str(folder / "defaults/main.yml")), **_loaded(str(folder / "vars/main.yml"))}


_COMPILED: dict[tuple[t.Any, ...], t.Any] = {}


def _compiled(compile_it: t.Callable[..., t.Any], source: t.Any, *more: t.Any, **named: t.Any) -> t.Any:
    if not isinstance(source, str):
        return compile_it(source, *more, **named)
    key = (source, more, tuple(sorted(named.items())))
    if key not in _COMPILED:
        _COMPILED[key] = compile_it(source, *more, **named)
    return _COMPILED[key]


class Templates:
    """Templates with these variables."""

    def __init__(self, variables: Values) -> None:
        self._new = hasattr(Templar, "evaluate_conditional")
        self._templar = Templar(loader=DataLoader(), variables=variables if self._new else {**variables, "omit": OMITTED})
        environment = (self._templar._engine if self._new else self._templar).environment
        # They are found by their full name only if Ansible's own loader of collections has replaced Python's.
        for name, function in FILTERS.items():
            environment.filters[f"caracal_ops.backup.{name}"] = function
        # Compiling takes most of the time, and the same few templates are compiled many times.
        environment.compile = functools.partial(_compiled, environment.compile)

    def filled(self, given: t.Any) -> t.Any:
        found = self._templar.template(given)
        return {name: value for name, value in found.items() if value != OMITTED} if isinstance(found, dict) else found

    def hold(self, conditions: t.Iterable[t.Any]) -> bool:
        return all(self._holds(one) for one in conditions)

    def _holds(self, one: t.Any) -> bool:
        if self._new:
            return bool(self._templar.evaluate_conditional(one))
        return bool(self._templar.template(f"{{{{ ({one}) | bool }}}}"))
