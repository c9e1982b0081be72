# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every option is documented and every documented option exists; every module has check mode and is in the action group."""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path

import yaml

from tools.rules import tree

Options = dict[str, dict[str, t.Any]]
PREFIX = "caracal_ops.backup."
COMPARED = {"type": "str", "required": False, "default": None, "choices": None, "elements": None, "aliases": []}


def modules(root: Path) -> list[str]:
    """Return the names of the modules."""
    return [Path(path).stem for path in tree.files(root, "plugins/modules/*.py")]


def documentation(root: Path, module: str) -> dict[str, t.Any]:
    """Return the documentation of a module. Its own options and attributes take precedence over our fragments'."""
    document = _block(root, module, "DOCUMENTATION")
    for name in document.get("extends_documentation_fragment") or []:
        if not name.startswith(PREFIX):
            continue
        extended = fragment(root, *name.removeprefix(PREFIX).split("."))
        for key in ("options", "attributes"):
            own = document.get(key) or {}
            under = extended.get(key) or {}
            document[key] = {inner: {**under.get(inner, {}), **own.get(inner, {})} for inner in under.keys() | own.keys()}
    return document


def fragment(root: Path, name: str, part: str = "documentation") -> dict[str, t.Any]:
    """Return one part of a doc fragment."""
    for node in tree.parse(root, f"plugins/doc_fragments/{name}.py").body:
        if isinstance(node, ast.ClassDef) and node.name == "ModuleDocFragment":
            text = tree.constant(ast.Module(body=node.body, type_ignores=[]), part.upper())
            return _mapping(text)
    return {}


def _block(root: Path, module: str, name: str) -> dict[str, t.Any]:
    return _mapping(tree.constant(tree.parse(root, f"plugins/modules/{module}.py"), name))


def _mapping(text: str | None) -> dict[str, t.Any]:
    found = yaml.safe_load(text or "")
    return found if isinstance(found, dict) else {}


def described_twice(root: Path, module: str) -> list[str]:
    """Return options that a module describes with the same words as one of our fragments."""
    own = _block(root, module, "DOCUMENTATION").get("options") or {}
    names = [Path(path).stem for path in tree.files(root, "plugins/doc_fragments/*.py")]
    shared = [(name, fragment(root, name).get("options") or {}) for name in names]
    return [
        f"{module}: {option} is described as in the fragment {name}"
        for option, stated in own.items()
        for name, options in shared
        if stated.get("description") and stated["description"] == options.get(option, {}).get("description")
    ]


def option_faults(documented: Options, real: Options, where: str = "") -> list[str]:
    """Return the differences between documented options and an argument spec, suboptions included."""
    faults = [f"{where}{name} is documented but not real" for name in sorted(documented.keys() - real.keys())]
    faults += [f"{where}{name} is real but not documented" for name in sorted(real.keys() - documented.keys())]
    for name in sorted(documented.keys() & real.keys()):
        stated, is_ = documented[name], real[name]
        if not stated.get("description"):
            faults.append(f"{where}{name} has no description")
        for key, usual in COMPARED.items():
            if stated.get(key, usual) != is_.get(key, usual):
                faults.append(f"{where}{name}: {key} is documented as {stated.get(key, usual)!r} and is {is_.get(key, usual)!r}")
        faults += option_faults(stated.get("suboptions") or {}, is_.get("options") or {}, f"{where}{name}.")
    return faults


def document_faults(root: Path, module: str) -> list[str]:
    """Return the faults of a module's documentation, except in its options."""
    faults = []
    attributes = documentation(root, module).get("attributes") or {}
    if (attributes.get("check_mode") or {}).get("support") != "full":
        faults.append("the attribute check_mode does not have support: full")
    source = tree.parse(root, f"plugins/modules/{module}.py")
    has_action = (root / f"plugins/action/{module}.py").exists()
    if has_action != ("action" in attributes):
        faults.append("the attribute action and plugins/action do not agree")
    if _tells_progress(root, source) and not has_action:
        faults.append("reports progress, but no action plugin shows it")
    if f"{PREFIX}{module}:" not in (tree.constant(source, "EXAMPLES") or ""):
        faults.append(f"EXAMPLES do not use {PREFIX}{module}")
    returned = _block(root, module, "RETURN")
    if not returned:
        faults.append("RETURN is empty")
    faults += [
        f"RETURN {key} lacks {part}" for key, value in returned.items() for part in ("description", "returned", "type") if part not in value
    ]
    faults += [f"has no {name}" for name in ("Options", "main") if name not in _names(source)]
    return [f"{module}: {fault}" for fault in faults]


def _tells_progress(root: Path, source: ast.Module) -> bool:
    """Return whether the use case that a module imports shows its progress."""
    rooms = [node.module for node in source.body if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("module_utils._")]
    paths = [root / "plugins" / f"{room.replace('.', '/')}.py" for room in rooms if room]
    return any("progress.shown()" in path.read_text(encoding="utf-8") for path in paths if path.exists())


def _names(source: ast.Module) -> set[str]:
    """Return the functions that a file defines and the names that it imports."""
    defined = {node.name for node in source.body if isinstance(node, ast.FunctionDef)}
    return defined | {alias.asname or alias.name for node in source.body if isinstance(node, ast.ImportFrom) for alias in node.names}


def group_faults(root: Path) -> list[str]:
    """Return the faults of the action group `all`, which must be the sorted list of the modules."""
    runtime = _mapping((root / "meta/runtime.yml").read_text(encoding="utf-8"))
    listed = (runtime.get("action_groups") or {}).get("all") or []
    present = modules(root)
    faults = [f"action group all names {name}, which is not a module" for name in listed if name not in present]
    faults += [f"action group all lacks {name}" for name in present if name not in listed]
    return faults + (["action group all is not sorted"] if listed != sorted(listed) else [])
