# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs of an image start only with the command of `_sandbox/isolation.py`, and container labels are read in one file."""

from __future__ import annotations

import ast
import re
import typing as t
from pathlib import Path

from tools.rules import tree

BUILDS_COMMANDS = "plugins/module_utils/_sandbox/isolation.py"
READS_LABELS = "plugins/module_utils/_drivers/engine/answers.py"
# These options of bubblewrap set what a program sees and which permissions it has.
OPTION = re.compile(r"--(ro-|dev-)?bind(-try|-data|-fd)?|--unshare-[a-z-]+|--cap-add|--share-net|--proc|--dev|--seccomp|--userns")
STARTS = {"Child", "run", "process.run", "process.Child", "tools.start"}
LABELS = "Labels"
FILES_OF_AN_IMAGE = "rootfs"


def guest_faults(root: Path) -> list[str]:
    """Return commands of bubblewrap, starts of an image's files, and container labels in other files."""
    faults = []
    for path in tree.python(root, "plugins"):
        for node in ast.walk(tree.parse(root, path)):
            faults += [f"{path}:{line}: {fault}" for line, fault in _faults(node, path)]
    return faults


def _faults(node: ast.AST, path: str) -> t.Iterator[tuple[int, str]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        if OPTION.fullmatch(node.value) and path != BUILDS_COMMANDS:
            yield node.lineno, f"only {BUILDS_COMMANDS} builds a command of bubblewrap ({node.value})"
        if node.value == LABELS and path != READS_LABELS:
            yield node.lineno, f"only {READS_LABELS} reads labels and compares them with the labels of the image"
    if isinstance(node, ast.Call) and ast.unparse(node.func) in STARTS and _mentions_files(node):
        yield node.lineno, f"a program of an image starts by the command that {BUILDS_COMMANDS} builds"


def _mentions_files(call: ast.Call) -> bool:
    names = (one.attr if isinstance(one, ast.Attribute) else one.id for one in ast.walk(call) if isinstance(one, ast.Attribute | ast.Name))
    return FILES_OF_AN_IMAGE in names
