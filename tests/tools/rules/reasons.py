# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reason of a check is made in one file, so that no word of a service, of Redis or of another host can become one.

mypy holds the rest: `because` and the errors take a `Reason` only.
"""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path

from tools.rules import tree

UTILS = "plugins/module_utils"
# Where checks are made. Elsewhere `reason` is the field of a record, such as a hold or a waiver.
ROOMS = tuple(f"{UTILS}/{name}" for name in ("_audit", "_caracal", "_checks", "_drill", "_restore", "_sandbox"))
# The reasons, and the kinds of findings.
HOMES = (f"{UTILS}/_reasons.py", f"{UTILS}/_caracal/findings.py")
# It lists relations that were not read, each with the error.
RECORDS = (f"{UTILS}/_caracal/source/source_checks.py",)


def reason_faults(root: Path) -> list[str]:
    """Reasons that are made elsewhere, and details that are written without `because`."""
    faults = []
    for path in tree.python(root, UTILS):
        found = set(_made(tree.parse(root, path))) if path not in HOMES else set()
        if path.startswith(ROOMS) and path not in RECORDS:
            found |= set(_written(tree.parse(root, path)))
        faults += [f"{path}:{line}: {fault}" for line, fault in sorted(found)]
    return faults


def _made(module: ast.Module) -> t.Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Reason":
            yield node.lineno, "only _reasons.py makes a reason"


def _written(module: ast.Module) -> t.Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        keys = node.keys if isinstance(node, ast.Dict) else [node.slice] if _stores(node) else []
        if any(isinstance(key, ast.Constant) and key.value == "reason" for key in keys):
            yield getattr(node, "lineno", 1), "write the reason of a check with because()"


def _stores(node: ast.AST) -> t.TypeGuard[ast.Subscript]:
    return isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)
