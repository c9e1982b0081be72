# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import audit_blocks
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_blocks import BLOCK_ROWS, Block, Collector
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_chains import ADMIN, AUDIT, Chain
from unit.plugins.module_utils._caracal.chains import oracle

Row = dict[str, str]
COLUMNS = {
    "audit": [*oracle.CONTENT, "ingested_at", "content_sha256", "prev_content_sha256", "chain_hmac", "chain_seq", "ingest_signature"],
    "admin": [*oracle.ADMIN_CONTENT, *oracle.ADMIN_CHAIN[1:]],
}
CHAINS = {"audit": AUDIT, "admin": ADMIN}
# COPY text never contains an unescaped tab, newline or carriage return. Every other character is possible.
ZONES = ["a", "b", r"\N", r"tab\there", r"line\nend", r"back\\slash", r"\\N", "quote'\"", "ä\u2028\u0085\x1c"]


def row(name: str, sequence: int | None, zone: str = "a", **values: str) -> Row:
    made = {column: f"{column}-{zone}-{sequence}" for column in COLUMNS[name]}
    return {**made, "zone_id": zone, "chain_seq": r"\N" if sequence is None else str(sequence), **values}


def line(name: str, one: Row, columns: t.Sequence[str] | None = None) -> bytes:
    return "\t".join(one[column] for column in columns or COLUMNS[name]).encode() + b"\n"


def collect(
    rows: t.Iterable[Row],
    name: str = "audit",
    columns: t.Sequence[str] | None = None,
    only: t.Collection[tuple[bytes, int]] | None = None,
    limit: int = audit_blocks.MEMORY_LIMIT,
) -> tuple[list[Block], Collector]:
    collector = Collector(CHAINS[name], "leaf", columns or COLUMNS[name], only, limit)
    for one in rows:
        collector.write(line(name, one, columns))
    return collector.finish(), collector


def lines(blocks: t.Iterable[Block]) -> list[bytes]:
    return [block.line() for block in blocks]


SEQUENCES = st.one_of(st.none(), st.integers(1, 40), st.integers(BLOCK_ROWS - 2, BLOCK_ROWS + 3), st.integers(1, 1 << 40))
ROWS = st.lists(st.tuples(SEQUENCES, st.sampled_from(ZONES), st.text("xyz\\", max_size=3)), max_size=60)


@given(ROWS, st.randoms(), st.sampled_from(["audit", "admin"]))
def test_blocks_follow_the_format_in_any_row_order(drawn: list[tuple[int | None, str, str]], dice: random.Random, name: str) -> None:
    rows = [row(name, sequence, zone, id=f"{number}{text}") for number, (sequence, zone, text) in enumerate(drawn)]
    expected = oracle.lines(name, "leaf", rows)
    dice.shuffle(rows)
    blocks, collector = collect(rows, name)
    assert lines(blocks) == expected
    assert audit_blocks.to_tsv(reversed(blocks)) == b"".join(expected)
    assert audit_blocks.from_tsv(audit_blocks.to_tsv(blocks)) == blocks
    assert collector.rows == len(rows)
    assert collector.deferred == set()


@given(ROWS, st.randoms())
def test_columns_in_another_order_make_no_difference(drawn: list[tuple[int | None, str, str]], dice: random.Random) -> None:
    rows = [row("audit", sequence, zone, id=f"{number}{text}") for number, (sequence, zone, text) in enumerate(drawn)]
    columns = [*COLUMNS["audit"], "new_column"]
    dice.shuffle(columns)
    wide = [{**one, "new_column": "x"} for one in rows]
    assert lines(collect(wide, columns=columns)[0]) == oracle.lines("audit", "leaf", rows)


@given(ROWS, st.integers(0, 20), st.randoms())
def test_blocks_beyond_the_memory_limit_are_read_again(drawn: list[tuple[int | None, str, str]], room: int, dice: random.Random) -> None:
    rows = [row("audit", sequence, zone, id=f"{number}{text}") for number, (sequence, zone, text) in enumerate(drawn)]
    collector = Collector(AUDIT, "leaf", COLUMNS["audit"], limit=room * 64)
    while rows_left := rows[collector.rows : collector.rows + dice.randint(1, 9)]:
        collector.take([line("audit", one)[:-1] for one in rows_left])
    blocks = collector.finish()
    for key in collector.deferred:
        assert key[1] != audit_blocks.NO_SEQUENCE
        blocks += collect(rows, only={key})[0]
    assert sorted(lines(blocks)) == oracle.lines("audit", "leaf", rows)


