# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import audit_blocks, block_history
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.audit_blocks import BLOCK_ROWS, Block, Collector
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.audit_chains import AUDIT
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, UNPROVEN, Check
from unit.plugins.module_utils._caracal import oracle

COLUMNS = sorted({*oracle.CONTENT, *oracle.CHAIN})


@dataclasses.dataclass(frozen=True)
class Event:
    """A row: its leaf, zone, number and one column of each kind."""

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
    """What a reading gives; with `head`, only of rows up to that number."""
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


def compare(now: t.Sequence[Event], leaves: t.Collection[str] = LEAVES, before: t.Sequence[Event] = BEFORE) -> Check:
    def reread(block: Block, head: int) -> Block | None:
        found = [one for one in blocks_of(now, head) if one.key == block.key]
        return found[0] if found else None

    return block_history.compare(blocks_of(before), blocks_of(now), leaves, reread, "20260617T123000Z-abcd")


def swap(events: t.Sequence[Event], number: int, **values: t.Any) -> list[Event]:
    return [dataclasses.replace(event, **values) if index == number else event for index, event in enumerate(events)]


def test_heads_are_the_highest_numbers_of_chain_and_zone() -> None:
    assert block_history.heads(blocks_of(BEFORE)) == {("audit", "a"): 8, ("audit", "b"): BLOCK_ROWS + 1}
    assert block_history.heads(blocks_of([Event("may", "a", None)])) == {}


@pytest.mark.no_false_alarm
def test_the_same_rows_pass() -> None:
    check = compare(BEFORE)
    assert (check.id, check.verdict, check.required) == ("blocks.journal", PASS, False)
    assert check.message == f"{len(blocks_of(BEFORE))} audit blocks as in set 20260617T123000Z-abcd"


@pytest.mark.no_false_alarm
def test_growth_above_the_heads_passes() -> None:
    more = [
        *(Event("june", "a", number) for number in range(9, 40)),
        *(Event("july", "a", number) for number in range(40, 50)),
        *(Event("june", "b", number) for number in range(BLOCK_ROWS + 2, BLOCK_ROWS + 9)),
        *(Event("july", "new", number) for number in range(1, 4)),
    ]
    check = compare([*BEFORE, *more])
    assert (check.verdict, check.details["differences"], check.details["unproven"]) == (PASS, [], [])


@pytest.mark.no_false_alarm
def test_a_leaf_that_was_dropped_is_accounted_for() -> None:
    check = compare([event for event in BEFORE if event.leaf != "may"], leaves=("june", "july"))
    assert (check.verdict, check.details["dropped_leaves"]) == (PASS, ["may"])


FAULTS: dict[str, tuple[list[Event], str]] = {
    "content": (swap(BEFORE, 1, decision="deny"), "chain of zone a, leaf may, block 0: content was changed"),
    "chain columns": (swap(BEFORE, 1, hmac="k"), "zone a, leaf may, block 0: chain columns were changed, the content is the same"),
    "row removed": (BEFORE[:1] + BEFORE[2:], "zone a, leaf may, block 0: 1 of 5 rows are gone"),
    "rows of a zone gone": (
        [one for one in BEFORE if (one.leaf, one.zone) != ("may", "b")],
        "zone b, leaf may, block 0: its 5 rows are gone",
    ),
    "leaf emptied": ([one for one in BEFORE if one.leaf != "may"], "zone a, leaf may, block 0: its 5 rows are gone"),
    "row put in": ([*BEFORE, Event("may", "a", 3, "forged")], "zone a, leaf may, block 0: rows were put in below the head of then"),
    "row put in, another grown": (
        [*BEFORE, Event("june", "a", 7, "forged"), Event("june", "a", 9)],
        "zone a, leaf june, block 0: rows were put in below the head of then",
    ),
    "row put into a new leaf": ([*BEFORE, Event("july", "a", 4)], "zone a, leaf july, block 0: rows were put in below the head of then"),
    "row replaced, another grown": (
        [*(one for one in BEFORE if (one.leaf, one.sequence) != ("june", 7)), Event("june", "a", 9)],
        "zone a, leaf june, block 0: 1 of 3 rows are gone",
    ),
    "content under a grown block": ([*swap(BEFORE, 11, decision="deny"), Event("june", "a", 9)], "leaf june, block 0: content was changed"),
    "all old rows of a grown block gone": (
        [*(one for one in BEFORE if (one.leaf, one.zone) != ("june", "a")), Event("june", "a", 9)],
        "zone a, leaf june, block 0: its 3 rows are gone",
    ),
    "row without number gone": (BEFORE[:-1], "zone a, leaf june, block -: its 1 rows are gone"),
    "row without number changed": (swap(BEFORE, len(BEFORE) - 1, decision="deny"), "block -: rows are missing or changed"),
    "row moved to another leaf": (swap(BEFORE, 1, leaf="june"), "zone a, leaf june, block 0: rows were put in below the head of then"),
}


@pytest.mark.mutation
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_below_a_head_is_found_and_named(fault: str) -> None:
    now, words = FAULTS[fault]
    check = compare(now)
    assert check.verdict == FAIL
    assert any(words in one for one in check.details["differences"]), check.details
    assert check.message == f"audit rows changed since set 20260617T123000Z-abcd; first: {check.details['differences'][0]}"


@pytest.mark.mutation
def test_a_fault_beside_a_dropped_leaf_is_found() -> None:
    now = [event for event in swap(BEFORE, 11, decision="deny") if event.leaf != "may"]
    check = compare(now, leaves=("june", "july"))
    assert (check.verdict, check.details["dropped_leaves"]) == (FAIL, ["may"])


@pytest.mark.mutation
@pytest.mark.parametrize("zone", ["a", "new"])
def test_more_rows_without_number_are_unproven(zone: str) -> None:
    check = compare([*BEFORE, Event("june", zone, None, "other")])
    assert check.verdict == UNPROVEN
    assert check.message == f"rows without sequence number cannot be compared; first: audit chain of zone {zone}, leaf june, block -: grew"


@pytest.mark.mutation
def test_without_an_earlier_set_nothing_is_proved() -> None:
    check = compare(BEFORE, before=[])
    assert (check.verdict, check.message) == (UNPROVEN, "no earlier set has audit blocks; from now on they bind every row")


@pytest.mark.mutation
def test_many_differences_are_not_all_told() -> None:
    before = [Event("may", f"z{number:03}", 1) for number in range(60)]
    check = compare([dataclasses.replace(one, decision="deny") for one in before], before=before)
    assert len(check.details["differences"]) == 50
    assert audit_blocks.BLOCK_ROWS == 65536
