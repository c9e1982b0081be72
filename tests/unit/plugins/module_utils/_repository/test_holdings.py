# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sets, drills, prunes and proofs of several ages, in a real journal with a clock that the test sets."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._report.budget import EXPOSED
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import Check
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import archive_days, holdings, layout, selection
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.archive_days import ArchiveDay
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.decisions import Escrow, Hold, Prune
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.holdings import Copy, Newest
from unit.plugins.module_utils._repository.conftest import NOW, World

DAY = dt.timedelta(days=1)
KEY = "SHA256:abc"


def verdict_of(check: Check) -> str:
    return f"{check.verdict}: {check.message}"


def manifest(world: World, number: int) -> entries.Subject:
    record = next(one for one in world.catalog().committed() if one.set_id == world.set_id(number))
    return entries.subject(layout.manifest_key(record.set_id), record.manifest_sha256)


def prune(world: World, number: int) -> None:
    body = Prune(sets={world.set_id(number): "no rule keeps it"}, keys=(), bytes=0).to_body()
    world.append(entries.PRUNE, "prune", subjects=[manifest(world, number)], body=body)
    world.store.delete(layout.dump_key(world.set_id(number), "caracal"))


def drill(world: World, number: int, verdict: str) -> None:
    body = {"drill": f"20261125T0300{number:02d}Z-dddd", "set": world.set_id(number), "verdict": verdict}
    world.append(entries.DRILL, "drill", subjects=[manifest(world, number)], body=body)


@pytest.fixture
def aged(world: World) -> World:
    """Return three sets, ten days apart. The time is ten days after the last set."""
    for number in (1, 2, 3):
        world.commit(number)
        world.clock.add(days=10)
    return world


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "fail: the journal contains no set"),
        (Newest("x", None, problem="forged"), "fail: the newest set x cannot be trusted: forged"),
        (Newest("x", NOW - 2 * DAY), "fail: the snapshot of the newest set x is 2 d old, over its budget of 1 d"),
        (Newest("x", NOW + DAY), "unproven: the snapshot of the newest set x is later than this host's clock"),
        (Newest("x", NOW + dt.timedelta(minutes=1)), "pass: the snapshot of the newest set x is 0.0 s old"),
        (Newest("x", NOW - DAY), "pass: "),
    ],
)
def test_the_newest_set(found: Newest | None, words: str) -> None:
    assert verdict_of(holdings.newest(found, NOW, DAY)).startswith(words)


@pytest.mark.mutation
def test_the_rows_that_no_signed_entry_binds(aged: World) -> None:
    def now(hours: float) -> str:
        return verdict_of(holdings.tail(holdings.covered(aged.journal()), aged.clock.now, dt.timedelta(hours=hours)))

    assert verdict_of(holdings.tail(None, NOW, DAY)).startswith("fail: no set or checkpoint covers any audit row")
    assert now(239).startswith(
        f"fail: the snapshot of set {aged.set_id(3)}, the newest that covers audit rows, is 10 d old, over its budget"
    )
    assert now(241).startswith("pass: ")
    assert EXPOSED in now(239) and EXPOSED in now(241)


@pytest.mark.mutation
def test_the_last_drill(aged: World) -> None:
    def now(days: float = 1.0) -> str:
        return verdict_of(holdings.drilled(selection.drills(aged.journal().entries), aged.clock.now, days * DAY))

    assert now().startswith("fail: no drill has passed or failed yet")
    drill(aged, 1, "unproven")
    assert now().startswith("fail: no drill has passed or failed yet"), "it told nothing"
    drill(aged, 2, "pass")
    assert now().startswith("pass: the last drill that passed, 20261125T030002Z-dddd,")
    aged.clock.add(days=3)
    assert now().startswith("fail: the last drill that passed") and now(4).startswith("pass: ")
    drill(aged, 3, "fail")
    assert now(4).startswith("fail: the last drill 20261125T030003Z-dddd of set ")


@pytest.mark.mutation
def test_sets_that_ended_too_early(aged: World) -> None:
    def now(least: int) -> str:
        journal = aged.journal()
        return verdict_of(holdings.kept_long_enough(aged.catalog().committed(), journal.entries, aged.clock.now, least))

    assert now(90) == "pass: no set was pruned at less than 90 days; sets left: 3, the oldest is 30 d old"
    prune(aged, 1)
    assert now(30).startswith("pass: no set was pruned at less than 30 days; sets left: 2, the oldest is 20 d old")
    assert now(31).startswith(f"fail: 1 set pruned at less than 31 days, first {aged.set_id(1)} at 30 d")
    aged.clock.add(days=100)
    assert now(31).startswith("fail: "), "what was ended does not come back"
    prune(aged, 2)
    prune(aged, 3)
    assert now(20).startswith("fail: every set was pruned")


