# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Attacks on each digest: compensation through a column that is not checked, and other rows with the same text."""

from __future__ import annotations

import functools
import hashlib
import operator
import typing as t
import uuid

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import audit_blocks, audit_chains
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import tables
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Session
from scenes.fixtures import Committed, Copy
from scenes.scene import Result
from scenes.twin_database import Copier, TwinCluster

FREELY = "SET session_replication_role = replica"
FREE_ROWS = 320  # unknowns for the 256 bits of a digest
LEAF = "audit_events_y2026m03"


def number(line: bytes) -> int:
    return int.from_bytes(hashlib.sha256(line).digest(), "big")


def linear_digest(lines: t.Iterable[bytes]) -> int:
    """Return an insecure digest for comparison: the XOR of the rows' hashes, which does not depend on their order."""
    return functools.reduce(operator.xor, map(number, lines), 0)


def repair(wanted: int, changes: t.Sequence[int]) -> set[int]:
    """Return the `changes` that together equal `wanted`.

    This solves linear equations over single bits, with one unknown for each change.
    """
    basis: dict[int, tuple[int, int]] = {}
    for index, change in enumerate(changes):
        value, chosen = reduce_by(basis, change, 1 << index)
        if value:
            basis[value.bit_length()] = (value, chosen)
    rest, chosen = reduce_by(basis, wanted, 0)
    assert rest == 0, "too few changes"
    return {index for index in range(len(changes)) if chosen >> index & 1}


def reduce_by(basis: dict[int, tuple[int, int]], value: int, chosen: int) -> tuple[int, int]:
    while value and value.bit_length() in basis:
        other, with_it = basis[value.bit_length()]
        value, chosen = value ^ other, chosen ^ with_it
    return value, chosen


def forge(lines: t.Sequence[bytes], edited: dict[int, bytes], variants: dict[int, bytes]) -> list[bytes]:
    """Return `lines` with the `edited` lines and enough `variants` to restore the original linear digest."""
    wanted = linear_digest([*(lines[index] for index in edited), *edited.values()])
    free = sorted(variants)
    chosen = repair(wanted, [number(lines[index]) ^ number(variants[index]) for index in free])
    replaced = {**edited, **{free[index]: variants[free[index]] for index in chosen}}
    return [replaced.get(index, line) for index, line in enumerate(lines)]


def copied(session: Session, table: tables.Table) -> list[bytes]:
    lines: list[bytes] = []
    session.copy_to(table.copy_ordered(), Appender(lines))
    return lines


class Appender:
    def __init__(self, lines: list[bytes]) -> None:
        self.write = lines.append


def named(session: Session, name: str) -> tables.Table:
    return next(one for one in tables.read_tables(session) if one.name == name)


def put(line: bytes, column: int, value: str) -> bytes:
    fields = line[:-1].split(b"\t")
    fields[column] = value.encode()
    return b"\t".join(fields) + b"\n"


def replace(cluster: TwinCluster, database: str, table: tables.Table, lines: t.Sequence[bytes]) -> None:
    """Replace the rows of a table, as the owner of the database can."""
    with Session(cluster.server, database) as session:
        session.rows(FREELY)
        session.rows(f"TRUNCATE ONLY {table.sql}")
        session.copy_from(table.copy_in().replace(" (FREEZE)", ""), Source(b"".join(lines)))


class Source:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int) -> bytes:
        piece, self._data = self._data[:size], self._data[size:]
        return piece


@pytest.fixture
def forged(restored: Copy) -> t.Iterator[Copy]:
    yield restored
    restored.reset("caracal")


