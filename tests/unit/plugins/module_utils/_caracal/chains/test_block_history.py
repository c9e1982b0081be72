# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import audit_blocks, block_history
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_blocks import BLOCK_ROWS, Block, Collector
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_chains import AUDIT
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.block_history import Baseline
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.releases import Detected
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, UNPROVEN, WARN, Check
from unit.plugins.module_utils._caracal.chains import oracle

COLUMNS = sorted({*oracle.CONTENT, *oracle.CHAIN})


@dataclasses.dataclass(frozen=True)
class Event:
    """A row: its partition, zone, number and one column of each kind."""

    leaf: str
    zone: str
    sequence: int | None
    decision: str = "allow"
    hmac: str = "h"

    def line(self) -> bytes:
        row = dict.fromkeys(COLUMNS, "x")
        row.update(id=f"{self.zone}{self.sequence}", zone_id=self.zone, decision=self.decision, chain_hmac=self.hmac)
        row["chain_seq"] = r"\N" if self.sequence is None else str(self.sequence)
        return "\t".join(row[column] for column in COLUMNS).encode() + b"\n"


def blocks_of(events: t.Iterable[Event], head: int | None = None) -> list[Block]:
    """Return the blocks of a pass. With `head`, only rows up to that number count."""
    found: list[Block] = []
    kept = [event for event in events if head is None or (event.sequence or 0) <= head]
    for leaf in sorted({event.leaf for event in kept}):
        collector = Collector(AUDIT, leaf, COLUMNS)
        for event in kept:
            if event.leaf == leaf:
                collector.write(event.line())
        found += collector.finish()
    return found


BEFORE = [
    *(Event("may", zone, number) for zone in ("a", "b") for number in range(1, 6)),
    *(Event("june", "a", number) for number in range(6, 9)),
    *(Event("june", "b", number) for number in (BLOCK_ROWS, BLOCK_ROWS + 1)),
    Event("june", "a", None),
]
LEAVES = ("may", "june", "july")


NAME = "set 20260617T123000Z-abcd"


def compare(
    now: t.Sequence[Event],
    leaves: t.Collection[str] = LEAVES,
    before: t.Sequence[Event] = BEFORE,
    detected: Detected | None = None,
    **known: t.Any,
) -> Check:
    def reread(block: Block, head: int) -> Block | None:
        found = [one for one in blocks_of(now, head) if one.key == block.key]
        return found[0] if found else None

    return block_history.compare(Baseline(tuple(blocks_of(before)), NAME, **known), blocks_of(now), leaves, reread, detected)


def positions(check: Check) -> list[tuple[str, str, str, int, int, str]]:
    return [tuple(one[name] for name in ("kind", "zone", "leaf", "low", "high", "says")) for one in check.details["positions"]]


def swap(events: t.Sequence[Event], number: int, **values: t.Any) -> list[Event]:
    return [dataclasses.replace(event, **values) if index == number else event for index, event in enumerate(events)]


def test_heads_are_the_highest_numbers_of_chain_and_zone() -> None:
    assert block_history.heads(blocks_of(BEFORE)) == {("audit", "a"): 8, ("audit", "b"): BLOCK_ROWS + 1}
    assert block_history.heads(blocks_of([Event("may", "a", None)])) == {}


@pytest.mark.no_false_alarm
def test_the_same_rows_pass() -> None:
    check = compare(BEFORE)
    assert (check.id, check.verdict, check.required) == ("blocks.journal", PASS, True)
    assert check.message == f"{len(blocks_of(BEFORE))} audit blocks match the blocks recorded in set 20260617T123000Z-abcd"


@pytest.mark.no_false_alarm
def test_growth_above_the_heads_passes() -> None:
    more = [
        *(Event("june", "a", number) for number in range(9, 40)),
        *(Event("july", "a", number) for number in range(40, 50)),
        *(Event("june", "b", number) for number in range(BLOCK_ROWS + 2, BLOCK_ROWS + 9)),
        *(Event("july", "new", number) for number in range(1, 4)),
    ]
    check = compare([*BEFORE, *more])
    assert (check.verdict, check.details["positions"]) == (PASS, [])


