# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Completeness check: each relation in the snapshot of a dump is in exactly one artifact, or is left out for a known reason.

The content of an artifact is determined from the artifact itself, not from the plan. For an archive this is its table
of contents, for an audit partition the stored object.
"""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from .._drivers.postgres import catalog, relations
from .._drivers.postgres.contents import Contents
from .._drivers.postgres.relations import Relation
from .._drivers.postgres.snapshot import Place
from .._errors import BackupError
from .._report.check import FAIL, PASS, UNPROVEN, Check
from .database_layout import Layout

CHECK_ID = "source.complete"
SHOWN = 50

KINDS = {
    relations.TABLE: "table",
    relations.SEQUENCE: "sequence",
    relations.MATERIALIZED_VIEW: "materialized view",
    relations.FOREIGN_TABLE: "foreign table",
}


@dataclasses.dataclass(frozen=True)
class Seen:
    """The content of a database according to its catalog: its relations, and the number of large objects."""

    database: str
    standby: bool
    relations: tuple[Relation, ...]
    large_objects: int


@dataclasses.dataclass(frozen=True)
class Held:
    """The content of a database's artifacts: the archive, audit partitions and sequences of the inventory by `schema.name`.

    `gone` are partitions that were dropped before they could be read.
    """

    archive: Contents
    leaves: tuple[str, ...] = ()
    sequences: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Account:
    """The result for one database: `left_out` has the reasons, and `wrong` the remedies, both by relation.

    `problem` is the reason if the relations could not be counted.
    """

    database: str
    counted: int = 0
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)
    wrong: dict[str, str] = dataclasses.field(default_factory=dict)
    problem: str = ""


def look(place: Place, standby: bool) -> Seen:
    """Read the catalog in the snapshot of the dump. Only the catalog is locked."""
    with place.join() as session:
        return Seen(place.database, standby, tuple(relations.read(session)), catalog.large_objects(session))


def take(place: Place, standby: bool, held: Held) -> Account:
    """Compare the catalog with the artifacts. If that fails, the account has the error, since the dump is complete anyway."""
    if held.archive.problem:
        return Account(place.database, problem=held.archive.problem)
    try:
        return judge(look(place, standby), held)
    except BackupError as exc:
        return Account(place.database, problem=exc.msg)


def forecast(place: Place, standby: bool, read: Layout) -> Account:
    """Like `take`, but before there are artifacts."""
    try:
        seen = look(place, standby)
    except BackupError as exc:
        return Account(place.database, problem=exc.msg)
    return judge(seen, predicted(read, seen))


def judge(seen: Seen, held: Held) -> Account:
    """Compare every relation with the content of the artifacts."""
    times = collections.Counter([*held.archive.rows, *held.archive.values])
    leaves = collections.Counter(held.leaves)
    left_out: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for one in seen.relations:
        name = f"{KINDS.get(one.kind, f'relation of kind {one.kind}')} {one.qualified} of database {seen.database}"
        count = times[one.number] + leaves[one.qualified]
        reason = _reason(one, seen, held, count)
        if reason and _is_caracals(one):
            wrong[name] = f"it is one of Caracal's own tables, but {reason}; make it an ordinary table again"
        elif reason:
            left_out[name] = reason
        elif count != 1:
            wrong[name] = _remedy(one, count)
    if seen.large_objects and not held.archive.large_objects:
        wrong[f"large objects of database {seen.database}"] = "pg_dump did not dump them; use its newest minor release"
    return Account(seen.database, len(seen.relations), left_out, wrong)


def _is_caracals(one: Relation) -> bool:
    """Return whether the relation is a table of Caracal, which must never be left out.

    Its owner can make it a table of a trusted extension, and pg_dump would then skip it.
    """
    # Imported here: relations are rarely left out, and the tables of all releases take long to load.
    from .._caracal.schema import schema_tables

    return one.schema == "public" and one.name in schema_tables.names()


def _reason(one: Relation, seen: Seen, held: Held, count: int) -> str:
    """Return the valid reason why a relation, or a part of it, is in no artifact."""
    if count:
        return f"extension {one.extension} dumps only rows that users added" if count == 1 and one.partly else ""
    if one.qualified in held.gone:
        return "it was dropped while the backup ran"
    if one.kind == relations.FOREIGN_TABLE:
        return "its rows are on another server, which needs a backup of its own"
    if one.kind == relations.MATERIALIZED_VIEW:
        return "every restore computes it again" if one.populated else "it has no rows"
    if one.extension and not one.kept:
        return f"extension {one.extension} creates its rows itself, or excludes them from dumps"
    if one.unlogged and seen.standby:
        return "it is an unlogged table, which a standby does not contain; to back it up, use the primary"
    if one.kind == relations.SEQUENCE and one.qualified in held.sequences:
        return "its value is in the inventory, and every restore sets it from there"
    return ""


def _remedy(one: Relation, count: int) -> str:
    if count:
        return f"{count} artifacts contain it, so a restore would load it {count} times; report this as a bug"
    if one.system:
        return "pg_dump skips system schemas; move it into another schema (ALTER TABLE ... SET SCHEMA)"
    return "no artifact contains it; keep a copy of it elsewhere, and report this as a bug"


def predicted(read: Layout, seen: Seen) -> Held:
    """Predict the content of the artifacts from the behavior of pg_dump."""
    below = {table.qualified for table in read.tables if table.root in {leaf.root for leaf in read.leaves}}
    dumped = [
        one
        for one in seen.relations
        if one.kind in (relations.TABLE, relations.SEQUENCE)
        and not one.system
        and one.qualified not in below
        and (one.kept or not one.extension)
        and not (one.unlogged and seen.standby)
    ]
    archive = Contents(rows=tuple(one.number for one in dumped), large_objects=True)
    return Held(archive, tuple(leaf.qualified for leaf in read.leaves))


def check(accounts: t.Sequence[Account]) -> Check:
    """Return one check for all databases of a set. A commit needs it."""
    wrong = {name: remedy for one in accounts for name, remedy in one.wrong.items()}
    if wrong:
        name, remedy = next(iter(wrong.items()))
        words = f"{len(wrong)} relation(s) are not in exactly one artifact; first: {name}: {remedy}"
        return Check(CHECK_ID, FAIL, words, details={"relations": list(wrong)[:SHOWN]})
    problems = {one.database: one.problem for one in accounts if one.problem}
    if problems or not accounts:
        database, problem = next(iter(problems.items()), ("", "there is no database"))
        return Check(CHECK_ID, UNPROVEN, f"cannot verify that the set contains all of database {database}: {problem}")
    left_out = sorted(name for one in accounts for name in one.left_out)
    words = f"{sum(one.counted for one in accounts)} relations: each in one artifact" + (f", {len(left_out)} left out" if left_out else "")
    return Check(CHECK_ID, PASS, words, details={"left_out": left_out[:SHOWN]})