@pytest.mark.mutation
def test_sets_that_are_kept_too_long(aged: World) -> None:
    def now(most: int) -> str:
        return verdict_of(holdings.not_kept_too_long(aged.catalog().sets(), aged.journal().entries, aged.clock.now, most))

    assert now(30) == "pass: none of 3 sets is older than 30 days"
    assert now(29).startswith(f"fail: 1 set older than the allowed 29 days, first {aged.set_id(1)}")
    hold = Hold(aged.set_id(1), "case 7", "held", "a court asks").to_body()
    aged.append(entries.HOLD, "operator", subjects=[manifest(aged, 1)], body=hold)
    assert now(29) == "pass: none of 3 sets is older than 29 days, except 1 on hold"
    assert now(19).startswith("fail: 1 set older")
    for number in (1, 2):
        prune(aged, number)
    # A prune does not remove a set on hold, even if its entry names the set.
    assert now(19) == "pass: none of 2 sets is older than 19 days, except 1 on hold"


@pytest.mark.mutation
def test_a_journal_without_sets_proves_nothing(world: World) -> None:
    journal, now = world.journal().entries, world.clock.now
    assert verdict_of(holdings.kept_long_enough([], journal, now, 1)) == "unproven: the journal contains no set"
    assert verdict_of(holdings.not_kept_too_long([], journal, now, 1)) == "unproven: the journal contains no set"
    assert verdict_of(holdings.archive(journal, now, DAY)).startswith("fail: the journal contains no archived export")


@pytest.mark.mutation
def test_the_age_of_the_archive(world: World) -> None:
    def now() -> str:
        return verdict_of(holdings.archive(world.journal().entries, world.clock.now, DAY))

    for hours in ((9, 22), (3, 23)):
        day = (world.clock.now - DAY).date()
        subjects = [entries.subject(f"{archive_days.folder(day)}/{day}T{hour:02d}.parquet", "0" * 64) for hour in hours]
        world.append(entries.ARCHIVE_DAY, subjects=subjects, body=ArchiveDay(day, None, None).to_body())
    assert now() == f"pass: the last archived hour {day}T23 is 2 h old, within its budget of 1 d"
    world.clock.add(hours=22, minutes=1)
    assert now().startswith(f"fail: the last archived hour {day}T23 is 1 d old, over its budget of 1 d")


@pytest.mark.mutation
def test_identities_for_emergencies(aged: World) -> None:
    last = Newest(aged.set_id(3), aged.clock.now, frozenset({frozenset({KEY, "SHA256:daily"})}))

    def now(*wanted: str, newest: Newest | None = last) -> str:
        return verdict_of(holdings.proved(wanted, newest, aged.journal().entries, aged.clock.now))

    assert now().startswith("unproven: the break-glass recipients are unknown")
    assert now("SHA256:other").startswith(
        f"fail: no artifact of the newest set {aged.set_id(3)} is encrypted for the break-glass recipient "
    )
    assert now(KEY, newest=None).startswith("fail: no artifact of any set is encrypted for")
    by_class = dataclasses.replace(last, sealed=frozenset({frozenset({KEY}), frozenset({"SHA256:secrets", "SHA256:daily"})}))
    assert now(KEY, newest=by_class).startswith(f"fail: artifacts of the newest set {aged.set_id(3)} are encrypted for SHA256:daily")
    assert now(KEY, "SHA256:secrets", newest=by_class).startswith("unproven: 2 of 2 break-glass identities")
    assert now(KEY).startswith(f"unproven: 1 of 1 break-glass identities have no recent proof, first: {KEY} (last proof: never)")
    body = Escrow(aged.set_id(3), (KEY,), 6).to_body()
    aged.append(entries.ESCROW, "operator", subjects=[manifest(aged, 3)], body=body)
    assert now(KEY).startswith("pass: 1 break-glass recipient proved within 400 days")
    assert now(KEY, "SHA256:daily").startswith("unproven: 1 of 2 break-glass identities")
    proved = aged.clock.now
    aged.clock.add(days=400)
    assert now(KEY).startswith("pass: ")
    aged.clock.add(seconds=1)
    assert now(KEY).startswith(f"unproven: 1 of 1 break-glass identities have no recent proof, first: {KEY} (last proof: {proved:%Y-%m-%d}")


@pytest.mark.mutation
def test_copies_elsewhere() -> None:
    copies = [Copy("a", NOW - DAY), Copy("b", NOW - 9 * DAY), Copy("c", NOW + DAY)]
    assert verdict_of(holdings.copies(copies, NOW, 0, 7 * DAY)).startswith("not_applicable: ")
    assert verdict_of(holdings.copies(copies, NOW, 1, 7 * DAY)).startswith("pass: 1 copy verified within 7 d")
    assert verdict_of(holdings.copies(copies, NOW, 2, 7 * DAY)).startswith("fail: 1 of 2 independent copies")
    assert verdict_of(holdings.copies(copies, NOW, 2, 10 * DAY)).startswith("pass: 2 copies verified")
