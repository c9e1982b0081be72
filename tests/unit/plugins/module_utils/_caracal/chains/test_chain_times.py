# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times of audit rows: a healthy deployment's times pass, and a changed time is found at its row."""

from __future__ import annotations

import random
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import chain_examiner, chain_times, chain_verdict
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_chains import AUDIT
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.chain_examiner import Seen
from twin.dice import uuid7
from unit.plugins.module_utils._caracal.chains.chain_rows import START, Row, events, examine, when

SECOND, DAY = 1_000_000, 86_400_000_000
ALLOWED = chain_times.ALLOWANCE * SECOND
CHANCE = random.Random(46)


def rows(count: int = 9, **changes: t.Callable[[int], str | None]) -> list[Row]:
    """Return a healthy chain of token exchanges ten minutes apart. The ID of each row has the event's time, as in a service."""
    made = events(count)
    for number, row in enumerate(made):
        occurred = at(number)
        row |= {"id": uuid7(occurred // 1000, CHANCE.getrandbits(74)), "occurred_at": when(occurred), "ingested_at": when(occurred + 5000)}
        row |= {name: change(number) for name, change in changes.items()}
    return made


def at(number: int) -> int:
    return START + number * 600 * SECOND


def found(seen: Seen, allowance: int = chain_times.ALLOWANCE) -> set[tuple[str, int, int]]:
    check = chain_verdict.times(seen, allowance)
    kinds = {(one["kind"], one["low"], one["high"]) for one in check.details["positions"]}
    assert check.verdict == ("fail" if kinds else "pass") and check.required
    return kinds


def ingested(number: int, moved: int) -> t.Callable[[int], str]:
    """Return a function for ingestion times in which row `number` was ingested `moved` microseconds after its event."""
    return lambda index: when(at(index) + (moved if index == number else 5000))


HEALTHY: dict[str, list[Row]] = {
    "as usual": rows(),
    "events replayed after three days": rows(ingested_at=lambda number: when(at(100) + 3 * DAY + number)),
    "one late event among others": sorted(
        rows(ingested_at=lambda number: when(at(number) + (DAY if number == 0 else DAY + 5000))), key=lambda row: str(row["ingested_at"])
    ),
    "a database whose clock is 40 seconds behind": rows(ingested_at=lambda number: when(at(number) - 40 * SECOND)),
    "a database whose clock is 40 seconds ahead": rows(ingested_at=lambda number: when(at(number) + 40 * SECOND)),
    "two replicas whose inserts began in another order": rows(ingested_at=lambda number: when(at(9) + (number ^ 1) * SECOND)),
    "ids of a clock that was set a minute earlier": rows(id=lambda number: uuid7(at(number) // 1000 + 60_000, CHANCE.getrandbits(74))),
    "ids that are not UUIDv7": rows(id=lambda number: f"{number:032x}"),
    "ids of callers": rows(id=lambda number: uuid7(at(0) // 1000 - 9_000_000, number + 1), event_type=lambda _number: "control.invoke"),
}


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_history_has_no_finding(name: str) -> None:
    healthy = [{**row, "chain_seq": str(number)} for number, row in enumerate(HEALTHY[name], 1)]
    assert found(examine(healthy, recompute=False, bounds=None)) == set()


# Rows count from 0, positions from 1.
MOVED: dict[str, tuple[list[Row], set[tuple[str, int, int]]]] = {
    "ingested an hour later": (rows(ingested_at=ingested(4, 3600 * SECOND)), {("ingested_backwards", 6, 6)}),
    "ingested an hour earlier": (
        rows(ingested_at=ingested(4, -3600 * SECOND)),
        {("ingested_early", 5, 5), ("ingested_backwards", 5, 5)},
    ),
    "ingested before the event": (rows(ingested_at=ingested(4, -ALLOWED - SECOND)), {("ingested_early", 5, 5)}),
    "the last row ingested before the event": (rows(ingested_at=ingested(8, -ALLOWED - SECOND)), {("ingested_early", 9, 9)}),
    "every row ingested before its event": (rows(ingested_at=lambda number: when(at(number) - DAY)), {("ingested_early", 1, 9)}),
    "an event moved forward, with its ingestion": (
        rows(occurred_at=lambda number: when(at(number) + (400 * SECOND if number == 4 else 0)), ingested_at=ingested(4, 401 * SECOND)),
        {("id_of_another_time", 5, 5)},
    ),
    "an event moved back": (
        rows(occurred_at=lambda number: when(at(number) - (DAY if number == 4 else 0))),
        {("id_of_another_time", 5, 5)},
    ),
    "an event without an end": (
        rows(occurred_at=lambda number: "infinity" if number == 4 else when(at(number))),
        {("ingested_early", 5, 5), ("id_of_another_time", 5, 5)},
    ),
    "ingestion without an end": (
        rows(ingested_at=lambda number: "infinity" if number == 4 else when(at(number) + 5000)),
        {("ingested_backwards", 6, 6)},
    ),
}


@pytest.mark.mutation
@pytest.mark.parametrize("name", MOVED)
def test_a_time_that_was_moved_is_found_at_its_row(name: str) -> None:
    moved, expected = MOVED[name]
    assert found(examine(moved, recompute=False, bounds=None)) == expected


@pytest.mark.mutation
@pytest.mark.parametrize("name", MOVED)
def test_parallel_readers_in_any_order_find_the_same_rows(name: str) -> None:
    moved, expected = MOVED[name]
    parts = [moved[1::2][::-1], moved[::2]]
    assert found(chain_examiner.merge(examine(part, recompute=False, bounds=None) for part in parts)) == expected


def test_operator_can_set_the_allowance() -> None:
    moved = MOVED["ingested an hour later"][0]
    wide = 2 * 3600
    seen = examine(moved, recompute=False, bounds=None, allowance=wide)
    assert found(chain_examiner.merge([seen], wide), wide) == set()


def test_times_of_rows_without_numbers_are_unproven() -> None:
    seen = examine(rows(chain_seq=lambda _number: None), recompute=False)
    assert chain_verdict.times(seen, 300).verdict == "unproven"


def test_event_types_with_caller_ids_are_not_compared() -> None:
    assert b"control.invoke" not in chain_times.WITH_OWN_ID
    assert {"ingested_at", "occurred_at", "event_type", "id"} <= AUDIT.columns
