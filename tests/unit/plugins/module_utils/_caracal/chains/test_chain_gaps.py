# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Missing numbers: explained by dropped partitions, deleted by an attacker, and the expected position of partitions."""

from __future__ import annotations

import time
import types
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import chain_gaps
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_blocks import BLOCK_ROWS, Block
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_chains import ADMIN, AUDIT, Chain
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.chain_examiner import Seen, ZoneSeen
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.chain_gaps import Gap, LeafFacts
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.chain_runs import Links, Run
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.positions import Positions
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, UNPROVEN, WARN, Check
from harness.waiting import PATIENCE

KEPT, DELETED = "kept", "deleted"
NOTHING: t.Mapping[str, int] = types.MappingProxyType({})
Range = tuple[int, int]


def zone(*runs: Range, twice: t.Iterable[int] = (), unnumbered: int = 0) -> ZoneSeen:
    rows = sum(high - low + 1 for low, high in runs) + unnumbered
    return ZoneSeen(rows, unnumbered, links=Links([Run(low, high, b"", b"") for low, high in runs], Positions(), Positions.of(twice)))


def block(leaf: str, low: int, high: int, rows: int | None = None, **other: str) -> Block:
    """Return the line of a block with these numbers."""
    fields = {"chain": "audit", "zone": "a", "block": str((low - 1) // BLOCK_ROWS), **other}
    return Block(
        **fields,
        leaf=leaf,
        rows=high - low + 1 if rows is None else rows,
        seq_low=str(low),
        seq_high=str(high),
        content="",
        chain_digest="",
    )


def sequence(seen: Seen, dropped: t.Sequence[Block] = (), known: t.Mapping[str, int] | None = NOTHING, chain: Chain = AUDIT) -> Check:
    return chain_gaps.sequence(chain, seen, chain_gaps.gaps(seen, {}), dropped, known)


def places(check: Check) -> list[tuple[str, str, int, int]]:
    return [(one["kind"], one["zone"], one["low"], one["high"]) for one in check.details["positions"]]


def test_gaps_are_between_runs_and_before_the_first_run() -> None:
    seen = {b"b": zone((1, 4), (6, 9)), b"a": zone((3, 3)), b"c": zone((1, 2)), b"\\N": zone()}
    assert chain_gaps.gaps(seen, {}) == [Gap("a", 1, 2, True), Gap("b", 5, 5, False)]


def test_below_a_floor_nothing_is_missing() -> None:
    seen = {b"a": zone((30, 40)), b"b": zone((50, 60))}
    assert chain_gaps.gaps(seen, {"a": 30, "b": 45}) == [Gap("b", 45, 49, False)]


@pytest.mark.no_false_alarm
def test_whole_chains_pass() -> None:
    check = sequence({b"a": zone((1, 9)), b"\\N": zone((1, 1))})
    assert (check.id, check.verdict, check.message) == ("audit.sequence", PASS, "no number is missing or duplicated")
    assert check.details["rows"] == 10


@pytest.mark.mutation
@pytest.mark.parametrize("seen", [{}, {b"a": zone(unnumbered=3)}])
@pytest.mark.parametrize("chain", [AUDIT, ADMIN], ids=lambda chain: chain.name)
def test_chain_without_numbers_is_unproven(seen: Seen, chain: Chain) -> None:
    assert sequence(seen, chain=chain).verdict == UNPROVEN


@pytest.mark.mutation
@pytest.mark.parametrize("chain", [AUDIT, ADMIN], ids=lambda chain: chain.name)
def test_a_hole_fails_and_is_named(chain: Chain) -> None:
    check = sequence({b"a": zone((1, 4), (7, 9), (11, 12))}, chain=chain)
    assert (check.verdict, places(check)) == (FAIL, [("hole", "a", 5, 6), ("hole", "a", 10, 10)])


@pytest.mark.mutation
@pytest.mark.parametrize("known", [None, {}, {"b": 3}])
def test_late_start_is_unproven_if_partitions_may_be_dropped(known: dict[str, int] | None) -> None:
    check = sequence({b"a": zone((5, 9))}, known=known)
    assert (check.verdict, places(check)) == (UNPROVEN, [("late_beginning", "a", 1, 4)])
    assert ("without a journal" in check.message) == (known is None)
    admin = sequence({b"a": zone((5, 9))}, known=None, chain=ADMIN)
    assert (admin.verdict, places(admin)) == (FAIL, [("late_beginning", "a", 1, 4)])


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("known", "dropped", "verdict", "found"),
    [
        (3, [], UNPROVEN, [(3, 4), (1, 2)]),
        (3, [block("may", 3, 4)], WARN, [(1, 2)]),
        (3, [block("may", 3, 3)], UNPROVEN, [(3, 4), (1, 2)]),
        (5, [], WARN, [(1, 4)]),
        (9, [], WARN, [(1, 4)]),
        (1, [], UNPROVEN, [(1, 4)]),
        (1, [block("may", 1, 4)], PASS, []),
    ],
)
def test_missing_numbers_from_before_the_journal_are_a_warning(known: int, dropped: list[Block], verdict: str, found: list[Range]) -> None:
    check = sequence({b"a": zone((5, 9))}, dropped, {"a": known})
    assert (check.verdict, places(check)) == (verdict, [("late_beginning", "a", *place) for place in found])


@pytest.mark.mutation
def test_hole_fails_even_if_the_journal_is_new() -> None:
    check = sequence({b"a": zone((1, 4), (7, 9))}, known={"a": 8})
    assert (check.verdict, places(check)) == (FAIL, [("hole", "a", 5, 6)])


# Rows ingested in July and August 2026, in a chain without its beginning.
JULY, AUGUST = b"2026-07-05 00:00:00+00", b"2026-08-20 00:00:00+00"


def ingested(*runs: tuple[int, int, bytes]) -> ZoneSeen:
    found = zone(*((low, high) for low, high, _first in runs))
    for run, (_low, _high, first) in zip(found.links.runs, runs, strict=True):
        run.first = run.last = first
    return found


def at_horizon(seen: Seen, leaves: t.Sequence[str] = ("audit_events_y2026m07",), horizon: Range = (2026, 7), chain: Chain = AUDIT) -> Check:
    missing = chain_gaps.gaps(seen, {})
    return chain_gaps.sequence(chain, seen, missing, [], None, late_until=chain_gaps.late_until(leaves, horizon))


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("leaves", [["audit_events_y2026m07", "audit_events_y2026m08"], ["audit_events_y2026m09"], []], ids=len)
def test_late_events_that_retention_dropped_are_unproven(leaves: list[str]) -> None:
    check = at_horizon({b"a": ingested((5, 9, JULY), (11, 30, JULY))}, leaves)
    assert (check.verdict, places(check)) == (UNPROVEN, [("hole_at_horizon", "a", 10, 10), ("late_beginning", "a", 1, 4)])
    assert "recorded" not in check.details


@pytest.mark.mutation
@pytest.mark.parametrize(
    "seen",
    [ingested((5, 9, JULY), (11, 30, AUGUST)), ingested((1, 9, JULY), (11, 30, JULY)), ingested((5, 9, b""), (11, 30, b""))],
    ids=["in the middle of retained rows", "in a chain that retention has not begun to drop", "without times"],
)
def test_any_other_hole_fails(seen: ZoneSeen) -> None:
    check = at_horizon({b"a": seen})
    assert check.verdict == FAIL and ("hole", "a", 10, 10) in places(check)
    assert at_horizon({b"a": seen}, chain=ADMIN).verdict == FAIL


@pytest.mark.mutation
def test_dropping_a_month_that_retention_keeps_moves_no_horizon() -> None:
    check = at_horizon({b"a": ingested((5, 9, AUGUST), (11, 30, AUGUST))}, ["audit_events_y2026m08"])
    assert check.verdict == FAIL


def test_finds_the_first_number_that_the_journal_knows() -> None:
    blocks = [
        block("may", 7, 9),
        block("april", 3, 6),
        block("may", 1, 1, chain="admin"),
        block("may", 1, 1, block="-"),
        block("may", 5, 5, zone="b"),
    ]
    assert chain_gaps.known_from(AUDIT, blocks) == {"a": 3, "b": 5}
    assert chain_gaps.known_from(AUDIT, []) == {}


@pytest.mark.mutation
def test_duplicate_number_fails() -> None:
    check = sequence({b"a": zone((1, 9), twice=[3, 4, 8])})
    assert (check.verdict, places(check)) == (FAIL, [("duplicate", "a", 3, 4), ("duplicate", "a", 8, 8)])


@pytest.mark.mutation
def test_events_without_number_are_unproven_and_old_admin_rows_are_not() -> None:
    seen = {b"a": zone((1, 9), unnumbered=2)}
    check = sequence(seen)
    assert (check.verdict, places(check), check.details["rows"]) == (UNPROVEN, [("unnumbered", "a", 0, 0)], 9)
    assert sequence(seen, chain=ADMIN).verdict == PASS


@pytest.mark.no_false_alarm
def test_dropped_partition_accounts_for_its_numbers() -> None:
    check = sequence({b"a": zone((5, 9), (12, 12))}, [block("may", 1, 4), block("june", 10, 11)])
    assert (check.verdict, check.details["accounted_for"]) == (PASS, 6)
    assert check.message.endswith("; 6 numbers are in dropped partitions")


@pytest.mark.mutation
@pytest.mark.parametrize(
    "dropped",
    [
        block("may", 1, 4, rows=3),
        block("may", 1, 3),
        block("may", 2, 5, rows=4),
        block("may", 1, 4, zone="b"),
        block("may", 1, 4, chain="admin"),
        block("may", 1, 4, block="-"),
        block("may", BLOCK_ROWS + 1, BLOCK_ROWS + 4),
    ],
    ids=["fewer rows", "fewer numbers", "other numbers", "other zone", "other chain", "no numbers", "other block"],
)
def test_partition_with_other_numbers_accounts_for_none(dropped: Block) -> None:
    check = sequence({b"a": zone((5, 9))}, [dropped])
    assert (check.verdict, places(check)) == (UNPROVEN, [("late_beginning", "a", 1, 4)])


CUTS = st.integers(1, 3 * BLOCK_ROWS) | st.integers(1, 3).flatmap(
    lambda number: st.integers(number * BLOCK_ROWS - 2, number * BLOCK_ROWS + 2)
)


def lines_of(leaf: str, ranges: t.Sequence[Range]) -> list[Block]:
    """Return the journal's lines of a partition that contained these numbers."""
    found = []
    for number in range(4):
        low, high = number * BLOCK_ROWS + 1, (number + 1) * BLOCK_ROWS
        inside = [(max(low, start), min(high, end)) for start, end in ranges if start <= high and end >= low]
        if inside:
            rows = sum(end - start + 1 for start, end in inside)
            found.append(block(leaf, inside[0][0], inside[-1][1], rows, block=str(number)))
    return found


@given(st.sets(CUTS, min_size=1, max_size=9), st.data())
@settings(max_examples=200)
def test_dropped_partitions_account_for_exactly_their_numbers(cuts: set[int], data: st.DataObject) -> None:
    ends = sorted(cuts)
    stretches = list(zip([1, *(end + 1 for end in ends)], [*ends, 3 * BLOCK_ROWS + 9], strict=True))
    fates = data.draw(st.lists(st.sampled_from([KEPT, "may", "june", DELETED]), min_size=len(ends), max_size=len(ends)))
    held: dict[str, list[Range]] = {}
    for stretch, fate in zip(stretches, [*fates, KEPT], strict=True):
        held.setdefault(fate, []).append(stretch)
    merged: list[Range] = []
    for low, high in held[KEPT]:
        if merged and merged[-1][1] + 1 == low:
            merged[-1] = merged[-1][0], high
        else:
            merged.append((low, high))
    dropped = [line for leaf in ("may", "june") for line in lines_of(leaf, held.get(leaf, []))]
    seen = {b"a": zone(*merged)}
    check = sequence(seen, dropped)
    gone = held.get(DELETED, [])
    assert (check.verdict == PASS) == (not gone)
    assert chain_gaps.all_explained(AUDIT, chain_gaps.gaps(seen, {}), dropped) == (not gone)
    found = [(low, high) for _kind, _zone, low, high in places(check)]
    assert all(any(low <= start and end <= high for low, high in found) for start, end in gone)


@pytest.mark.mutation
def test_very_large_forged_number_is_reported_at_once() -> None:
    seen = {b"a": zone((1, 9), (1 << 62, 1 << 62))}
    started = time.monotonic()
    check = sequence(seen, [block("may", 5 * BLOCK_ROWS + 3, 5 * BLOCK_ROWS + 4)])
    assert (check.verdict, places(check)) == (FAIL, [("hole", "a", 10, (1 << 62) - 1)])
    assert not chain_gaps.all_explained(AUDIT, chain_gaps.gaps(seen, {}), [])
    assert time.monotonic() - started < PATIENCE


def leaves(*months: tuple[int, int]) -> list[LeafFacts]:
    return [LeafFacts(f"audit_events_y{year:04d}m{month:02d}", (year, month), 5) for year, month in months]


DEFAULT = LeafFacts("audit_events_default", None, 0)


@pytest.mark.no_false_alarm
def test_partitions_without_a_gap_pass() -> None:
    check = chain_gaps.partitions([*leaves((2025, 12), (2026, 1), (2026, 2)), DEFAULT], {b"a": zone((1, 9))}, [], (2025, 6), 365)
    assert (check.id, check.verdict, check.details["leaves"]) == ("audit.partitions", PASS, 4)
    assert chain_gaps.partitions([], {}, [], (2025, 6), 365).verdict == PASS


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("found", "lost", "verdict", "place"),
    [
        ([LeafFacts("audit_events_default", None, 2)], [], WARN, ("default_rows", "audit_events_default")),
        (leaves((2025, 12), (2026, 2)), [], WARN, ("leaf_missing", "audit_events_y2026m01")),
        (leaves((2025, 12), (2026, 2)), ["audit_events_y2026m01"], FAIL, ("leaf_dropped", "audit_events_y2026m01")),
        (leaves((2026, 2)), ["audit_events_y2025m06"], FAIL, ("leaf_dropped", "audit_events_y2025m06")),
        (leaves((2026, 2)), ["audit_events_default"], FAIL, ("leaf_dropped", "audit_events_default")),
    ],
)
def test_reports_missing_partitions_and_default_rows(found: list[LeafFacts], lost: list[str], verdict: str, place: tuple[str, str]) -> None:
    check = chain_gaps.partitions(found, {}, lost, (2025, 6), 365)
    assert (check.verdict, [(one["kind"], one["leaf"]) for one in check.details["positions"]]) == (verdict, [place])


