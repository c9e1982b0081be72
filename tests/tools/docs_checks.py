# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reference of checks: descriptions in the guides, rules and causes in the code, and the IDs that the code gives to checks."""

from __future__ import annotations

import ast
import fnmatch
import functools
import re
import typing as t
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.causes.symptoms import Cause, Found, Sign, Together
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.invariants import table
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.releases import SECRET_STORE, ZONE_KEK
from tools.rules import sizes, tree

GUIDES = "docs/docsite/rst/*.rst"
# Guides with lists of other names: changes after a restore, files, metrics.
OTHER_LISTS = ("guide_after_a_restore", "guide_formats", "guide_monitoring", "guide_plain_hosts")
# Stands for a computed part of an ID.
COMPUTED = "<name>"
_ID = re.compile(r"(?:[a-z_]+|<[a-z_ ]+>)(?:\.(?:[a-z_]+|<[a-z_ ]+>))+")
_LABEL = re.compile(r"^\.\. _ansible_collections\.([\w.]+):\n\n(.+)\n=+\n", re.MULTILINE)
_DEFINITION = re.compile(r"^(``[a-z_]+\..+)\n((?:  .+\n)+)", re.MULTILINE)
_ROW = re.compile(r"^ +\* - (``[a-z_]+\..+``.*)\n +- (.+(?:\n +[^ *-].*)*)\n +- (.+(?:\n +[^ *-].*)*)\n", re.MULTILINE)
# A link to a section of the same guide.
_SECTION = re.compile(r"(?<![:`])`([^`<>]+)`_(?!_)")
_LITERAL = re.compile(r"``([^`]+)``")
# The names of the databases are part of an ID.
_RELEASES = {SECRET_STORE: "v1.0.0", ZONE_KEK: "v2026.06.25-rc.1"}


class Described(t.NamedTuple):
    """A check as a guide describes it, or a family of checks with `<…>` in its ID. `label` and `title` are those in the guide."""

    id: str
    label: str
    title: str
    meaning: str
    remedy: str = ""


class StateRule(t.NamedTuple):
    """A rule of `state_verify`: what a violation means, its verdict, and the remedy."""

    id: str
    wrong: str
    verdict: str
    remedy: str


def described(root: Path) -> list[Described]:
    """Return the checks that a guide describes in a list or a table, sorted by ID."""
    found: list[Described] = []
    for path in tree.files(root, GUIDES):
        if Path(path).stem not in OTHER_LISTS:
            found += _of_guide((root / path).read_text(encoding="utf-8"))
    return sorted(found)


def _of_guide(text: str) -> t.Iterator[Described]:
    if not (head := _LABEL.search(text)):
        return
    for term, *words in [*_DEFINITION.findall(text), *_ROW.findall(text)]:
        for name in _LITERAL.findall(term):
            if _ID.fullmatch(name):
                yield Described(name, f"ansible_collections.{head[1]}", head[2], *(_sentence(one) for one in words))


def _sentence(text: str) -> str:
    words = _SECTION.sub(r"*\1*", " ".join(text.split()))
    return f"{words[0].upper()}{words[1:]}{'' if words.endswith(('.', ':')) else '.'}"


def state_rules() -> list[StateRule]:
    """Return the rules in the order of the code. If the older family has another verdict, it follows the newer family's verdict."""
    by_family = [{one.check_id: one for one in table.rules(family, release)} for family, release in _RELEASES.items()]
    found = []
    for name in dict.fromkeys(name for family in by_family for name in family):
        rules = [family[name] for family in by_family if name in family]
        verdicts = list(dict.fromkeys(one.severity for one in rules))
        verdict = verdicts[0] if len(verdicts) == 1 else f"{verdicts[0]}, or {verdicts[1]} in the family ``zone_kek``"
        found.append(StateRule(name, f"{rules[0].noun} {rules[0].wrong}", verdict, rules[0].remedy))
    return found


@functools.cache
def known(root: Path) -> frozenset[str]:
    """Return the IDs on the page of checks."""
    return frozenset([*(one.id for one in described(root)), *(one.id for one in state_rules())])


def shown_by(cause: Cause) -> list[str]:
    """Return IDs and patterns of the checks with a result that shows a cause."""
    return list(dict.fromkeys(found.id for sign in cause.signs for found in _found(sign)))


def _found(sign: Sign) -> t.Iterator[Found]:
    if isinstance(sign, Together):
        for one in sign.signs:
            yield from _found(one)
    elif isinstance(sign, Found):
        yield sign


def causes_of(check_id: str, causes: t.Iterable[Cause]) -> list[str]:
    """Return the IDs of the causes that a check can show."""
    return [cause.id for cause in causes if any(fnmatch.fnmatchcase(check_id, pattern) for pattern in shown_by(cause))]


def used(root: Path) -> set[str]:
    """Return the IDs that the code gives to checks, with `<…>` for each computed part. An ID that is passed as an argument is not found."""
    modules = {Path(path): tree.parse(root, path) for path in tree.files(root, "plugins/**/*.py") if not path.startswith(sizes.DATA)}
    constants = {path.stem: dict(_constants(module)) for path, module in modules.items()}
    found = set()
    for path, module in modules.items():
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and node.args and _makes_check(node.func):
                found.add(_template(node.args[0], constants[path.stem], constants))
    return {one for one in found if _ID.fullmatch(one)}


def written(root: Path) -> set[str]:
    """Return the IDs that are whole strings in the code, with `<…>` for each computed part."""
    nodes = (node for path in tree.files(root, "plugins/**/*.py") for node in ast.walk(tree.parse(root, path)))
    strings = (_template(node, {}, {}) for node in nodes if isinstance(node, (ast.Constant, ast.JoinedStr)))
    return {one for one in strings if _ID.fullmatch(one) and not one.startswith(f"{COMPUTED}.{COMPUTED}")}


def _makes_check(function: ast.expr) -> bool:
    return ast.unparse(function) in ("Check", "findings.check")


def _constants(module: ast.Module) -> t.Iterator[tuple[str, str]]:
    for node in module.body:
        if isinstance(node, ast.Assign):
            names, values = node.targets[0], node.value
            pairs = (
                zip(names.elts, values.elts, strict=True)
                if isinstance(names, ast.Tuple) and isinstance(values, ast.Tuple)
                else [(names, values)]
            )
            for name, value in pairs:
                if isinstance(name, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield name.id, value.value


def _template(node: ast.expr, own: t.Mapping[str, str], others: t.Mapping[str, t.Mapping[str, str]]) -> str:
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.FormattedValue) else part for part in node.values]
        return "".join(_template(part, own, others) or COMPUTED for part in parts)
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return others.get(node.value.id, {}).get(node.attr, "")
    return own.get(node.id, "") if isinstance(node, ast.Name) else ""


def undescribed(ids: t.Iterable[str], known: t.Collection[str]) -> list[str]:
    """Return the IDs that no known ID describes, sorted. A name in `<…>`, on either side, stands for one or more parts of an ID."""
    return sorted(one for one in set(ids) if not any(_fits(one, other) or _fits(other, one) for other in known))


def _fits(check_id: str, pattern: str) -> bool:
    return re.fullmatch(re.sub(r"<[^>]*>", r".+", pattern.replace(".", r"\.")), check_id) is not None
