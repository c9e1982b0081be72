# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limits of size for files, functions and modules. ruff's C901 limits complexity."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

from tools.rules import tree

FILE_LINES = 400
FUNCTION_LINES = 40
MODULE_CODE_LINES = 60
SMALL = ("plugins/module_utils", "plugins/action", "plugins/filter", "tests/tools")
# Tables of data, printed by migration_verify with one fact in a line, so that they can be compared.
DATA = ("plugins/module_utils/_caracal/schema/known/",)
NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.ENCODING}


def size_faults(root: Path) -> list[str]:
    """Return files, functions and modules that are too long."""
    faults = []
    for path in tree.python(root, *SMALL):
        count = len((root / path).read_text(encoding="utf-8").splitlines())
        faults += [f"{path}: {count} lines, at most {FILE_LINES}"] if count > FILE_LINES and not path.startswith(DATA) else []
    for path in tree.python(root, "plugins/modules"):
        count = code_lines((root / path).read_text(encoding="utf-8"))
        faults += [f"{path}: {count} lines of code, at most {MODULE_CODE_LINES}"] if count > MODULE_CODE_LINES else []
    for path in tree.python(root, "plugins/modules", *SMALL):
        faults += _function_faults(tree.parse(root, path), path)
    return faults


def _function_faults(module: ast.Module, path: str) -> list[str]:
    functions = (node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    long = ((node, size) for node in functions if (size := function_lines(node)) > FUNCTION_LINES)
    return [f"{path}:{node.lineno}: {node.name} has {size} lines, at most {FUNCTION_LINES}" for node, size in long]


def function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function from `def` to its end, without its docstring."""
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node, clean=False) is None:
        return total
    docstring = node.body[0]
    return total - ((docstring.end_lineno or docstring.lineno) - docstring.lineno + 1)


def code_lines(source: str) -> int:
    """Count the lines with code: not blank, not comments, not standalone strings (documentation)."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    documentation = [node for node in ast.parse(source).body if _is_documentation(node)]
    return len(lines - {line for node in documentation for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)})


def _is_documentation(node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Assign | ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)
