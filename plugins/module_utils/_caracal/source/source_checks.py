# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check that a source satisfies its own constraints (foreign keys, unique indexes, collation versions) and the rules of a
healthy Caracal.

PostgreSQL checks a row only when it is written. It does not check rows that were loaded while triggers were disabled,
or an index that a new libc has put out of order. A restore builds all constraints again and stops at such rows. A
failure in one of the operator's own tables is a warning.
"""

from __future__ import annotations

import dataclasses
import secrets
import typing as t

from ..._errors import PermissionMissing, StageFailed, printable
from ..._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, WARN, Check
from .. import findings
from ..chains.audit_chains import AUDIT
from ..invariants import rule
from ..invariants import table as rules
from ..invariants.rule import Rule, Seen, rows
from ..inventory.inventory import Reader
from .source_queries import (
    ACTUAL_COLLATIONS,
    AMCHECK,
    DATABASE_COLLATION,
    FOREIGN_KEYS,
    IN_ORDER,
    OF_TABLE,
    UNIQUE_INDEXES,
    WITHOUT_INDEXES,
    counted,
    digested,
    in_order,
    offending,
)

FOREIGN_KEY = "source.foreign_keys"
UNIQUE = "source.unique_indexes"
COLLATION = "source.collation"
STATE = "source.state"
IDS = (FOREIGN_KEY, UNIQUE, COLLATION, STATE)
LISTED = 50
# The number of findings that a message names.
NAMED = 4
CORRUPTED = ("XX001", "XX002")


@dataclasses.dataclass(frozen=True)
class Relation:
    """A table. `root` is the topmost partitioned table, or the table itself."""

    schema: str
    name: str
    root: str

    @property
    def qualified(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def is_caracals(self) -> bool:
        # Imported here because few sources are broken, and loading the tables of all releases takes long.
        from ..schema import schema_tables

        return self.schema == "public" and self.root in schema_tables.names()


@dataclasses.dataclass(frozen=True)
class Broken:
    """A violated constraint or rule, or a collation with another version.

    `words` contain no value of a row. `keys` identify the complete damage by count and digest. `fails` is False for the
    operator's own tables.
    """

    thing: str
    words: str
    keys: str
    fails: bool = True


@dataclasses.dataclass(frozen=True)
class Unread:
    """An object that could not be checked, and the reason. `caracals` is True if this concerns Caracal's own tables."""

    thing: str
    reason: str
    caracals: bool = True


@dataclasses.dataclass(frozen=True)
class Scan:
    """The result of one check in one database, or in a part of it. `read` is the number of constraints or rules that were checked."""

    check: str
    database: str
    read: int = 0
    broken: tuple[Broken, ...] = ()
    unread: tuple[Unread, ...] = ()


@dataclasses.dataclass(frozen=True)
class Index:
    """A valid unique index.

    `foreign` is True if the index could run code of an owner. `query` finds duplicates in the rows. `ordered` counts
    its entries and the entries out of order. It is empty if the index does not have one entry for each row.
    """

    table: Relation
    name: str
    oid: int
    btree: bool
    foreign: bool
    query: str
    ordered: str = ""

    @property
    def thing(self) -> str:
        return f"{self.table.qualified} {self.name}"


def prepare(reader: Reader) -> None:
    """Disable index scans for this transaction, because a damaged index could hide rows."""
    _set(reader, WITHOUT_INDEXES)


def _set(reader: Reader, settings: t.Mapping[str, str]) -> None:
    for name, value in settings.items():
        reader.rows("SELECT pg_catalog.set_config(%s, %s, true)", (name, value))


def foreign_keys(reader: Reader, database: str) -> Scan:
    """Check every validated foreign key by a query. In Caracal the audit log has none, so keys that involve it are not checked."""
    broken, unread, read = list[Broken](), list[Unread](), 0
    for schema, table, root, name, query, of_audit, builtin in reader.rows(FOREIGN_KEYS):
        child, thing = Relation(schema, table, root), f"{schema}.{table} {name}"
        if of_audit or not builtin:
            why = (
                "it belongs to the audit log, whose rows are not read for this check"
                if of_audit
                else "it compares with operators of an extension"
            )
            unread.append(Unread(thing, why, child.is_caracals))
            continue
        try:
            count, keys = _offending(reader, query)
        except (StageFailed, PermissionMissing) as exc:
            unread.append(Unread(thing, rule.reason(exc), child.is_caracals))
            continue
        read += 1
        if count:
            broken.append(Broken(thing, f"{count} row(s) reference a row that does not exist", f"{count} {keys}", child.is_caracals))
    return Scan(FOREIGN_KEY, database, read, tuple(broken), tuple(unread))


def indexes(reader: Reader, of: tuple[str, str] | None = None) -> list[Index]:
    """Return all unique indexes that a restore builds again, or only those on one table, given by schema and name."""
    seen = reader.rows(OF_TABLE, of) if of else reader.rows(UNIQUE_INDEXES)
    found = []
    for schema, table, quoted, root, name, oid, btree, total, foreign, keys, where, distinct in seen:
        if None in keys:
            continue  # The index was dropped since. The server does not describe it any more, although the snapshot shows it.
        ordered = in_order(quoted, keys) if btree and total else ""
        query = offending(quoted, keys, where, distinct)
        found.append(Index(Relation(schema, table, root), name, oid, btree, foreign, query, ordered))
    return found