@pytest.mark.mutation
def test_an_audit_digest_repaired_through_signatures_is_found(committed: Committed, forged: Copy) -> None:
    """One changed decision and some of 320 `ingest_signature`s, which the chain does not cover, keep a sum of hashes unchanged."""
    place: list[tuple[tables.Table, int]] = []
    lines: list[bytes] = []
    with Session(forged.server, "caracal") as session:
        leaves = [table for table in tables.read_tables(session) if table.root == "public.audit_events"]
        for table in leaves:
            found = copied(session, table)
            place += [(table, index) for index in range(len(found))]
            lines += found
    columns = place[0][0].columns
    decision, signature = columns.index("decision"), columns.index("ingest_signature")
    edited = next(index for index, line in enumerate(lines) if line.split(b"\t")[decision] == b"deny")
    free = [index for index in range(len(lines)) if index != edited][:FREE_ROWS]
    assert len(free) == FREE_ROWS
    variants = {index: put(lines[index], signature, hashlib.sha256(b"%d" % index).hexdigest()) for index in free}
    result = forge(lines, {edited: put(lines[edited], decision, "allow")}, variants)
    assert linear_digest(result) == linear_digest(lines) and len(result) == len(lines) and result != lines

    touched = {place[index][0] for index in range(len(lines)) if result[index] != lines[index]}
    for table in touched:
        replace(forged, "caracal", table, [line for (of, _index), line in zip(place, result, strict=True) if of == table])
    for table in touched:
        with Session(forged.server, "caracal") as session:
            assert sorted(copied(session, table)) == sorted(line for (of, _i), line in zip(place, result, strict=True) if of == table)
    failed = verify(committed, forged)
    assert failed.keys() == {"inventory.caracal.leaves", "inventory.audit_blocks"}
    assert f"{len(touched)} audit partition(s) differ" in failed["inventory.caracal.leaves"]["message"]
    differences = failed["inventory.audit_blocks"]["details"]["differences"]
    turned = [one for one in differences if one.endswith(": the content differs")]
    assert len(turned) == 1 and f"partition {place[edited][0].name}," in turned[0]
    assert len(differences) > 1 and {one.rsplit(": ", 1)[1] for one in differences} == {"the content differs", "the chain columns differ"}


def verify(committed: Committed, copy: Copy) -> dict[str, Result]:
    """Return the checks that failed."""
    result = committed.scene.call("state_verify", sandbox=copy.info.directory)
    assert result["verdict"] == "fail"
    return {check["id"]: check for check in result["checks"] if check["verdict"] == "fail"}


