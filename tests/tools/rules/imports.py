# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Imports follow the layers of `plugins/` in one direction, and only some parts may import Ansible."""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path

from tools.rules import tree

COLLECTION = ("ansible_collections", "caracal_ops", "backup")

# Part of the collection -> parts that it may import, in addition to itself. Lower parts come first.
_BASE = {"_errors", "_files", "_inventory", "_options", "_reasons", "_report"}
_STREAM = _BASE | {"_deps", "_stream"}
_STORES = _STREAM | {"_crypto", "_storage"}
_DRIVERS = _STORES | {"_repository"}
_SANDBOX = _DRIVERS | {"_drivers", "_caracal", "_ansible"}
_EVIDENCE = _SANDBOX | {"_sandbox"}
_ROOMS = _EVIDENCE | {"_reading", "_evidence"}
_MODULES = {
    "_ansible",
    "_audit",
    "_assets",
    "_checks",
    "_deployment",
    "_drill",
    "_evidence",
    "_notify",
    "_reading",
    "_restore",
    "_sandbox",
    "_sets",
    "_setup",
}
ALLOWED: dict[str, set[str]] = {
    "_reasons": set(),
    "_errors": {"_reasons"},
    "_inventory": set(),
    "_options": {"_errors"},
    "_files": {"_errors"},
    "_report": {"_errors", "_files", "_options"},
    "_deps": {"_errors"},
    "_ansible": {"_errors", "_files", "_options"},
    "_caracal": {"_errors", "_files", "_inventory", "_options", "_reasons", "_report"},
    "_stream": _BASE | {"_deps"},
    "_crypto": _STREAM,
    "_storage": _STREAM,
    "_repository": _STORES,
    "_drivers": _DRIVERS,
    "_setup": _DRIVERS | {"_ansible", "_drivers"},
    "_images": _SANDBOX,
    "_sandbox": _SANDBOX | {"_images"},
    "_notify": _SANDBOX | {"_sandbox"},
    "_deployment": _EVIDENCE | {"_images"},
    "_reading": _EVIDENCE,
    "_evidence": _EVIDENCE | {"_reading"},
    "_audit": _ROOMS,
    "_assets": _ROOMS | {"_deployment", "_images"},
    "_checks": _ROOMS,
    "_sets": _ROOMS | {"_audit", "_assets"},
    "_restore": _ROOMS | {"_audit", "_assets", "_checks", "_sets"},
    "_drill": _ROOMS | {"_images", "_audit", "_assets", "_checks", "_sets", "_restore"},
    "modules": _MODULES,
    "plugin_utils": {"_ansible", "_errors", "_stream"},
    "action": _MODULES | {"plugin_utils"},
    "filter": {"_ansible", "_deployment", "_errors", "_report", "_repository", "_setup"},
    "doc_fragments": set(),
}
MAY_KNOW_ANSIBLE = {"_ansible", "action", "filter", "plugin_utils"}


def part_of(path: tuple[str, ...]) -> str:
    """Return the part of a path below `plugins`: a package or file of `module_utils`, or else the kind of plugin."""
    return path[1] if path[0] == "module_utils" and len(path) > 1 else path[0]


def imported(root: Path, path: str) -> t.Iterator[tuple[int, tuple[str, ...]]]:
    """Yield line and absolute dotted name, as a tuple, of every import of a file, at any depth."""
    for node in ast.walk(tree.parse(root, path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, tuple(alias.name.split("."))) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, (*base_of(path, node), alias.name)) for alias in node.names)


def base_of(path: str, node: ast.ImportFrom) -> tuple[str, ...]:
    """Return the absolute dotted name from which a file imports."""
    package = (*COLLECTION, *Path(path).parent.parts)
    base = package[: len(package) - node.level + 1] if node.level else ()
    return (*base, *(node.module.split(".") if node.module else ()))


def direction_faults(root: Path) -> list[str]:
    """Return the imports that violate the layers."""
    faults = []
    for path in tree.python(root, "plugins"):
        part = part_of(Path(path).with_suffix("").parts[1:])
        if part not in ALLOWED:
            faults.append(f"{path}: {part} is not a part of the design")
            continue
        for line, name in imported(root, path):
            fault = _fault(part, name)
            faults += [f"{path}:{line}: {fault}"] if fault else []
    return faults


def _fault(part: str, name: tuple[str, ...]) -> str | None:
    if name[0] == "ansible" and part not in MAY_KNOW_ANSIBLE and part != "doc_fragments":
        return f"{part} may not know Ansible ({'.'.join(name)})"
    if name[: len(COLLECTION)] != COLLECTION:
        return None
    inside = name[len(COLLECTION) :]
    if inside[:1] != ("plugins",) or len(inside) < 3:
        return f"{'.'.join(name)} is not a part of the plugins"
    target = part_of(inside[1:])
    return None if target == part or target in ALLOWED[part] else f"{part} may not import {target}"
