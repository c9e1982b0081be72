# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages in Python code, and the documentation of modules."""

from __future__ import annotations

import ast
import re

from tools.rules import prose_yaml
from tools.rules.passage import CODE, Passage

DOCUMENTS = ("DOCUMENTATION", "RETURN", "EXAMPLES")
# A shorter string is a name or a part of a command.
FEWEST_WORDS = 4
_FRAGMENT = re.compile(r"\s*(options|attributes):\n")
# Statements of SQL, patterns, shell commands and templates.
_OTHER = re.compile(r"\\|\n\s|[{}<>$]|\b(SELECT|FROM|WHERE|INSERT|UPDATE|ALTER|CREATE|DROP|GRANT|REVOKE|SET|COPY|JOIN|ORDER BY)\b")


def passages(text: str) -> list[Passage]:
    """Return messages and documentation of a Python file. Docstrings are notes, see `prose_notes`."""
    found = []
    waiting: list[ast.AST] = [ast.parse(text)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Assign) and _is_document(node):
            found += prose_yaml.passages(ast.literal_eval(node.value), node.value.lineno)
        elif (message := _string(node)) is not None:
            found += [Passage(getattr(node, "lineno", 1), message)] if _is_message(message) else []
            waiting += [part.value for part in getattr(node, "values", []) if isinstance(part, ast.FormattedValue)]
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            waiting += ast.iter_child_nodes(node)
    return sorted(found)


def _is_document(node: ast.Assign) -> bool:
    """Return whether this is a documentation string. Doc fragments use other names."""
    target, value = node.targets[0], node.value
    if not (isinstance(target, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str)):
        return False
    return target.id in DOCUMENTS or (target.id.isupper() and bool(_FRAGMENT.match(value.value)))


def _string(node: ast.AST) -> str | None:
    """Return the text of a string. A replacement field counts as a word."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else CODE for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _is_message(text: str) -> bool:
    return len(text.split()) >= FEWEST_WORDS and not _OTHER.search(text)
