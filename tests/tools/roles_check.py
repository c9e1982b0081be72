# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check every role against our rules: a README, argument specs equal to the defaults, names and tags that begin with the role's name.

Prints `N roles checked`, or one line for each fault.
"""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import yaml


def load(path: Path) -> t.Any:
    """Return the content of a YAML file, or None if the file does not exist."""
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None


def spec_faults(role: Path) -> list[str]:
    """Return the differences between `meta/argument_specs.yml` and `defaults/main.yml`, over all entry points.

    Options without a default are not in the defaults.
    """
    defaults = load(role / "defaults/main.yml") or {}
    specs = (load(role / "meta/argument_specs.yml") or {}).get("argument_specs") or {}
    if "main" not in specs:
        return ["meta/argument_specs.yml has no spec of the entry point main"]
    options = [(name, option) for spec in specs.values() for name, option in (spec.get("options") or {}).items()]
    known = {name for name, _option in options}
    faults = [f"{name} is in defaults/main.yml but has no argument spec" for name in sorted(defaults.keys() - known)]
    for name, option in sorted(options, key=lambda one: one[0]):
        faults += [f"{name}: {fault}" for fault in _option_faults(role.name, name, option, defaults)]
    return list(dict.fromkeys(faults))


def _option_faults(role: str, name: str, option: dict[str, t.Any], defaults: dict[str, t.Any]) -> t.Iterator[str]:
    if not name.startswith(f"{role}_"):
        yield f"does not begin with {role}_"
    for key in ("type", "description"):
        if key not in option:
            yield f"has no {key}"
    if option.get("required") and name in defaults:
        yield "is required, yet has a default in defaults/main.yml"
    if ("default" in option) != (name in defaults):
        yield "has a default in only one of argument_specs.yml and defaults/main.yml"
    elif "default" in option and option["default"] != defaults[name]:
        yield f"default {option['default']!r} in argument_specs.yml, {defaults[name]!r} in defaults/main.yml"


def tasks_of(path: Path) -> t.Iterator[dict[str, t.Any]]:
    """Yield the tasks of a file, including tasks in blocks."""
    pending = list(load(path) or [])
    while pending:
        task = pending.pop(0)
        pending += [inner for part in ("block", "rescue", "always") for inner in task.get(part) or []]
        yield task


def task_faults(role: Path) -> list[str]:
    """Return tags that do not begin with the role's name, and steps of `tasks/main.yml` without a tag."""
    faults = []
    for path in sorted((role / "tasks").glob("*.yml")):
        for task in tasks_of(path):
            tags = task.get("tags") or []
            named = [tags] if isinstance(tags, str) else tags
            strange = [tag for tag in named if not tag.startswith(f"{role.name}_") and tag not in ("always", "never")]
            faults += [f"tasks/{path.name}: tag {tag} does not begin with {role.name}_" for tag in strange]
    main = load(role / "tasks/main.yml")
    if not main:
        return [*faults, "tasks/main.yml is missing or empty"]
    return faults + [f"tasks/main.yml: the step {step.get('name')!r} has no tags" for step in main if not step.get("tags")]


def faults_of(role: Path) -> list[str]:
    """Return all faults of a role."""
    missing = [f"{name} is missing" for name in ("README.md", "meta/main.yml") if not (role / name).is_file()]
    return [f"{role.name}: {fault}" for fault in missing + spec_faults(role) + task_faults(role)]


def main() -> str | None:
    """Check every role below `roles` of the current folder."""
    roles = sorted(path for path in Path("roles").glob("*") if path.is_dir())
    faults = [fault for role in roles for fault in faults_of(role)]
    if faults:
        return "\n".join(faults)
    print(f"{len(roles)} roles checked")
    return None


if __name__ == "__main__":
    sys.exit(main())
