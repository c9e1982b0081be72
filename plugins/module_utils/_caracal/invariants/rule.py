# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rule that every healthy Caracal satisfies: how to query it, and how to report the result."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ..._errors import BackupError, PermissionMissing, StageFailed
from ..._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, WARN, Check
from ..inventory.inventory import Reader

SHOWN = 50
LONGEST = 200  # characters of a reported value; an ID can be any text
_TABLE = re.compile(r"\bpublic\.(\w+)")
_SUBJECT = re.compile(r"(?:\(SELECT FROM )?public\.(\w+)")
_UUID = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f-]{14,}?([0-9a-f]{4})\b")


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule.

    `id` is `group.what`. The message is `2 of 15 <noun> <wrong>`, and `remedy` is what it means or what to do.
    `severity` is the verdict if the rule is broken, `fail` or `warn`. `tables` are the tables that the rule reads.
    """

    id: str
    noun: str
    wrong: str
    remedy: str
    severity: str = dataclasses.field(default=FAIL, kw_only=True)

    @property
    def check_id(self) -> str:
        return f"state.{self.id}"

    @property
    def tables(self) -> frozenset[str]:
        return frozenset()

    @property
    def subject(self) -> str:
        """The table of the counted rows, or empty if there are several."""
        return ""


@dataclasses.dataclass(frozen=True)
class Invariant(Rule):
    """A rule in SQL. `about` is the counted rows as a FROM item. `broken` is a query with one text for each row that breaks the rule."""

    about: str
    broken: str

    @property
    def tables(self) -> frozenset[str]:
        return frozenset(_TABLE.findall(f"{self.about} {self.broken}"))

    @property
    def subject(self) -> str:
        first = _SUBJECT.match(self.about)
        return first[1] if first else ""

    @property
    def query(self) -> str:
        """The query. It returns one row: total count, broken count, the first broken rows, and a SHA-256 of all broken rows."""
        return f"""WITH broken(id) AS MATERIALIZED ({self.broken})
                   SELECT (SELECT count(*) FROM {self.about}), (SELECT count(*) FROM broken),
                          ARRAY(SELECT left(id, {LONGEST}) FROM broken ORDER BY id COLLATE "C" LIMIT {SHOWN}),
                          (SELECT encode(sha256(coalesce(string_agg(k, ''::bytea ORDER BY k), ''::bytea)), 'hex')
                             FROM (SELECT sha256(convert_to(id, 'UTF8')) FROM broken) all_of_them(k))"""


@dataclasses.dataclass(frozen=True)
class Seen:
    """The result of a rule.

    `problem` is the reason why the rule cannot be evaluated. `confirmed` is True if the set records no such rows
    either. `digest` covers the rows that break the rule.
    """

    population: int = 0
    broken: int = 0
    first: tuple[str, ...] = ()
    problem: str = ""
    confirmed: bool = False
    digest: str = ""


def rows(reader: Reader, sql: str, parameters: t.Sequence[t.Any] = ()) -> list[tuple[t.Any, ...]]:
    """Run a query in a savepoint, so the reader's transaction survives an error. Raises StageFailed and PermissionMissing."""
    reader.rows("SAVEPOINT looked")
    try:
        found = reader.rows(sql, parameters)
    except (StageFailed, PermissionMissing):
        reader.rows("ROLLBACK TO SAVEPOINT looked")
        raise
    reader.rows("RELEASE SAVEPOINT looked")
    return found


def reason(exc: BackupError) -> str:
    """Return the reason of a failed query without the server's message, which can contain a value of a row."""
    state = exc.details.get("sqlstate")
    return exc.msg if isinstance(exc, PermissionMissing) or not state else f"the server refused the query (SQLSTATE {state}); see its log"


def look(reader: Reader, rule: Invariant, existing: t.Collection[str]) -> Seen:
    """Evaluate one rule. `existing` are the tables of schema public. A relation that is not a table, such as a view, is not read."""
    missing = sorted(rule.tables - set(existing))
    if missing:
        return Seen(problem=f"table {missing[0]} is missing")
    try:
        population, broken, first, digest = rows(reader, rule.query)[0]
    except (StageFailed, PermissionMissing) as exc:
        return Seen(problem=reason(exc))
    return Seen(population, broken, tuple(first), digest=digest)


def judge(rule: Rule, seen: Seen, confirmed: bool, acknowledged: bool = False) -> Check:
    """Return the check for a result.

    `confirmed` is True if the signed inventory also has no rows to which the rule applies. `acknowledged` is True if
    the operator has acknowledged these broken rows.
    """
    required = rule.severity == FAIL
    details = {"rows": seen.population, "broken": seen.broken, "first": [one[:LONGEST] for one in seen.first]}
    if seen.broken:
        first = f"{counted(rule, seen)}; first: {shortened(seen.first[0])}"
        if acknowledged:
            return Check(rule.check_id, WARN, f"{first} (acknowledged)", False, details)
        return Check(rule.check_id, rule.severity, f"{first}; {rule.remedy}", required, details)
    if seen.problem:
        return Check(rule.check_id, UNPROVEN, f"{rule.noun} cannot be checked: {seen.problem}", required, details)
    if not seen.population and confirmed:
        return Check(rule.check_id, NOT_APPLICABLE, f"there are no {rule.noun}, and the set records none either", False, details)
    if not seen.population:
        words = f"there are no {rule.noun} in the copy, and its tables differ from the set; nothing was checked"
        return Check(rule.check_id, UNPROVEN, words, required, details)
    return Check(rule.check_id, PASS, f"checked {seen.population} {rule.noun}: 0 {rule.wrong}", required, details)


def counted(rule: Rule, seen: Seen) -> str:
    """Return the number of broken rows as text, without values from rows."""
    return f"{seen.broken} of {seen.population} {rule.noun} {rule.wrong}"


def shortened(text: str) -> str:
    """Return a printable, shortened ID that still identifies its row."""
    short = _UUID.sub(r"\1…\2", text)
    return short if short.isprintable() and len(short) <= 100 else ascii(short[:100])
