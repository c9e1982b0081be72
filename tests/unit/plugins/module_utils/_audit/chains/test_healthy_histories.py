# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Histories of a healthy deployment that look like tampering, and tampering that they must not hide."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest

from scenes.audit_damages import World
from scenes.fixtures import Committed
from scenes.twin_database import TwinCluster
from twin import keys
from twin.dice import uuid7
from unit.plugins.module_utils._audit.chains.test_audit_corpus import verify, world_of

NEW_KEY = b"n" * 32
Copy = t.Callable[[], str]


def checks(committed: Committed, world: World, **given: t.Any) -> dict[str, dict[str, t.Any]]:
    """Return the checks without a repository, so that only the rows count."""
    alone = dict.fromkeys(("repository", "deployment", "allowed_signers", "high_water_mark"))
    return {one["id"]: one for one in verify(committed.scene, world, **{**alone, **given})["checks"]}


def kinds(check: dict[str, t.Any]) -> set[tuple[str, int, int]]:
    return {(one["kind"], one["low"], one["high"]) for one in check["details"]["positions"] if one["zone"]}


def failed(found: dict[str, dict[str, t.Any]]) -> list[str]:
    return [name for name, one in found.items() if one["verdict"] == "fail"]


def months(world: World) -> list[str]:
    """Return the partitions with rows of the zone, the oldest first."""
    query = f"SELECT DISTINCT tableoid::regclass::text FROM audit_events WHERE zone_id = '{world.zone}' ORDER BY 1"
    return [str(name) for (name,) in world.execute(query)]


def begin(leaf: str) -> dt.datetime:
    return dt.datetime(int(leaf[-7:-3]), int(leaf[-2:]), 1, tzinfo=dt.timezone.utc)


def days_since(when: dt.datetime) -> int:
    return (dt.datetime.now(dt.timezone.utc) - when).days


def first_number(world: World, leaf: str, place: int) -> int:
    query = f"SELECT chain_seq FROM {leaf} WHERE zone_id = '{world.zone}' ORDER BY chain_seq OFFSET {place} LIMIT 1"
    return int(world.execute(query)[0][0])


def came_late(world: World, number: int, occurred: dt.datetime) -> None:
    """Make the event of a row occur before its month without changing its ingestion time. The chain is as the product builds it."""
    event_id = uuid7(int(occurred.timestamp() * 1000), number)
    row = f"zone_id = '{world.zone}' AND chain_seq"
    world.execute(f"UPDATE audit_events SET id = '{event_id}', occurred_at = '{occurred.isoformat()}' WHERE {row} = {number}")
    world.rehash(number, number, number, world.key)
    content = world.execute(f"SELECT content_sha256 FROM audit_events WHERE {row} = {number}")[0][0]
    world.execute(f"UPDATE audit_events SET prev_content_sha256 = '{content}' WHERE {row} = {number + 1}")
    world.rehash(number + 1, number, number + 1, world.key)


def drop_before(world: World, kept: str) -> None:
    for leaf in months(world):
        if leaf < kept:
            world.execute(f"DROP TABLE {leaf}")


@pytest.mark.no_false_alarm
def test_late_events_that_retention_has_dropped_are_unproven(
    committed: Committed, caracal_database: TwinCluster, caracal_copy: Copy
) -> None:
    world = world_of(caracal_database, caracal_copy())
    old, kept = months(world)[-3:-1]
    late = first_number(world, kept, 1)
    came_late(world, late, begin(kept) - dt.timedelta(minutes=5))
    whole = checks(committed, world)
    assert failed(whole) == [] and whole["audit.sequence"]["verdict"] == "pass"
    assert world.leaf(late) == old
    drop_before(world, kept)
    found = checks(committed, world, audit_retention_days=days_since(begin(kept)) - 1)
    assert failed(found) == [] and found["audit.sequence"]["verdict"] == "unproven"
    assert ("hole_at_horizon", late, late) in kinds(found["audit.sequence"])


@pytest.mark.mutation
def test_deleted_row_between_retained_rows_fails_after_a_drop(
    committed: Committed, caracal_database: TwinCluster, caracal_copy: Copy
) -> None:
    world = world_of(caracal_database, caracal_copy())
    kept = months(world)[-2]
    drop_before(world, kept)
    number = world.head - 3
    world.execute(f"DELETE FROM audit_events WHERE zone_id = '{world.zone}' AND chain_seq = {number}")
    found = checks(committed, world, audit_retention_days=days_since(begin(kept)) - 1)
    assert failed(found) == ["audit.sequence"] and ("hole", number, number) in kinds(found["audit.sequence"])


def key_change(world: World) -> tuple[int, list[int]]:
    """Add rows of two replicas that change their key one after the other.

    Rows a millisecond apart alternate between the keys. Later rows all have the new key. Return the number of the first
    new row, and the numbers of the rows after it with the old key.
    """
    start = world.head + 1
    world.append(20)
    world.append(10, world.cluster.spec.now + dt.timedelta(hours=1))
    old = [start + number for number in (2, 3, 6, 11)]
    for number in range(start, start + 30):
        if number not in old:
            world.rehash(number, number - 1, number, NEW_KEY)
    return start, old


@pytest.mark.no_false_alarm
def test_two_replicas_during_a_key_change_are_a_warning(committed: Committed, caracal_database: TwinCluster, caracal_copy: Copy) -> None:
    world = world_of(caracal_database, caracal_copy())
    _start, old = key_change(world)
    found = checks(committed, world, audit_hmac_key_files=both(committed, world))
    assert failed(found) == [] and found["audit.hmac"]["verdict"] == "warn"
    assert {number for _kind, low, high in kinds(found["audit.hmac"]) for number in range(low, high + 1)} == set(old)


@pytest.mark.mutation
def test_a_row_of_the_old_key_an_hour_after_the_change_fails(
    committed: Committed, caracal_database: TwinCluster, caracal_copy: Copy
) -> None:
    world = world_of(caracal_database, caracal_copy())
    start, _old = key_change(world)
    world.rehash(start + 25, start + 24, start + 25, world.key)
    found = checks(committed, world, audit_hmac_key_files=both(committed, world))
    assert failed(found) == ["audit.hmac"] and ("retired_key", start + 25, start + 25) in kinds(found["audit.hmac"])


def both(committed: Committed, world: World) -> list[str]:
    return keys.files(committed.scene.root, keys.for_seed(world.cluster.spec.seed).audit_hmac_key.hex(), NEW_KEY.hex())
