# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The strings that a test compares with what was said: in `assert`, in `match=`, in a comparison, as an argument of a helper.

A name that stands there is followed to where the same function, its `parametrize` or its file gives it a value.
"""

from __future__ import annotations

import ast
import typing as t

GAP = " | "
# A helper of the tests that runs something and compares the words of the error is called so, or takes `words` in the same file.
HELPER, EXPECTED = "refused", "words"
_DISPLAYS = (ast.Tuple, ast.List, ast.Set, ast.Dict, ast.IfExp, ast.BinOp, ast.Starred)

Sentence = tuple[int, str]
Places = dict[tuple[int, int], Sentence]
Bound = dict[str, list[ast.AST]]


def texts(node: ast.AST) -> t.Iterator[str]:
    """Every string below a node, in order; of an f-string its constant parts, with a gap between them."""
    yield from (text for _place, (_line, text) in sorted(_strings(node).items()))


def sentences(module: ast.Module) -> list[Sentence]:
    """Line and text of each string that is compared, each place once."""
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
    """Docstrings are said to nobody."""
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
    """Expressions whose strings are expectations. What an assert says when it fails is none."""
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
    """Add the values that a node gives to names: by an assignment, a loop, a `parametrize`. Results of calls are none."""
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
    """A row is a tuple with a cell for each name, where there is more than one."""
    names = [part.strip() for text in texts(named) for part in text.split(",") if part.strip()]
    for row in table.elts if isinstance(table, ast.List | ast.Tuple) else []:
        cells = row.args if isinstance(row, ast.Call) else row.elts if isinstance(row, ast.Tuple | ast.List) else []
        for name, cell in zip(names, cells if len(names) > 1 else [row], strict=False):
            bound.setdefault(name, []).extend(_plain(cell))


def _plain(node: ast.AST) -> t.Iterator[ast.AST]:
    """Strings of a display, not those inside of calls nor the keys of a table, which only name its rows."""
    if isinstance(node, ast.Constant | ast.JoinedStr):
        yield node
    elif isinstance(node, _DISPLAYS):
        for child in node.values if isinstance(node, ast.Dict) else ast.iter_child_nodes(node):
            yield from _plain(child)
