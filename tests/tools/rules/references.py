# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resolve the names in a function to the functions and classes that they mean.

Names are followed through imports, and through types if these are in the code: annotations of parameters, fields and
results, and calls of a class.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import typing as t
from pathlib import Path

from tools.rules import imports, tree

Function = ast.FunctionDef | ast.AsyncFunctionDef
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
Types = dict[str, "Place"]


@dataclasses.dataclass(frozen=True)
class Place:
    """A function, class or method: its file, and its name there, such as `Sealer.write`, or `sealed.publish` for an inner function.

    Without a name it is the whole file.
    """

    path: str
    name: str = ""

    @property
    def last(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def owner(self) -> Place:
        """Return the enclosing class or function, or the file."""
        return Place(self.path, self.name.rpartition(".")[0])

    def inner(self, name: str) -> Place:
        return Place(self.path, f"{self.name}.{name}" if self.name else name)


class File:
    """A parsed file: its definitions by name, and the meaning of its imports."""

    def __init__(self, root: Path, path: str) -> None:
        self.module = tree.parse(root, path)
        self.nodes = dict(_definitions(self.module, ""))
        self.imports = dict(_imports(root, path, self.module))


def _statements(node: ast.AST) -> t.Iterator[ast.stmt]:
    """Yield the statements of a node, also below `if`, `with`, `try` and `case`, but not those inside definitions."""
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        for one in getattr(node, field, ()):
            if isinstance(one, ast.stmt):
                yield one
            if not isinstance(one, DEFINITIONS):
                yield from _statements(one)


def _definitions(node: ast.AST, above: str) -> t.Iterator[tuple[str, Function | ast.ClassDef]]:
    for one in _statements(node):
        if isinstance(one, DEFINITIONS):
            yield f"{above}{one.name}", one
            yield from _definitions(one, f"{above}{one.name}.")


def _imports(root: Path, path: str, module: ast.Module) -> t.Iterator[tuple[str, Place]]:
    """Yield the imports of the collection's own files, also those inside functions. Other imports are ignored."""
    for node in ast.walk(module):
        base = imports.base_of(path, node) if isinstance(node, ast.ImportFrom) else ()
        if not isinstance(node, ast.ImportFrom) or base[: len(imports.COLLECTION)] != imports.COLLECTION:
            continue
        folder = "/".join(base[len(imports.COLLECTION) :])
        for alias in node.names:
            file = f"{folder}/{alias.name}.py"
            meant = Place(file) if (root / file).is_file() else Place(f"{folder}.py", alias.name)
            yield alias.asname or alias.name, meant


class Code:
    """The files of a tree, each parsed once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._types: dict[Place, Types] = {}
        # Each is called many times with the same arguments.
        self.file = functools.cache(self._file)
        self.named = functools.cache(self._named)
        self.ancestors = functools.cache(self._ancestors)

    def _file(self, path: str) -> File | None:
        return File(self._root, path) if path.endswith(".py") and (self._root / path).is_file() else None

    def defined(self, path: str) -> list[Place]:
        """Return all functions, classes and methods of a file."""
        file = self.file(path)
        return [Place(path, name) for name in file.nodes] if file else []

    def node(self, place: Place) -> Function | ast.ClassDef | None:
        file = self.file(place.path)
        return file.nodes.get(place.name) if file else None

    def function(self, place: Place) -> Function | None:
        """Return the function that a call runs; for a class, its `__init__`."""
        node = self.node(place)
        return self.function(place.inner("__init__")) if isinstance(node, ast.ClassDef) else node

    def _named(self, place: Place) -> frozenset[Place]:
        """Return everything that a function names: in its annotations, its code, and its inner functions."""
        node = self.function(place)
        inside = place.inner("__init__") if isinstance(self.node(place), ast.ClassDef) else place
        found = (self.meant(inside, one) for one in ast.walk(node)) if node else ()
        return frozenset(one for one in found if one)

    def meant(self, at: Place, node: ast.AST) -> Place | None:
        """Return the function, class or file that a name or an attribute means in the function `at`."""
        if isinstance(node, ast.Name):
            return self._name(at, node.id)
        if not isinstance(node, ast.Attribute):
            return None
        above = self.meant(at, node.value)
        if above and not above.name:
            return self._member(above, node.attr)
        if above is None or not isinstance(self.node(above), ast.ClassDef):
            above = self.type_of(at, node.value)
        return self.method(above, node.attr) if above else None

    def _name(self, at: Place, name: str) -> Place | None:
        file = self.file(at.path)
        while file and at.name:
            node = self.node(at)
            if isinstance(node, Function):
                if at.inner(name).name in file.nodes:
                    return at.inner(name)
                if name in self.types(at) or any(one.arg == name for one in parameters(node)):  # hides the file's name
                    return None
            at = at.owner
        return self._member(Place(at.path), name)

    def _member(self, file: Place, name: str) -> Place | None:
        found = self.file(file.path)
        if found is None:
            return None
        return file.inner(name) if name in found.nodes else found.imports.get(name)

    def method(self, owner: Place, name: str) -> Place | None:
        return next((one.inner(name) for one in self.ancestors(owner) if self.node(one.inner(name))), None)

    def _ancestors(self, owner: Place) -> tuple[Place, ...]:
        """Return the class and its base classes."""
        node = self.node(owner)
        bases = [self.meant(owner.owner, base) for base in node.bases] if isinstance(node, ast.ClassDef) else []
        return (owner, *(one for base in bases if base for one in self.ancestors(base)))

    def is_protocol(self, owner: Place) -> bool:
        node = self.node(owner)
        return isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Protocol") for base in node.bases)

    def type_of(self, at: Place, node: ast.AST) -> Place | None:
        """Return the class of a value, if the code states it."""
        if isinstance(node, ast.Name):
            functions = (one for one in scopes(at) if isinstance(self.node(one), Function))
            return next((found for one in functions if (found := self.types(one).get(node.id))), None)
        if isinstance(node, ast.Attribute):
            owner = self.type_of(at, node.value)
            return next((found for one in self.ancestors(owner) if (found := self.field(one, node.attr))), None) if owner else None
        if isinstance(node, ast.IfExp):
            return self.type_of(at, node.body) or self.type_of(at, node.orelse)
        called = self.meant(at, node.func) if isinstance(node, ast.Call) else None
        return self._result(called) if called else None

    def _result(self, called: Place) -> Place | None:
        node = self.node(called)
        return called if isinstance(node, ast.ClassDef) else self._annotated(called, node.returns if node else None)

    def field(self, owner: Place, name: str) -> Place | None:
        """Return the class of a field or of a property."""
        node = self.node(owner.inner(name))
        if isinstance(node, Function):
            return self._annotated(owner, node.returns)
        return self.types(owner).get(name)

    def _annotated(self, at: Place, node: ast.expr | None) -> Place | None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node = ast.parse(node.value, mode="eval").body
        if isinstance(node, ast.BinOp):
            return self._annotated(at, node.left) or self._annotated(at, node.right)
        found = self.meant(at.owner, node) if node else None
        return found if found and isinstance(self.node(found), ast.ClassDef) else None

    def types(self, at: Place) -> Types:
        """Return the names of a function with a known class, or the fields of a class. Later names can depend on earlier ones."""
        if at not in self._types:
            found: Types = {}
            self._types[at] = found
            node = self.node(at)
            if isinstance(node, ast.ClassDef):
                self._fields(at, node, found)
            elif node:
                self._parameters(at, node, found)
                for one in ast.walk(node):
                    for target, value in _bindings(one):
                        if isinstance(target, ast.Name) and (made := self.type_of(at, value)):
                            found.setdefault(target.id, made)
        return self._types[at]

    def _parameters(self, at: Place, node: Function, found: Types) -> None:
        for index, one in enumerate(parameters(node)):
            of = at.owner if index == 0 and one.arg in ("self", "cls") else self._annotated(at, one.annotation)
            if of:
                found[one.arg] = of

    def _fields(self, at: Place, node: ast.ClassDef, found: Types) -> None:
        for one in node.body:
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and (of := self._annotated(at, one.annotation)):
                found[one.target.id] = of
        made = at.inner("__init__")
        for inner in ast.walk(self.node(made) or ast.Module(body=[], type_ignores=[])):
            for target, value in _bindings(inner):
                if isinstance(target, ast.Attribute) and is_self(target.value) and (of := self.type_of(made, value)):
                    found.setdefault(target.attr, of)


def is_private(place: Place) -> bool:
    """Return whether the function, or a class or function around it, is private to its file."""
    return any(part.startswith("_") for part in place.name.split("."))


def scopes(at: Place) -> t.Iterator[Place]:
    """Yield a function and everything around it, from the inside to the outside."""
    while at.name:
        yield at
        at = at.owner


def parameters(node: Function) -> list[ast.arg]:
    given = node.args
    return [*given.posonlyargs, *given.args, *given.kwonlyargs]


def is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _bindings(node: ast.AST) -> t.Iterator[tuple[ast.expr, ast.expr]]:
    """Yield the targets and values of an assignment, part by part, and of a `with`."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                yield from zip(target.elts, node.value.elts, strict=False)
            else:
                yield target, node.value
    elif isinstance(node, ast.NamedExpr):
        yield node.target, node.value
    elif isinstance(node, ast.withitem) and node.optional_vars:
        yield node.optional_vars, node.context_expr
