# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Untyped mappings in signatures: `dict` or `Mapping` of `str` to `Any`, also through an alias.

mypy sees a missing key in a `TypedDict` and forces a check of a value in a `Mapping[str, object]`. In a mapping to `Any` it sees neither.
"""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path

from tools.rules import imports, tree

UTILS = "plugins/module_utils"
MAPPINGS = ("dict", "Mapping", "MutableMapping")
ANY = ("Any", "t.Any")
# The remaining ones are decoders of JSON, options and answers of other programs.
MOST = 69

Alias = tuple[str, str]  # path of its file, name


def untyped(root: Path) -> list[str]:
    """Return one `path:line: function(parameter): type` for each untyped mapping in the signature of a function."""
    modules = {path: tree.parse(root, path) for path in tree.python(root, UTILS)}
    aliases = {(path, name) for path, module in modules.items() for name, value in _assigned(module) if any(_mappings(value, set()))}
    found = []
    for path, module in modules.items():
        names = {name for file, name in aliases if file == path} | _imported(path, module, aliases)
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef):
                parts = [(argument.arg, argument.annotation) for argument in _arguments(node.args)] + [("return", node.returns)]
                typed = ((name, annotation) for name, annotation in parts if annotation is not None)
                found += [f"{path}:{node.lineno}: {node.name}({name}): {kind}" for name, one in typed for kind in _mappings(one, names)]
    return found


def _assigned(module: ast.Module) -> t.Iterator[tuple[str, ast.expr]]:
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


def _imported(path: str, module: ast.Module, aliases: set[Alias]) -> set[str]:
    names = set()
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            file = "/".join(imports.base_of(path, node)[len(imports.COLLECTION) :]) + ".py"
            names |= {one.asname or one.name for one in node.names if (file, one.name) in aliases}
    return names


def _arguments(found: ast.arguments) -> list[ast.arg]:
    several = [one for one in (found.vararg, found.kwarg) if one]
    return [*found.posonlyargs, *found.args, *found.kwonlyargs, *several]


def _mappings(annotation: ast.expr, aliases: t.Collection[str]) -> t.Iterator[str]:
    for node in ast.walk(annotation):
        if isinstance(node, ast.Subscript) and _is_untyped(node):
            yield ast.unparse(node)
        elif isinstance(node, ast.Name) and node.id in aliases:
            yield node.id


def _is_untyped(node: ast.Subscript) -> bool:
    name = ast.unparse(node.value).rpartition(".")[2]
    return name in MAPPINGS and isinstance(node.slice, ast.Tuple) and ast.unparse(node.slice.elts[-1]) in ANY
