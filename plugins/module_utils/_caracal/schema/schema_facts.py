# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The objects of a database as facts, one line each, so that a difference between two databases names the object."""

from __future__ import annotations

import re
import typing as t

from ..._errors import OptionError

# PostgreSQL's name for all roles.
PUBLIC = "PUBLIC"


class Key(t.NamedTuple):
    """The subject of a fact: its kind, the object, and a part of the object (or empty). Names are SQL-quoted if necessary."""

    kind: str
    of: str
    name: str

    def __str__(self) -> str:
        words = _WORDS.get(self.kind, f"{self.kind} {{of}}.{{name}}" if self.name else f"{self.kind} {{of}}")
        return words.format(of=self.of, name=self.name)


Facts = dict[Key, str]

_WORDS = {
    "row_security": "row security of {of}",
    "grant": "grant on {of} to {name}",
    "column_grant": "grant on columns of {of} to {name}",
    "execute": "right of {name} to execute {of}",
}
# Kinds of facts that belong to a table and are dropped with it.
OF_TABLES = ("column", "constraint", "index", "trigger", "row_security", "policy")
KINDS = ("table", *OF_TABLES, "grant", "column_grant", "sequence", "function", "execute", "extension", "owner")
_LINE = re.compile(r"([a-z_]+) (\S+)(?: (\S+))?:(?: (.*))?")


def line(key: Key, value: str) -> str:
    """Return the line `kind object part: value`."""
    return f"{' '.join(one for one in key if one)}: {value}".rstrip()


def parse(lines: t.Iterable[str]) -> Facts:
    """Parse lines into facts. Raises OptionError for an invalid line."""
    facts: Facts = {}
    for one in lines:
        found = _LINE.fullmatch(one)
        if not found or found[1] not in KINDS:
            raise OptionError(
                f"{one[:100]!r} is not a line of a release table (kind object part: value); create the table again with describe"
            )
        facts[Key(found[1], found[2], found[3] or "")] = found[4] or ""
    return facts


def text(block: str) -> Facts:
    """Parse the facts of a table in this collection. Long lines continue in indented lines."""
    return parse(block.replace("\n  ", " ").strip().split("\n"))


def changed(facts: Facts, *, drop: str = "", add: str = "") -> Facts:
    """Return the facts of another release: without the facts named by the lines of `drop` (`kind object part`), and with
    the facts of `add`.
    """
    gone = {Key(*(f"{one} ".split(" ")[:3])) for one in drop.split("\n") if one}
    if strange := gone - facts.keys():
        raise KeyError(f"nothing to drop: {sorted(strange)}")
    return {**{key: value for key, value in facts.items() if key not in gone}, **(text(add) if add else {})}