def is_whole(reader: Reader, index: Index, rows_of_table: int) -> bool:
    """Return whether the index alone proves that all keys are unique.

    The number of entries must equal the number of rows, and each entry must be greater than the previous one. An index
    has about a tenth of the table's size, and this check needs no memory. If the result is False, the rows must be
    read.
    """
    if not index.ordered or index.foreign:
        return False
    _set(reader, IN_ORDER)
    try:
        found = [tuple(row) for row in rows(reader, index.ordered)]
    except (StageFailed, PermissionMissing):
        return False
    finally:
        prepare(reader)
    return found == [(rows_of_table, 0)]


def unique_indexes(reader: Reader, database: str, wanted: t.Iterable[Index], structure: bool = True) -> Scan:
    """Check for duplicates in these indexes. With `structure`, `amcheck` also checks the indexes if it is installed and allowed."""
    amcheck = next((name for (name,) in reader.rows(AMCHECK)), "") if structure else ""
    broken, unread, read = list[Broken](), list[Unread](), 0
    for index in wanted:
        if index.foreign:
            why = "it has an expression, or uses an object that is not built into the server"
            unread.append(Unread(index.thing, why, index.table.is_caracals))
            continue
        try:
            found = _duplicates(reader, index) or (_structure(reader, amcheck, index) if amcheck and index.btree else None)
        except (StageFailed, PermissionMissing) as exc:
            unread.append(Unread(index.thing, rule.reason(exc), index.table.is_caracals))
            continue
        read += 1
        if found:
            broken.append(found)
    return Scan(UNIQUE, database, read, tuple(broken), tuple(unread))


def _offending(reader: Reader, query: str) -> tuple[int, str]:
    """Return the number of rows of `query`, and a digest of all of them.

    If the server cannot compute the digest, a random value is used. The damage is then not known exactly, so no
    acknowledgement can cover it.
    """
    try:
        count, keys = rows(reader, digested(query))[0]
    except StageFailed:
        return int(rows(reader, counted(query))[0][0]), secrets.token_hex()
    return int(count), str(keys)


def _duplicates(reader: Reader, index: Index) -> Broken | None:
    count, keys = _offending(reader, index.query)
    words = f"{count} key(s) of a unique index are duplicated"
    return Broken(index.thing, words, f"{count} {keys}", index.table.is_caracals) if count else None


def _structure(reader: Reader, amcheck: str, index: Index) -> Broken | None:
    """Check an index with amcheck. The server's message names an index and pages, but no value of a row."""
    try:
        rows(reader, f"SELECT {amcheck}(%s::pg_catalog.oid::pg_catalog.regclass)", (index.oid,))
    except StageFailed as exc:
        if exc.details.get("sqlstate") not in CORRUPTED:
            raise
        return Broken(index.thing, "amcheck reports a damaged structure", exc.msg, index.table.is_caracals)
    return None


def collations(reader: Reader, database: str) -> Scan:
    """Compare the recorded collation versions of the database, columns and indexes with the server's current libraries."""
    try:
        seen = [("the database's default", *rows(reader, DATABASE_COLLATION)[0], "", [])]
        seen += [(f"{schema}.{name}", *more) for schema, name, *more in rows(reader, ACTUAL_COLLATIONS)]
    except (StageFailed, PermissionMissing) as exc:
        return Scan(COLLATION, database, unread=(Unread("the collations", rule.reason(exc)),))
    broken, unread = list[Broken](), list[Unread]()
    for thing, recorded, actual, schema, tables in seen:
        caracals = not schema or any(Relation(schema, table, table).is_caracals for table in tables)
        if recorded and not actual:
            unread.append(Unread(thing, f"version {recorded} is recorded, but the server reports no version", caracals))
        elif actual and not recorded:
            unread.append(Unread(thing, f"no version is recorded, but the server has {actual}", False))
        elif recorded != actual:
            words = f"version {recorded} is recorded, but the server has {actual}"
            broken.append(Broken(thing, words, f"{recorded} {actual}", caracals))
    return Scan(COLLATION, database, len(seen), tuple(broken), tuple(unread))


def state(reader: Reader, database: str, family: str, release: str | None, existing: t.Collection[str]) -> Scan:
    """Check the rules that a drill requires, in the source. Rules that read audit partitions are skipped. `existing` are
    tables of schema public.
    """
    broken, unread, read = list[Broken](), list[Unread](), 0
    for one in rules.invariants(family, release):
        if one.severity != FAIL or AUDIT.table in one.tables:
            continue
        seen = rule.look(reader, one, existing)
        if seen.problem:
            unread.append(Unread(one.check_id, seen.problem))
            continue
        read += 1
        if seen.broken:
            broken.append(of_rule(one, seen))
    return Scan(STATE, database, read, tuple(broken), tuple(unread))


