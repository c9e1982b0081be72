# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reason of a check or an error is created in one file, so that a service's, Redis's or another host's text cannot be a reason.

mypy checks the rest: `because` and the errors accept only a `Reason`.
"""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path

from tools.rules import tree

UTILS = "plugins/module_utils"
# The files of the reasons and of the kinds of findings.
HOMES = (f"{UTILS}/_reasons.py", f"{UTILS}/_caracal/findings.py")
ERRORS = f"{UTILS}/_errors.py"
# In these files, `reason` is a field of records: a person's text, or why something was not read.
RECORDS = tuple(
    f"{UTILS}/{name}.py"
    for name in (
        "_assets/replay/replay_volume_archive",
        "_caracal/source/source_checks",
        "_deployment/compose",
        "_evidence/history",
        "_report/waiver",
        "_repository/decisions",
        "_sets/backup_hold",
        "_sets/backup_prune",
        "_sets/backup_set_info",
    )
)


def reason_faults(root: Path) -> list[str]:
    """Return reasons created in other files, details written without `because`, and errors that lose the reason of another error."""
    faults = []
    for path in tree.python(root, UTILS):
        module = tree.parse(root, path)
        found = set(_made(module)) | set(_written(module)) if path not in HOMES else set()
        if path in RECORDS:
            found -= set(_written(module))
        if path != ERRORS:
            found |= set(_lost(module))
        faults += [f"{path}:{line}: {fault}" for line, fault in sorted(found)]
    return faults


def _made(module: ast.Module) -> t.Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and _name(node.func) == "Reason":
            yield node.lineno, "only _reasons.py makes a reason"


def _written(module: ast.Module) -> t.Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        keys = node.keys if isinstance(node, ast.Dict) else [node.slice] if _stores(node) else []
        if any(isinstance(key, ast.Constant) and key.value == "reason" for key in keys):
            yield getattr(node, "lineno", 1), "write the reason of a check with because()"


def _lost(module: ast.Module) -> t.Iterator[tuple[int, str]]:
    """Yield errors that quote another error's message but do not copy its reason."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and any(one.arg is None and _is(one.value, "details") for one in node.keywords):
            yield node.lineno, "reword an error with reworded() or caused_by()"
        raised = node.exc if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) else None
        if raised and _name(raised.func) not in ("reworded", "caused_by") and any(_is(inner, "msg") for inner in ast.walk(raised)):
            yield raised.lineno, "reword an error with reworded() or caused_by()"


def _is(node: ast.AST, attribute: str) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == attribute


def _name(func: ast.expr) -> str:
    return ast.unparse(func).split(".")[-1]


def _stores(node: ast.AST) -> t.TypeGuard[ast.Subscript]:
    return isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)