@pytest.mark.mutation
def test_a_table_digest_repaired_through_a_free_column_is_found(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()
    caracal_database.execute(
        "CREATE TABLE accounts (id int PRIMARY KEY, role text, note text)",
        f"INSERT INTO accounts SELECT n, 'reader', 'note ' || n FROM generate_series(0, {FREE_ROWS}) n",
        database=name,
    )
    with Session(caracal_database.server, name) as session:
        table = named(session, "accounts")
        lines, before = copied(session, table), tables.digest(session, table)
        variants = {index: put(lines[index], 2, uuid.uuid4().hex) for index in range(1, len(lines))}
        result = forge(lines, {0: put(lines[0], 1, "owner")}, variants)
        replace(caracal_database, name, table, result)
        assert copied(session, table) == result and linear_digest(result) == linear_digest(lines)
        after = tables.digest(session, table)
    assert after["rows"] == before["rows"] and after["digest"] != before["digest"]


# Two tables of (k, a, b) that a careless digest cannot distinguish.
Rows = list[tuple[str, "str | None", "str | None"]]
ALIKE: dict[str, tuple[Rows, Rows]] = {
    "a byte across the border of two columns": ([("1", "ab", "c")], [("1", "a", "bc")]),
    "a value across it": ([("1", "ab", "")], [("1", "", "ab")]),
    "a tab across it": ([("1", "a\tb", "c")], [("1", "a", "b\tc")]),
    "a border written out": ([("1", "a\\tb", "c")], [("1", "a\tb", "c")]),
    "a backslash at the border": ([("1", "a\\", "b")], [("1", "a", "\\b")]),
    "one row that reads as two": ([("1", "x", "y\n2\tx\ty")], [("1", "x", "y"), ("2", "x", "y")]),
    "a byte across the border of two rows": ([("1", "x", "y2"), ("3", "x", "y")], [("1", "x", "y"), ("23", "x", "y")]),
    "no value and an empty one": ([("1", None, "b")], [("1", "", "b")]),
    "no value and its mark": ([("1", None, "b")], [("1", "\\N", "b")]),
    "the mark and its escape": ([("1", "\\N", "b")], [("1", "\\\\N", "b")]),
    "the end of the data": ([("1", "\\.", "b")], [("1", "\\", ".b")]),
    "no value in another column": ([("1", None, "b")], [("1", "b", None)]),
    "two rows that change places": ([("1", "a", "x"), ("2", "b", "x")], [("1", "b", "x"), ("2", "a", "x")]),
    "one value that changes places": ([("1", "a", "x"), ("2", "b", "y")], [("1", "b", "x"), ("2", "a", "y")]),
    "another row twice": ([("1", "a", "a"), ("1", "a", "a"), ("1", "b", "b")], [("1", "a", "a"), ("1", "b", "b"), ("1", "b", "b")]),
    "a row twice": ([("1", "a", "a"), ("2", "b", "b")], [("1", "a", "a"), ("2", "b", "b"), ("2", "b", "b")]),
    "a pair of rows twice over": ([("1", "a", "a")], [("1", "a", "a"), ("2", "b", "b"), ("2", "b", "b")]),
    "blanks at the end": ([("1", "a ", "b")], [("1", "a", "b")]),
    "composed and decomposed": ([("1", "\u00e9", "b")], [("1", "e\u0301", "b")]),
    "carriage return": ([("1", "a\r", "b")], [("1", "a", "b")]),
}


@pytest.fixture
def scratch(caracal_database: TwinCluster, caracal_copy: Copier) -> t.Iterator[Session]:
    """Yield a session with a table without a key and a table like a partition."""
    with Session(caracal_database.server, caracal_copy()) as session:
        session.rows("CREATE TABLE public.plain (k text, a text, b text)")
        session.rows("CREATE TABLE public.leaf (LIKE public.audit_events)")
        yield session


@pytest.mark.mutation
@pytest.mark.parametrize("name", ALIKE)
def test_different_tables_have_different_digests(scratch: Session, name: str) -> None:
    """This tests `copy-sha256-v1`. A table without a key has the same digest in any heap order."""
    found = []
    for rows in ALIKE[name]:
        both = []
        for order in (rows, rows[::-1]):
            scratch.rows("TRUNCATE public.plain")
            for row in order:
                scratch.rows("INSERT INTO public.plain VALUES (%s, %s, %s)", row)
            both.append(tables.digest(scratch, named(scratch, "plain")))
        assert both[0] == both[1]
        found.append(both[0])
    assert found[0]["digest"] != found[1]["digest"]
    assert [one["rows"] for one in found] == [len(rows) for rows in ALIKE[name]]


# Adjacent columns in the text of each of the two digests of a block.
PARTS = {"content": ("request_id", "decision"), "chain_digest": ("prev_content_sha256", "content_sha256")}


@pytest.mark.mutation
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", ALIKE)
def test_different_blocks_have_different_digests(scratch: Session, name: str, part: str) -> None:
    """Tests each digest of a block separately, in any heap order."""
    first, second = PARTS[part]
    other = ({*PARTS} - {part}).pop()
    found = []
    for rows in ALIKE[name]:
        both = []
        for order in (rows, rows[::-1]):
            scratch.rows("TRUNCATE public.leaf")
            for key, one, two in order:
                insert = f"INSERT INTO public.leaf (id, zone_id, event_type, occurred_at, chain_seq, ingested_at, {first}, {second})"
                values = "VALUES (%s, 'z', 'e', '2026-03-01', 7, '2026-03-01', %s, %s)"
                scratch.rows(f"{insert} {values}", (key, one, two))
            table = named(scratch, "leaf")
            collector = audit_blocks.Collector(audit_chains.AUDIT, "leaf", table.columns)
            scratch.copy_to(table.copy_heap_order(), collector)
            both.append(collector.finish())
        assert both[0] == both[1] and len(both[0]) == 1
        found.append(both[0][0])
    assert getattr(found[0], part) != getattr(found[1], part)
    if [key for key, _one, _two in ALIKE[name][0]] == [key for key, _one, _two in ALIKE[name][1]]:
        assert getattr(found[0], other) == getattr(found[1], other)


EXCHANGED = (
    "chain_seq, prev_content_sha256, content_sha256, chain_hmac, ingested_at, ingest_signature",
    "decision, request_id, metadata_json",
)


@pytest.mark.mutation
@pytest.mark.parametrize("columns", EXCHANGED, ids=["chain columns", "content columns"])
def test_halves_of_two_rows_exchanged_are_found(committed: Committed, forged: Copy, columns: str) -> None:
    """Both digests hash a set of halves. The ID in each half binds the two halves of a row together."""
    pair = forged.execute(
        f"""SELECT min(chain_seq), max(chain_seq), zone_id FROM {LEAF} WHERE decision IN ('allow', 'deny')
             GROUP BY zone_id ORDER BY 3 LIMIT 1"""
    )[0]
    forged.execute(
        FREELY,
        f"""UPDATE {LEAF} x SET ({columns}) = (SELECT {columns} FROM {LEAF} y
             WHERE y.zone_id = x.zone_id AND y.chain_seq IN {pair[:2]} AND y.id <> x.id)
             WHERE zone_id = '{pair[2]}' AND chain_seq IN {pair[:2]}""",
    )
    failed = verify(committed, forged)
    assert failed.keys() == {"inventory.caracal.leaves", "inventory.audit_blocks"}
    word = "the chain columns differ" if "chain_seq" in columns else "the content differs"
    assert failed["inventory.audit_blocks"]["message"].endswith(f"zone {pair[2]}, partition {LEAF}, block 0: {word}")