def of_rule(one: Rule, seen: Seen) -> Broken:
    """Return the record of a violated rule. Source and copy use the same format."""
    return Broken(one.check_id, f"{rule.counted(one, seen)}; {one.remedy}", f"{seen.broken} {seen.digest}")


def unread(database: str, why: str, wanted: t.Iterable[str] = IDS) -> list[Scan]:
    """Return scans for a database that could not be read, for the `wanted` checks."""
    return [Scan(one, database, unread=(Unread(f"database {database}", why),)) for one in wanted]


_NOUN = {FOREIGN_KEY: "foreign keys", UNIQUE: "unique indexes", COLLATION: "collations", STATE: "consistency rules"}
_REMEDY = {
    FOREIGN_KEY: "a restore stops at this constraint; repair the rows",
    UNIQUE: "a restore stops at duplicates; repair the rows and run REINDEX",
    COLLATION: "indexes on text can be in the wrong order; run REINDEX DATABASE, then ALTER DATABASE (or COLLATION) ... REFRESH VERSION",
    STATE: "a restored copy has the same rows",
}
_CONNECTED = {COLLATION: "are as recorded"}


def checks(scans: t.Sequence[Scan], acknowledged: t.Collection[str]) -> list[Check]:
    """Return one check of each kind for all databases of a set."""
    return [_check(check_id, [one for one in scans if one.check == check_id], acknowledged) for check_id in IDS]


def _check(check_id: str, scans: t.Sequence[Scan], acknowledged: t.Collection[str]) -> Check:
    """Return one check.

    The verdict is `fail` if there is damage that is not acknowledged. Otherwise it is `unproven` if one of Caracal's
    tables could not be read. Otherwise it is `warn` or `pass`.
    """
    if not scans:
        return Check(check_id, NOT_APPLICABLE, f"no database of this set has {_NOUN[check_id]}", False)
    broken = [(scan.database, one) for scan in scans for one in scan.broken]
    unread = [(scan.database, one) for scan in scans for one in scan.unread]
    recorded = _bounded(check_id, [to_record(check_id, database, one) for database, one in broken if one.fails])
    new = [one for one in recorded if one["digest"] not in acknowledged]
    read, noun = sum(one.read for one in scans), _NOUN[check_id]
    details = {
        "read": read,
        "broken": [{"database": database, "object": one.thing, "says": one.words} for database, one in broken[:LISTED]],
        "not_read": [{"database": database, "object": one.thing, "reason": one.reason} for database, one in unread[:LISTED]],
        "recorded": recorded,
    }
    if new:
        return Check(check_id, FAIL, failed(new), details=details)
    doubt = next(((database, one) for database, one in unread if one.caracals), None)
    if doubt:
        reason = doubt[1].reason.removeprefix(f"database {doubt[0]}: ")
        words = f"{noun} cannot be checked: database {doubt[0]}: {printable(doubt[1].thing)}: {reason}"
        return Check(check_id, UNPROVEN, words, False, details)
    if broken:
        database, first = broken[0]
        words = f"{len(broken)} of {read} {noun} failed the check; first: {_words(database, first)}"
        why = "acknowledged" if first.fails else f"a table of your own; {_REMEDY[check_id]}"
        return Check(check_id, WARN, f"{words} ({why})", False, details)
    return Check(check_id, PASS, f"{read} {noun} {_CONNECTED.get(check_id, 'are intact')}", details=details)


def _bounded(check_id: str, recorded: list[dict[str, str]]) -> list[dict[str, str]]:
    """Limit the findings: the first ones have their own digest, and the rest share one digest."""
    first, rest = recorded[: findings.SHOWN], recorded[findings.SHOWN :]
    if rest:
        digest = findings.digest(check_id, "rest", *(one["digest"] for one in rest))
        first.append({"digest": digest, "message": f"{len(rest)} more findings, the first: {rest[0]['message']}"})
    return first


def failed(recorded: t.Sequence[t.Mapping[str, str]]) -> str:
    """Return the message of a failure: the first finding with its remedy, the objects of the next ones, and how to acknowledge them."""
    first, *others = (one["message"] for one in recorded[:NAMED])
    also = "".join(f"; also {one.partition('; ')[0]}" for one in others)
    more = f"; and {len(recorded) - NAMED} more" if len(recorded) > NAMED else ""
    digests = ", ".join(one["digest"][:16] for one in recorded[:NAMED])
    return f"{first}{also}{more}; or acknowledge the findings: journal_correct with findings: [{digests}]"


def to_record(check_id: str, database: str, one: Broken) -> dict[str, str]:
    """Return a finding for the manifest. Its digest covers exactly this damage, so an acknowledgement covers no other damage."""
    message = f"{_words(database, one)}; {_REMEDY[check_id]}"
    return {"digest": findings.digest(check_id, database, one.thing, one.keys), "message": message}


def _words(database: str, one: Broken) -> str:
    return f"database {database}: {printable(one.thing)}: {one.words}"
