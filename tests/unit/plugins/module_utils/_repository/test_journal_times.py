# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries dated in the future, by a stolen key or a wrong clock, and corrections that revoke them."""

from __future__ import annotations

import datetime
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem, ObjectMissing, TamperedData, VerificationFailed
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import journal as journals
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout, stamps
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.catalog import Catalog
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.decisions import EVERYTHING, TIME, Correction
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.fields import timestamp
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.judging import SKEW

FAR = datetime.datetime(2099, 1, 1, tzinfo=datetime.timezone.utc)


def dated(when: datetime.datetime) -> dict[str, str | None]:
    return {"host": timestamp(when), "database": None, "store": None}


def plant(world, kind: str = "checkpoint", role: str = "backup", when: datetime.datetime = FAR, **more: t.Any) -> entries.Entry:
    """Store an entry with this time without our own code, as its signer can."""
    now, world.clock.now = world.clock.now, max(world.clock.now, when)
    try:
        assumed = {one.sequence: one.sha256 for one in world.planted}
        journal = journals.read(world.load(), world.verifier, assumed)
        made = world.append(kind, role, journal=journal, time=dated(when), **more)
    finally:
        world.clock.now = now
    world.planted.append(made)
    return made


def correct(world, *wrong: entries.Entry, what: str = TIME, role: str = "operator") -> entries.Entry:
    journal = journals.read(world.load(), world.verifier, {one.sequence: one.sha256 for one in wrong})
    correction = Correction({one.sequence: one.sha256 for one in wrong}, what, "its clock was wrong")
    return world.append(entries.CORRECTION, role, journal=journal, subjects=correction.to_subjects(), body=correction.to_body())


@pytest.fixture(autouse=True)
def _planted(world) -> None:
    world.planted = []


@pytest.mark.mutation
def test_an_entry_of_a_time_to_come_is_not_written(world) -> None:
    before = world.store.list("")
    with pytest.raises(TamperedData, match=r"is dated 2099-01-01T00:00:00Z, "):
        world.append(time=dated(FAR))
    ahead = {**dated(world.clock.now), "store": timestamp(FAR)}
    for time in (ahead, {**dated(FAR), "store": timestamp(world.clock.now)}):
        with pytest.raises(TamperedData, match="is dated 2099"):
            world.append(time=time)
    assert world.store.list("") == before
    world.append(time=dated(world.clock.now + SKEW))


@pytest.mark.mutation
def test_an_entry_of_a_time_to_come_is_not_read_and_the_message_names_it(world) -> None:
    made = plant(world)
    with pytest.raises(
        TamperedData, match=rf"0000000002.json is dated 2099.*journal_correct \(entries: {made.sequence}-{made.sha256[:16]}"
    ):
        world.journal()


@pytest.mark.mutation
def test_one_entry_of_2099_does_not_make_what_follows_fresh(world) -> None:
    world.commit(1)
    correct(world, plant(world))
    world.clock.add(days=400)
    catalog = Catalog(world.load(), world.journal(), world.verifier)
    with pytest.raises(VerificationFailed, match=r"9600.0 hours old"):
        catalog.latest(24)


@pytest.mark.mutation
def test_one_entry_of_2099_does_not_end_key_rotation(world) -> None:
    """After a correction, signatures made while a key was valid stay trusted after the key's end."""
    correct(world, plant(world))
    world.append()
    world.clock.add(days=365)
    world.allowed.write_text(world.allowed.read_text().replace("backup@prod ", 'backup@prod valid-before="20261231Z"'))
    journal = world.journal()
    assert len(journal.entries) == 4
    assert {one.judged for one in journal.entries} == {world.clock.now - datetime.timedelta(days=365)}


@pytest.mark.mutation
def test_a_retired_key_cannot_date_back_behind_an_entry_of_2099(world) -> None:
    world.clock.add(days=60)
    world.append("drill", "drill")
    correct(world, plant(world, "drill", "drill"))
    world.append(time=dated(world.clock.now - datetime.timedelta(days=50)))
    world.allowed.write_text(world.allowed.read_text().replace("backup@prod ", 'backup@prod valid-before="20261231Z"'))
    with pytest.raises(KeyProblem, match=r"0000000005.json .* not valid at 2027-01-24"):
        world.journal()


@pytest.mark.mutation
def test_only_the_operator_corrects_and_only_what_there_is(world) -> None:
    made = plant(world)
    for role in ("backup", "drill", "prune"):
        with pytest.raises(KeyProblem, match="only operator@prod may sign this kind"):
            correct(world, made, role=role)
    with pytest.raises(TamperedData, match="is dated 2099"):
        world.journal()
    correct(world, made)
    assert [one.kind for one in world.journal().entries] == ["genesis", "checkpoint", "correction"]


@pytest.mark.mutation
@pytest.mark.parametrize("digest", ["0" * 64, None])
def test_a_correction_of_an_entry_that_is_another_one_is_refused(world, digest: str | None) -> None:
    world.append()
    body = Correction({}, TIME, "x").to_body()
    name = layout.entry_key(2) if digest else layout.entry_key(4)
    with pytest.raises(TamperedData, match="names an entry that does"):
        world.append(entries.CORRECTION, "operator", subjects=[entries.subject(name, digest or "0" * 64)], body=body)


@pytest.mark.mutation
@pytest.mark.parametrize("number", [1, 3])
def test_the_beginning_and_a_correction_are_not_corrected(world, number: int) -> None:
    correct(world, world.append())
    with pytest.raises(TamperedData, match="names an entry that does"):
        correct(world, world.journal().entries[number - 1], what=EVERYTHING)


@pytest.mark.mutation
def test_entry_withdrawn_by_operator_has_no_effect(world) -> None:
    forged = world.commit(1)
    correct(world, forged, what=EVERYTHING)
    journal = world.journal()
    assert [one.kind for one in journal.entries] == ["genesis", entries.TAKEN_BACK, "correction"]
    assert journal.entries[1].sha256 == forged.sha256 and journal.of_kind("set") == []
    with pytest.raises(ObjectMissing):
        world.catalog().get(world.set_id(1))


@pytest.mark.no_false_alarm
def test_time_correction_keeps_set(world) -> None:
    correct(world, world.commit(1))
    assert world.catalog().latest(1).set_id == world.set_id(1)


@pytest.mark.mutation
def test_a_correction_is_seen_by_a_journal_that_was_read_before(world) -> None:
    made = world.commit(1)
    early = world.journal()
    correct(world, made, what=EVERYTHING)
    journals.refresh(world.load(), early)
    assert early.entries == world.journal().entries


@pytest.mark.no_false_alarm
def test_small_clock_difference_is_accepted(world) -> None:
    world.append(time=dated(world.clock.now + datetime.timedelta(minutes=9)))
    world.append(time=dated(world.clock.now - datetime.timedelta(minutes=9)))
    assert len(world.journal().entries) == 3


def test_a_timestamp_of_a_later_entry_does_not_convict_a_corrected_one(world) -> None:
    correct(world, plant(world))
    assert stamps.written(world.journal().entries[1]) <= world.clock.now + stamps.SKEW
