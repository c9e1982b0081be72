# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupError,
    ObjectMissing,
    OptionError,
    TamperedData,
    VerificationFailed,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout, selection
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.catalog import SetRecord
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.entry import Entry
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.selection import Chosen, Drilled

NOW = datetime.datetime(2026, 11, 25, 2, 30, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


def an_entry(sequence: int, kind: str, body: dict[str, t.Any], subjects: dict[str, str], age: datetime.timedelta) -> Entry:
    return Entry(sequence, "00" * 32, None, kind, subjects, {}, "x@prod", "host", body, NOW - age)


def a_set(number: int, age: float) -> SetRecord:
    """Return the record of a set. Arguments are its journal number and its age in days."""
    set_id = f"20261101T000000Z-{number:04d}"
    key = layout.manifest_key(set_id)
    return SetRecord(an_entry(number, entries.SET, {"set": set_id}, {key: "11" * 32}, age * DAY), set_id, "11" * 32)


def a_drill(number: int, of: SetRecord, verdict: str = "pass") -> Drilled:
    body = {"drill": f"20261102T000000Z-{number:04d}", "set": of.set_id, "verdict": verdict, "counts": {}, "waived": []}
    (found,) = selection.drills([an_entry(number, entries.DRILL, body, {layout.manifest_key(of.set_id): "11" * 32}, DAY)])
    return found


def choose(
    sets: t.Sequence[SetRecord], drills: t.Sequence[Drilled] = (), way: str = "random", days: float | None = None, seed: bytes = b""
) -> Chosen:
    return selection.choose(sets, drills, way, now=NOW, within=None if days is None else days * DAY, seed=seed)


OLD, MIDDLE, NEW = SETS = [a_set(2, 40), a_set(5, 10), a_set(9, 1)]


def test_newest_and_oldest_are_so_by_number_and_within_the_time() -> None:
    backdated = a_set(11, 300)
    assert choose(SETS, way="latest").record is NEW and choose(SETS, way="oldest").record is OLD
    assert choose(SETS, way="oldest", days=30).record is MIDDLE
    assert choose([*SETS, backdated], way="latest").record is backdated, "a wrong clock does not decide"
    assert choose([*SETS, backdated], way="latest", days=30).record is NEW


def test_a_set_is_found_by_its_id() -> None:
    assert choose(SETS, way=MIDDLE.set_id).record is MIDDLE


def test_set_without_conclusive_drill_is_selected_first() -> None:
    chosen = choose(SETS, [a_drill(10, OLD), a_drill(11, NEW, "fail")])
    assert chosen.record is MIDDLE and chosen.reason == "at random, one of 1 never tested sets"
    assert choose(SETS, [a_drill(10, OLD), a_drill(11, NEW), a_drill(12, MIDDLE, "unproven")]).record is MIDDLE, "it proved nothing"


def test_then_what_was_tested_longest_ago() -> None:
    drills = [a_drill(number, one) for number, one in enumerate([NEW, OLD, MIDDLE, NEW], 10)]
    chosen = choose(SETS, drills)
    assert chosen.record is OLD and drills[1].drill_id in chosen.reason
    assert choose(SETS, drills, days=30).record is MIDDLE
    assert choose(SETS, [*drills, a_drill(20, OLD, "unproven")]).record is OLD, "a drill that proved nothing is none"


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("sets", "way", "days", "kind", "words"),
    [
        ([], "latest", None, ObjectMissing, "run a backup first"),
        ([], "random", 3, ObjectMissing, "run a backup first"),
        (SETS, "latest", 0.5, VerificationFailed, f"{NEW.set_id} is 24.0 hours old, more than 12"),
        (SETS, "random", 0.5, VerificationFailed, "choose a longer time"),
        (SETS, "20261101T000000Z-zzzz", None, ObjectMissing, "20261101T000000Z-zzzz"),
        (SETS, "newest", None, OptionError, "'newest'"),
    ],
)
def test_selection_without_match_is_reported(
    sets: list[SetRecord], way: str, days: float | None, kind: type[BackupError], words: str
) -> None:
    with pytest.raises(BackupError) as raised:
        choose(sets, way=way, days=days)
    assert raised.type is kind and words in raised.value.msg


@pytest.mark.mutation
@pytest.mark.parametrize("body", [{}, {"drill": "d", "set": "x", "verdict": "pass"}, {"drill": "d", "set": OLD.set_id, "verdict": 1}])
def test_invalid_drill_entry_is_refused(body: dict[str, t.Any]) -> None:
    with pytest.raises(TamperedData, match="entry 7"):
        selection.drills([an_entry(7, entries.DRILL, body, {layout.manifest_key(NEW.set_id): "11" * 32}, DAY)])


WORLDS = st.lists(st.tuples(st.floats(0, 100), st.lists(st.sampled_from(["pass", "fail", "unproven"]), max_size=3)), min_size=1, max_size=8)


def world(given_ones: list[tuple[float, list[str]]]) -> tuple[list[SetRecord], list[Drilled]]:
    sets = [a_set(number, age) for number, (age, _verdicts) in enumerate(given_ones, 2)]
    verdicts = [(one, verdict) for one, (_age, found) in zip(sets, given_ones, strict=True) for verdict in found]
    return sets, [a_drill(100 + number, one, verdict) for number, (one, verdict) in enumerate(verdicts)]


@given(WORLDS, st.floats(0.5, 100), st.binary(max_size=8), st.randoms(use_true_random=False))
def test_the_choice_is_the_same_in_any_order_and_keeps_its_rules(
    ones: list[tuple[float, list[str]]], days: float, seed: bytes, random: t.Any
) -> None:
    sets, drills = world(ones)
    fitting = [one for one in sets if NOW - one.entry.judged <= days * DAY]
    if not fitting:
        with pytest.raises(VerificationFailed):
            choose(sets, drills, days=days, seed=seed)
        return
    chosen = choose(sets, drills, days=days, seed=seed).record
    shuffled_sets, shuffled_drills = list(sets), list(drills)
    random.shuffle(shuffled_sets)
    random.shuffle(shuffled_drills)
    assert choose(shuffled_sets, shuffled_drills, days=days, seed=seed).record is chosen and chosen in fitting
    tested = {one.set_id for one in drills if one.verdict != "unproven"}
    fresh = [one for one in fitting if one.set_id not in tested]
    assert not fresh or chosen in fresh
    outside = [one for one in sets if one not in fitting]
    assert choose([one for one in sets if one not in outside], drills, days=days, seed=seed).record is chosen


@given(st.integers(1, 8), st.binary(max_size=8))
def test_every_set_has_its_turn_before_one_comes_again(count: int, seed: bytes) -> None:
    sets = [a_set(number, 1) for number in range(2, 2 + count)]
    drills: list[Drilled] = []
    for number in range(3 * count):
        drills.append(a_drill(100 + number, choose(sets, drills, seed=seed + bytes([number])).record))
    rounds = [[one.set_id for one in drills[start : start + count]] for start in range(0, 3 * count, count)]
    assert all(sorted(one) == sorted(record.set_id for record in sets) for one in rounds) and rounds[1] == rounds[2] == rounds[0]


def test_the_seed_decides_and_no_set_is_left_out() -> None:
    found = [choose(SETS, seed=str(number).encode()).record.set_id for number in range(60)]
    assert set(found) == {one.set_id for one in SETS} and found == [choose(SETS, seed=str(n).encode()).record.set_id for n in range(60)]