def test_memory_is_bounded_by_the_limit() -> None:
    collector = Collector(AUDIT, "leaf", COLUMNS["audit"], limit=64 * 1000)
    for number in range(20_000):
        collector.write(line("audit", row("audit", number // 50 + 1, f"zone{number % 50}")))
        assert collector._lines or sum(len(block.content) for block in collector._open.values()) <= 32 * 1000
    assert collector.deferred


def full(zone: str, first: int = 1) -> list[Row]:
    base = row("audit", 1, zone)
    return [{**base, "id": str(number), "chain_seq": str(number)} for number in range(first, first + BLOCK_ROWS)]


def test_complete_block_is_released_from_memory() -> None:
    collector = Collector(AUDIT, "leaf", COLUMNS["audit"])
    for one in full("a"):
        collector.write(line("audit", one))
    collector.take([])
    assert collector._open == {}
    (block,) = collector.finish()
    assert (block.block, block.rows, block.seq_low, block.seq_high) == ("0", BLOCK_ROWS, "1", str(BLOCK_ROWS))
    assert [block.line()] == oracle.lines("audit", "leaf", full("a"))


@pytest.mark.mutation
@pytest.mark.parametrize("late", [False, True])
def test_duplicate_number_changes_the_block(late: bool) -> None:
    rows = full("a")
    twice = row("audit", 70, "a", id="forged")
    rows.insert(len(rows) if late else 100, twice)
    blocks, collector = collect(rows)
    if late:
        assert (blocks, collector.deferred) == ([], {(b"a", 0)})
        blocks, _again = collect(rows, only=collector.deferred)
    assert lines(blocks) == oracle.lines("audit", "leaf", rows)
    assert lines(blocks) != oracle.lines("audit", "leaf", full("a"))


def test_duplicate_and_missing_number_do_not_complete_a_block() -> None:
    rows = full("a")
    rows[500]["chain_seq"] = "700"
    rows += [row("audit", 501, "a")]
    blocks, collector = collect(rows)
    blocks += collect(rows, only=collector.deferred)[0] if collector.deferred else []
    assert lines(blocks) == oracle.lines("audit", "leaf", rows)


def parts_of(rows: t.Iterable[Row], limit: int = audit_blocks.MEMORY_LIMIT) -> audit_blocks.Parts:
    """Return the blocks that a reader of these rows finds."""
    collector = Collector(AUDIT, "leaf", COLUMNS["audit"], limit=limit)
    for one in rows:
        collector.write(line("audit", one))
    return collector.parts()


def put_together(parts: t.Iterable[audit_blocks.Parts], limit: int = audit_blocks.MEMORY_LIMIT) -> tuple[list[Block], Collector]:
    collector = Collector(AUDIT, "leaf", COLUMNS["audit"], limit=limit)
    for part in parts:
        collector.absorb(part)
    return collector.finish(), collector


ROOM = st.just(audit_blocks.MEMORY_LIMIT // 64) | st.integers(0, 20)


@given(ROWS, st.integers(1, 4), ROOM, ROOM, st.randoms())
def test_parallel_readers_of_a_partition_give_the_same_blocks(
    drawn: list[tuple[int | None, str, str]], readers: int, room: int, joint_room: int, dice: random.Random
) -> None:
    rows = [row("audit", sequence, zone, id=f"{number}{text}") for number, (sequence, zone, text) in enumerate(drawn)]
    split: list[list[Row]] = [[] for _reader in range(readers)]
    for one in rows:
        dice.choice(split).append(one)
    blocks, collector = put_together([parts_of(part, room * 64) for part in split], joint_room * 64)
    assert collector.rows == len(rows)
    assert {(block.zone.encode(), int(block.block)) for block in blocks if block.block != "-"}.isdisjoint(collector.deferred)
    assert all(key[1] != audit_blocks.NO_SEQUENCE for key in collector.deferred)
    blocks += collect(rows, only=collector.deferred)[0] if collector.deferred else []
    assert sorted(lines(blocks)) == oracle.lines("audit", "leaf", rows)


def test_block_from_two_readers_is_complete_and_released() -> None:
    rows = full("a")
    collector = Collector(AUDIT, "leaf", COLUMNS["audit"])
    for part in (rows[::2], rows[1::2]):
        collector.absorb(parts_of(part))
    assert (collector._open, collector.deferred) == ({}, set())
    assert lines(collector.finish()) == oracle.lines("audit", "leaf", rows)


TWICE = row("audit", 70, "a", id="forged")


@pytest.mark.mutation
@pytest.mark.parametrize("order", [(0, 1, 1), (1, 0), (0, 0), (1, 2, 3)])
def test_complete_block_with_another_row_is_read_again(order: tuple[int, ...]) -> None:
    whole = full("a")
    readers = [whole, [TWICE], whole[:40_000], whole[40_000:]]
    rows = [one for index in order for one in readers[index]]
    blocks, collector = put_together(parts_of(readers[index]) for index in order)
    assert (blocks == []) == bool(collector.deferred)
    blocks += collect(rows, only=collector.deferred)[0] if collector.deferred else []
    assert lines(blocks) == oracle.lines("audit", "leaf", rows)
    assert lines(blocks) != oracle.lines("audit", "leaf", whole)


BASE = [row("audit", number, zone) for zone in ("a", "b", r"\N") for number in (1, 2, 3, BLOCK_ROWS, BLOCK_ROWS + 1)]


def changed(rows: list[Row]) -> set[tuple[str, str]]:
    """Return (zone, block) of the blocks that differ from BASE."""
    before, now = ({block.key: block for block in collect(which)[0]} for which in (BASE, rows))
    return {key[1:4:2] for key in before.keys() | now.keys() if before.get(key) != now.get(key)}


@pytest.mark.mutation
@pytest.mark.parametrize("column", COLUMNS["audit"])
def test_a_changed_column_changes_exactly_its_block(column: str) -> None:
    rows = [dict(one) for one in BASE]
    rows[6][column] = {"zone_id": "a", "chain_seq": "9"}.get(column, "forged")
    assert changed(rows) == ({("a", "0"), ("b", "0")} if column == "zone_id" else {("b", "0")})


@pytest.mark.mutation
@pytest.mark.parametrize("digest", ["content", "chain_digest"])
def test_two_digests_distinguish_an_edit_from_a_new_hash(digest: str) -> None:
    rows = [dict(one) for one in BASE]
    rows[6]["decision" if digest == "content" else "content_sha256"] = "forged"
    before, now = (collect(which)[0] for which in (BASE, rows))
    (pair,) = [(old, new) for old, new in zip(before, now, strict=True) if old != new]
    other = {"content": "chain_digest", "chain_digest": "content"}[digest]
    assert getattr(pair[0], digest) != getattr(pair[1], digest)
    assert getattr(pair[0], other) == getattr(pair[1], other)


@pytest.mark.mutation
def test_a_row_removed_added_or_moved_changes_exactly_its_block() -> None:
    assert changed(BASE[:-1]) == {(r"\N", "1")}
    assert changed([*BASE, row("audit", 5, "b")]) == {("b", "0")}
    assert changed([*BASE, row("audit", None, "b")]) == {("b", "-")}
    swapped = [dict(one) for one in BASE]
    swapped[0]["chain_seq"], swapped[1]["chain_seq"] = "2", "1"
    assert changed(swapped) == {("a", "0")}


@pytest.mark.mutation
def test_two_fields_cannot_be_shifted_into_each_other() -> None:
    rows = [dict(one) for one in BASE]
    rows[6].update(event_type="event_type-b-2request", request_id="_id-b-2")
    assert changed(rows) == {("b", "0")}


def test_partition_digest_depends_on_its_rows() -> None:
    blocks = collect(BASE)[0]
    assert audit_blocks.leaf_digest(blocks) == audit_blocks.leaf_digest(reversed(blocks))
    assert audit_blocks.leaf_digest(blocks) != audit_blocks.leaf_digest(collect(BASE[1:])[0])


@pytest.mark.mutation
@pytest.mark.parametrize(
    "data",
    [
        b"audit\ta\tleaf\t0\t1\t1\t1\tx\n",
        b"audit\ta\tleaf\t0\tone\t1\t1\tx\ty\n",
        b"audit\ta\tleaf\t0\t1\t1\t1\tx\ty\tz\n",
        b"audit\ta\tleaf\t0\t1\t1\t1\tx\ty",
        b"\n",
        b"\xff\ta\tleaf\t0\t1\t1\t1\tx\ty\n",
    ],
)
def test_a_malformed_line_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        audit_blocks.from_tsv(data)


def test_no_blocks_make_an_empty_file() -> None:
    assert audit_blocks.to_tsv([]) == b""
    assert audit_blocks.from_tsv(b"") == []


@pytest.mark.parametrize("chain", [AUDIT, ADMIN], ids=lambda chain: chain.name)
def test_columns_of_both_chains_follow_the_format(chain: Chain) -> None:
    expected = {"audit": (oracle.CONTENT, oracle.CHAIN), "admin": (oracle.ADMIN_CONTENT, oracle.ADMIN_CHAIN)}[chain.name]
    assert (chain.content, chain.chain) == expected
