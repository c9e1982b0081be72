# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The strings that a test compares with messages: in `assert`, in `match=`, in a comparison, or as an argument of a helper.

If a name is compared, its values are found in the same function, its `parametrize` or its file.
"""

from __future__ import annotations

import ast
import typing as t

GAP = " | "
# A helper of the tests that compares an error message has this name, or a parameter `words`, in the same file.
HELPER, EXPECTED = "refused", "words"
_DISPLAYS = (ast.Tuple, ast.List, ast.Set, ast.Dict, ast.IfExp, ast.BinOp, ast.Starred)

Sentence = tuple[int, str]
Places = dict[tuple[int, int], Sentence]
Bound = dict[str, list[ast.AST]]


def texts(node: ast.AST) -> t.Iterator[str]:
    """Yield every string below a node, in order. An f-string yields its constant parts, with a gap between them."""
    yield from (text for _place, (_line, text) in sorted(_strings(node).items()))


def sentences(module: ast.Module) -> list[Sentence]:
    """Return line and text of each compared string, once for each location."""
    places: Places = {}
    constants: Bound = {}
    for node in module.body:
        _bind(constants, node)
    helpers = _helpers(module)
    for node in module.body:
        own: Bound = {}
        compared = []
        for one in ast.walk(node):
            compared += _compared(one, helpers)
            _bind(own, one)
        for expression in compared:
            places.update(_strings(expression))
        for name in {name.id for expression in compared for name in ast.walk(expression) if isinstance(name, ast.Name)}:
            for value in [*own.get(name, []), *constants.get(name, [])]:
                places.update(_strings(value))
    return [places[place] for place in sorted(places)]


def _strings(node: ast.AST) -> Places:
    """Find the strings below a node, without docstrings."""
    found: Places = {}
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else GAP for part in one.values]
            found[one.lineno, one.col_offset] = one.lineno, "".join(parts)
            waiting += [part.value for part in one.values if isinstance(part, ast.FormattedValue)]
        elif isinstance(one, ast.Constant) and isinstance(one.value, str):
            found[one.lineno, one.col_offset] = one.lineno, one.value
        elif not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)):
            waiting += ast.iter_child_nodes(one)
    return found


def _compared(node: ast.AST, helpers: set[str]) -> list[ast.expr]:
    """Return the expressions whose strings are expected texts. The message of an assert is not one of them."""
    if isinstance(node, ast.Assert):
        return [node.test]
    if isinstance(node, ast.Compare):
        return [node]
    if isinstance(node, ast.keyword) and node.arg == "match":
        return [node.value]
    if isinstance(node, ast.Call) and _called(node) in helpers:
        return [*node.args, *(keyword.value for keyword in node.keywords)]
    return []


def _helpers(module: ast.Module) -> set[str]:
    found = {HELPER}
    for one in ast.walk(module):
        if isinstance(one, ast.FunctionDef):
            given = one.args
            names = {arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs, *([given.vararg] if given.vararg else []))}
            found |= {one.name} if EXPECTED in names else set()
    return found


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""


def _bind(bound: Bound, node: ast.AST) -> None:
    """Add the values that a node assigns to names: in an assignment, a loop or a `parametrize`. Results of calls are ignored."""
    if isinstance(node, ast.Assign):
        _add(bound, node.targets, node.value)
    elif isinstance(node, ast.AnnAssign) and node.value:
        _add(bound, [node.target], node.value)
    elif isinstance(node, ast.For | ast.comprehension):
        _add(bound, [node.target], node.iter)
    elif isinstance(node, ast.Call) and _called(node) == "parametrize" and len(node.args) > 1:
        _add_columns(bound, *node.args[:2])


def _add(bound: Bound, targets: t.Sequence[ast.expr], value: ast.expr) -> None:
    names = {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
    for name in names:
        bound.setdefault(name, []).extend(_plain(value))


def _add_columns(bound: Bound, named: ast.expr, table: ast.expr) -> None:
    """Add the values of a table. With more than one name, a row is a tuple with a cell for each name."""
    names = [part.strip() for text in texts(named) for part in text.split(",") if part.strip()]
    for row in table.elts if isinstance(table, ast.List | ast.Tuple) else []:
        cells = row.args if isinstance(row, ast.Call) else row.elts if isinstance(row, ast.Tuple | ast.List) else []
        for name, cell in zip(names, cells if len(names) > 1 else [row], strict=False):
            bound.setdefault(name, []).extend(_plain(cell))


def _plain(node: ast.AST) -> t.Iterator[ast.AST]:
    """Yield the strings of a list, tuple, set or dict, without those in calls, and without keys, which only name the rows."""
    if isinstance(node, ast.Constant | ast.JoinedStr):
        yield node
    elif isinstance(node, _DISPLAYS):
        for child in node.values if isinstance(node, ast.Dict) else ast.iter_child_nodes(node):
            yield from _plain(child)
