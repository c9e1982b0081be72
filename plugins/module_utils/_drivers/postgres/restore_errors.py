# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse errors of `pg_restore`: the archive entry that the server refuses, and the first line of the server's error.

The lines below the first one contain values of rows, which can imitate such an error. So the number of errors is compared as
well.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

_ENTRY = re.compile(r"pg_restore: from TOC entry (\d+); \d+ \d+ (.+) \S+\Z")
_QUERY = re.compile(r"pg_restore: error: [a-z ]+ query: (.+)\Z")
_IGNORED = re.compile(r"pg_restore: warning: errors ignored on restore: (\d+)\Z")
# Constraints, indexes and their comments, but never triggers or policies, which protect rows.
_CONSTRAINT = re.compile(r"(\d+); \d+ \d+ ((?:FK |CHECK )?CONSTRAINT|INDEX(?: ATTACH)?) (.+) \S+\Z")
_BREAKABLE = ("CONSTRAINT ", "FK CONSTRAINT ", "CHECK CONSTRAINT ", "INDEX ")
_COMMENT = re.compile(r"(\d+); \d+ \d+ (COMMENT) (\S+ (?:INDEX|CONSTRAINT) .+) \S+\Z")


@dataclasses.dataclass(frozen=True)
class Refused:
    """An archive entry that the server refuses: its number, its description by `pg_restore`, and the server's error."""

    number: str
    entry: str
    error: str


def read(stderr: str) -> list[Refused]:
    """Return all errors in the stderr of `pg_restore` that name an entry."""
    found, number, entry = list[Refused](), "", ""
    for line in stderr.split("\n"):
        if of := _ENTRY.match(line):
            number, entry = of[1], of[2]
        elif (error := _QUERY.match(line)) and number:
            found.append(Refused(number, entry, " ".join(error[1].split())))
    return found


def is_constraint(refused: t.Sequence[t.Mapping[str, str]]) -> bool:
    """Return True if the first error is about a constraint or an index, which rows can violate."""
    return bool(refused) and refused[0]["entry"].startswith(_BREAKABLE)


def ignored(stderr: str) -> int:
    """Return the number of errors that `pg_restore` ignored."""
    last = _IGNORED.match(stderr.strip().split("\n")[-1])
    return int(last[1]) if last else 0


def constraints(listing: t.Iterable[str]) -> dict[str, str]:
    """Return number → name of the archive entries that a restore can continue without."""
    found = (_CONSTRAINT.match(line) or _COMMENT.match(line) for line in listing)
    return {one[1]: f"{one[2]} {_named(one[3])}" for one in found if one}


def _named(text: str) -> str:
    """Return `schema table name` as `schema.table name`."""
    return text.replace(" ", ".", 1)
