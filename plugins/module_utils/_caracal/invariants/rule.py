# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One rule that holds in every healthy Caracal: how it is looked up in a database, and what is said of what was seen."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ..._errors import BackupError, PermissionMissing, StageFailed
from ..._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, WARN, Check
from ..inventory.inventory import Reader

SHOWN = 50
LONGEST = 200  # characters of what is shown; an id can be any text
_TABLE = re.compile(r"\bpublic\.(\w+)")
_SUBJECT = re.compile(r"(?:\(SELECT FROM )?public\.(\w+)")
_UUID = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f-]{14,}?([0-9a-f]{4})\b")


@dataclasses.dataclass(frozen=True)
class Rule:
    """`id` is `group.what`. Words are said as `2 of 15 <noun> <wrong>`; `remedy` is what it means or what to do.

    `severity` is what the check becomes when the rule is broken, `fail` or `warn`. `tables` are what the rule is about.
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
        """The table that the counted rows come from; empty if there are several."""
        return ""


@dataclasses.dataclass(frozen=True)
class Invariant(Rule):
    """A rule in SQL. `about` is what is counted, as it stands behind FROM; `broken` yields one text of each row that breaks the rule."""

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
        """One row: how many there are, how many break the rule, the first of those, a SHA-256 over all of them."""
        return f"""WITH broken(id) AS MATERIALIZED ({self.broken})
                   SELECT (SELECT count(*) FROM {self.about}), (SELECT count(*) FROM broken),
                          ARRAY(SELECT left(id, {LONGEST}) FROM broken ORDER BY id COLLATE "C" LIMIT {SHOWN}),
                          (SELECT encode(sha256(coalesce(string_agg(k, ''::bytea ORDER BY k), ''::bytea)), 'hex')
                             FROM (SELECT sha256(convert_to(id, 'UTF8')) FROM broken) all_of_them(k))"""


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a check of one rule found. `problem` is why it cannot be evaluated; `confirmed`: the set records none of it either. `digest` is
    over the rows that break the rule."""

    population: int = 0
    broken: int = 0
    first: tuple[str, ...] = ()
    problem: str = ""
    confirmed: bool = False
    digest: str = ""


def rows(reader: Reader, sql: str, parameters: t.Sequence[t.Any] = ()) -> list[tuple[t.Any, ...]]:
    """A query inside the reader's transaction, which goes on when the query fails. Raises StageFailed and PermissionMissing."""
    reader.rows("SAVEPOINT looked")
    try:
        found = reader.rows(sql, parameters)
    except (StageFailed, PermissionMissing):
        reader.rows("ROLLBACK TO SAVEPOINT looked")
        raise
    reader.rows("RELEASE SAVEPOINT looked")
    return found


def reason(exc: BackupError) -> str:
    """Why a query failed, without the server's words, which can repeat a value of a row."""
    state = exc.details.get("sqlstate")
    return exc.msg if isinstance(exc, PermissionMissing) or not state else f"the server refused the query (SQLSTATE {state}); see its log"


def look(reader: Reader, rule: Invariant, existing: t.Collection[str]) -> Seen:
    """Look one rule up. `existing` are the tables of schema public: what is none, a view for one, is not read."""
    missing = sorted(rule.tables - set(existing))
    if missing:
        return Seen(problem=f"table {missing[0]} is missing")
    try:
        population, broken, first, digest = rows(reader, rule.query)[0]
    except (StageFailed, PermissionMissing) as exc:
        return Seen(problem=reason(exc))
    return Seen(population, broken, tuple(first), digest=digest)


def judge(rule: Rule, seen: Seen, confirmed: bool, acknowledged: bool = False) -> Check:
    """What was seen as a check. `confirmed` is whether the signed inventory says zero too of what the rule is about, `acknowledged`
    whether the operator has acknowledged that these rows break it."""
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
    """How many rows break the rule, in words without a value of a row."""
    return f"{seen.broken} of {seen.population} {rule.noun} {rule.wrong}"


def shortened(text: str) -> str:
    """An id that still finds its row, in a line of words; whatever else stands in it."""
    short = _UUID.sub(r"\1…\2", text)
    return short if short.isprintable() and len(short) <= 100 else ascii(short[:100])