@pytest.mark.no_false_alarm
def test_dropped_partition_is_listed_and_passes() -> None:
    check = compare([event for event in BEFORE if event.leaf != "may"], leaves=("june", "july"))
    assert (check.verdict, check.details["dropped_leaves"]) == (PASS, ["may"])


def without(*numbers: tuple[str, int]) -> list[Event]:
    return [event for event in BEFORE if (event.zone, event.sequence) not in numbers]


GROWN = Event("june", "a", 9)
PUT_IN = "rows were inserted below the head that was recorded"
Position = tuple[str, str, str, int, int, str]
FAULTS: dict[str, tuple[list[Event], Position]] = {
    "content": (swap(BEFORE, 1, decision="deny"), ("block_edited", "a", "may", 1, 5, "content was changed")),
    "chain columns": (
        swap(BEFORE, 1, hmac="k"),
        ("block_chain_changed", "a", "may", 1, 5, "the chain columns were changed, but the content is the same"),
    ),
    "row removed": (without(("a", 2)), ("block_missing_rows", "a", "may", 1, 5, "1 of 5 rows are missing")),
    "first row removed": (without(("a", 1)), ("block_missing_rows", "a", "may", 1, 5, "1 of 5 rows are missing")),
    "rows of a zone gone": (
        [one for one in BEFORE if (one.leaf, one.zone) != ("may", "b")],
        ("block_missing_rows", "b", "may", 1, 5, "its 5 rows are missing"),
    ),
    "leaf emptied": ([one for one in BEFORE if one.leaf != "may"], ("block_missing_rows", "a", "may", 1, 5, "its 5 rows are missing")),
    "row put in": ([*BEFORE, Event("may", "a", 3, "forged")], ("block_added_rows", "a", "may", 1, 5, PUT_IN)),
    "row put in, another grown": (
        [*BEFORE, Event("june", "a", 7, "forged"), GROWN],
        ("block_added_rows", "a", "june", 6, 8, PUT_IN),
    ),
    "row put into a new leaf": ([*BEFORE, Event("july", "a", 4)], ("block_added_rows", "a", "july", 4, 4, PUT_IN)),
    "row replaced, another grown": (
        [*without(("a", 7)), GROWN],
        ("block_missing_rows", "a", "june", 6, 8, "1 of 3 rows are missing"),
    ),
    "content under a grown block": (
        [*swap(BEFORE, 11, decision="deny"), GROWN],
        ("block_edited", "a", "june", 6, 8, "content was changed"),
    ),
    "all old rows of a grown block gone": (
        [*without(("a", 6), ("a", 7), ("a", 8)), GROWN],
        ("block_missing_rows", "a", "june", 6, 8, "its 3 rows are missing"),
    ),
    "row without number gone": (BEFORE[:-1], ("block_missing_rows", "a", "june", 0, 0, "its 1 rows are missing")),
    "row without number changed": (
        swap(BEFORE, len(BEFORE) - 1, decision="deny"),
        ("block_edited", "a", "june", 0, 0, "content was changed"),
    ),
    "row moved to another leaf": (swap(BEFORE, 1, leaf="june"), ("block_added_rows", "a", "june", 2, 8, PUT_IN)),
    "tail cut by one": (without(("a", 8)), ("truncated", "a", "", 8, 8, "truncated: the head is 7, but the journal records 8")),
    "tail cut across leaves": (
        without(("a", 4), ("a", 5), ("a", 6), ("a", 7), ("a", 8)),
        ("truncated", "a", "", 4, 8, "truncated: the head is 3, but the journal records 8"),
    ),
    "only rows without number left": (
        [one for one in BEFORE if one.zone == "b" or one.sequence is None],
        ("truncated", "a", "", 1, 8, "truncated: the head is 0, but the journal records 8"),
    ),
    "zone gone": (
        [one for one in BEFORE if one.zone != "b"],
        ("zone_gone", "b", "", 1, BLOCK_ROWS + 1, "zone b has no rows, although the journal records 7 rows"),
    ),
}


@pytest.mark.mutation
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_below_a_head_is_found_and_named(fault: str) -> None:
    now, position = FAULTS[fault]
    check = compare(now)
    assert check.verdict == FAIL
    assert position in positions(check)
    assert check.message.startswith(f"audit rows differ from {NAME}: audit chain of zone "), check.message