@pytest.mark.no_false_alarm
def test_partition_below_the_retention_horizon_may_be_dropped() -> None:
    assert chain_gaps.partitions(leaves((2026, 2)), {}, ["audit_events_y2025m05"], (2025, 6), 365).verdict == PASS


@pytest.mark.mutation
def test_row_in_another_partition_fails() -> None:
    seen = zone((1, 9))
    seen.misplaced.add(4, 5)
    check = chain_gaps.partitions(leaves((2026, 2)), {b"a": seen}, [], (2025, 6), 365)
    assert (check.verdict, places(check)) == (FAIL, [("misplaced", "a", 4, 5)])


@pytest.mark.parametrize(
    ("leaf", "month"),
    [
        ("audit_events_y2026m06", (2026, 6)),
        ("audit_events_default", None),
        ("audit_events_y2026", None),
        ("audit_events_y26m06", None),
        ("audit_events_yABCDm06", None),
        ("_y2026m06", None),
    ],
)
def test_month_of_a_partition_name(leaf: str, month: tuple[int, int] | None) -> None:
    assert chain_gaps.month_of(leaf) == month


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("rows", "events", "verdict"), [(None, 5, None), (1, 5, PASS), (1, 0, PASS), (0, 0, PASS), (0, 5, FAIL), (2, 5, FAIL)]
)
def test_rehash_marker_must_exist_exactly_once(rows: int | None, events: int, verdict: str | None) -> None:
    check = chain_gaps.rehash_marker(rows, events)
    assert (check.verdict if check else None) == verdict
