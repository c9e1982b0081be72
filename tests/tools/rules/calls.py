# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rule by which one function leads to another: it calls it, or it calls or passes on a function that an earlier one passed to it.

With dispatch, the calling code does not contain the name: a use case is passed to the boundary, a task to a worker
process, a sink to a copy loop. So a function that was passed counts if an earlier function names it, and only in a call
of the right form.
"""

from __future__ import annotations

import ast
import typing as t

from tools.rules.references import Code, Function, Place, is_private, is_self, parameters, scopes


def reach(code: Code, source: Place, callers: t.Sequence[Place]) -> list[Place]:
    """Return the function and all private functions of its file that it leads to, directly or indirectly, in this order.

    A private function that is named without a call is passed on, for example to a worker process.
    """
    private = [one for one in code.defined(source.path) if is_private(one)]
    found = [source]
    for index, one in enumerate(found):  # the list grows
        before = [*callers, *found[:index]]
        ahead = [other for other in private if other not in found]
        found += [other for other in ahead if other in code.named(one) or leads(code, one, other, before)]
    return found


def leads(code: Code, source: Place, target: Place, callers: t.Sequence[Place], ended: t.Sequence[Place] = ()) -> bool:
    """Return whether the source leads directly to the target.

    `callers` are the functions that still run and have led to the source; `ended` are those that have returned.
    """
    if _calls_itself(code, source, target):
        return True
    # The constructor of a class has run before its methods.
    made_by = [source.owner] if isinstance(code.node(source.owner), ast.ClassDef) else []
    arguments = [*made_by, *callers]
    known = [source, *arguments, *ended]
    # A function is passed down as an argument. A function inside another one is returned as its result.
    givers = known if isinstance(code.node(target.owner), Function) else arguments
    if _calls_given(code, source, target) and any(_gives(code, one, target) for one in givers):
        return True
    owner = target.owner
    is_known = isinstance(code.node(owner), ast.ClassDef) and any(owner in code.named(one) for one in known)
    return is_known and (_uses_method(code, source, target) or _hands_on(code, source, target))


def _calls_itself(code: Code, source: Place, target: Place) -> bool:
    """Return whether the source calls the target by name, or passes its name to a library, for example to start a thread.

    A function of ours that receives the target must call it itself.
    """
    at = _inside(code, source)
    for one in _calls(code, source):
        meant = code.meant(at, one.func)
        handed = [] if meant else [*one.args, *(keyword.value for keyword in one.keywords)]
        if _is_it(code, meant, target) or any(_is_it(code, code.meant(at, argument), target) for argument in handed):
            return True
    return False


def _is_it(code: Code, found: Place | None, target: Place) -> bool:
    """Return whether this is the target, or the method of a base class that the target overrides."""
    return found is not None and (found == target or (found.last == target.last and found.owner in code.ancestors(target.owner)))


def _gives(code: Code, giver: Place, target: Place) -> bool:
    """Return whether the giver passes the target. A function inside another one is passed by the caller of the outer function."""
    outer = target.owner
    named = any(_is_it(code, one, target) for one in code.named(giver))
    return named or (isinstance(code.node(outer), Function) and (giver == outer or outer in code.named(giver)))


def _calls(code: Code, source: Place) -> list[ast.Call]:
    node = code.function(source)
    return [one for one in ast.walk(node) if isinstance(one, ast.Call)] if node else []


def _calls_given(code: Code, source: Place, target: Place) -> bool:
    """Return whether the source calls a local name or a field that is not a method. A function inside another one keeps its name."""
    at = _inside(code, source)
    local = {name for one in scopes(at) for name in _bound(code.node(one))}
    for one in _calls(code, source):
        is_field = isinstance(one.func, ast.Attribute) and is_self(one.func.value) and code.meant(at, one.func) is None
        is_local = isinstance(one.func, ast.Name) and one.func.id in local
        if is_field or (is_local and _keeps_name(code, one.func, target)):
            return True
    return False


def _keeps_name(code: Code, called: ast.expr, target: Place) -> bool:
    return not isinstance(code.node(target.owner), Function) or ast.unparse(called) == target.last


def _bound(node: ast.AST | None) -> set[str]:
    """Return the parameters and local names of a function."""
    if not isinstance(node, Function):
        return set()
    assigned = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    return assigned | {one.arg for one in parameters(node)}


def _inside(code: Code, place: Place) -> Place:
    return place.inner("__init__") if isinstance(code.node(place), ast.ClassDef) else place


def _uses_method(code: Code, source: Place, target: Place) -> bool:
    """Return whether the source uses the method's name on a value of its class, or of an unknown class."""
    node = code.function(source)
    found = [one for one in ast.walk(node) if isinstance(one, ast.Attribute) and one.attr == target.last] if node else []
    return any(_fits(code, code.type_of(_inside(code, source), one.value), target, unknown=True) for one in found)


def _hands_on(code: Code, source: Place, target: Place) -> bool:
    """Return whether the source passes an object of the class to a library, which will call its method."""
    at = _inside(code, source)
    foreign = [one for one in _calls(code, source) if isinstance(one.func, ast.Attribute) and code.meant(at, one.func) is None]
    return any(_fits(code, code.type_of(at, argument), target, unknown=False) for one in foreign for argument in one.args)


def _fits(code: Code, found: Place | None, target: Place, *, unknown: bool) -> bool:
    if found is None:
        return unknown
    return found in code.ancestors(target.owner) or (code.is_protocol(found) and code.method(found, target.last) is not None)