@pytest.mark.mutation
@pytest.mark.parametrize("fault", ["tail cut by one", "tail cut across leaves", "zone gone", "content", "row put in"])
def test_one_fault_is_one_finding(fault: str) -> None:
    assert len(positions(compare(FAULTS[fault][0]))) == 1


@pytest.mark.mutation
def test_finds_a_fault_next_to_a_dropped_partition() -> None:
    now = [event for event in swap(BEFORE, 11, decision="deny") if event.leaf != "may"]
    check = compare(now, leaves=("june", "july"))
    assert (check.verdict, check.details["dropped_leaves"]) == (FAIL, ["may"])


@pytest.mark.no_false_alarm
def test_dropped_partition_may_have_contained_the_head() -> None:
    check = compare([event for event in BEFORE if event.leaf == "may"], leaves=("may",))
    assert (check.verdict, check.details["dropped_leaves"]) == (PASS, ["june"])


@pytest.mark.mutation
@pytest.mark.parametrize("zone", ["a", "new"])
def test_more_rows_without_number_are_unproven(zone: str) -> None:
    check = compare([*BEFORE, Event("june", zone, None, "other")])
    assert check.verdict == UNPROVEN
    assert [one[:2] for one in positions(check)] == [("unnumbered_rows", zone)]
    assert (check.details["acknowledged"], check.details.get("recorded", [])) == (0, [])
    assert "new rows cannot be distinguished from old ones" in check.message


@pytest.mark.mutation
def test_unproven_without_an_earlier_set() -> None:
    check = compare(BEFORE, before=[])
    words = "no earlier set or checkpoint has audit blocks; new audit blocks cover every row from now on"
    assert (check.verdict, check.message) == (UNPROVEN, words)


@pytest.mark.mutation
def test_unreadable_newest_blocks_are_reported() -> None:
    check = compare(BEFORE, problem="its file was altered")
    assert (check.verdict, check.message.split(": ")[0]) == (UNPROVEN, f"compared only with {NAME}, because its file was altered")
    assert compare(BEFORE, before=[], problem="its file was altered").message.startswith("nothing to compare with: its file was altered")
    assert compare(swap(BEFORE, 1, decision="deny"), problem="its file was altered").verdict == FAIL


OLD, NEW = ("2026-06-04", "v2026.06.21")
REHASHED = [dataclasses.replace(event, hmac="new") for event in BEFORE]


def after(today: str | None, now: t.Sequence[Event] = REHASHED, family: str = "zone_kek", **known: t.Any) -> Check:
    known = {"family": "zone_kek", "release": OLD, **known}
    return compare(now, detected=Detected(family, today, ()), **known)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("release", [NEW, "v2026.06.25-rc.1"])
def test_chain_rehashed_by_a_new_release_is_a_warning(release: str) -> None:
    check = after(release, [*REHASHED, GROWN])
    assert (check.verdict, {kind for kind, *_rest in positions(check)}) == (WARN, {"reanchored"})


@pytest.mark.mutation
@pytest.mark.parametrize(
    "check",
    [
        after(OLD),
        after(None),
        after(NEW, release=NEW),
        after("v2026.06.25-rc.1", release=NEW),
        after("v1.0.0", family="secret_store"),
        after("v1.0.0", family="secret_store", release="v0.1.0"),
        after(NEW, release=None),
        after(NEW, swap(REHASHED, 1, decision="deny")),
        after(NEW, [*REHASHED, Event("may", "a", 3, "forged", "new")]),
        after(NEW, [one for one in REHASHED if one.zone != "b"]),
    ],
)
def test_rehashed_chain_fails_in_all_other_cases(check: Check) -> None:
    assert check.verdict == FAIL


@pytest.mark.mutation
def test_reports_at_most_fifty_differences() -> None:
    before = [Event("may", f"z{number:03}", 1) for number in range(60)]
    check = compare([dataclasses.replace(one, decision="deny") for one in before], before=before)
    assert (len(check.details["positions"]), check.details["findings"]) == (50, 60)
    assert audit_blocks.BLOCK_ROWS == 65536
