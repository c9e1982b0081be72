# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each piece of damage breaks exactly one invariant, which reports it under its name."""

from __future__ import annotations

import re
import typing as t

import pytest

from twin import invariants, keys, recompute
from twin.spec import Spec
from unit.twin import damages
from unit.twin.damages import ANY_EVENT

DAMAGE = damages.of("v1.0.0")


def test_every_invariant_has_its_damage() -> None:
    assert set(DAMAGE) == set(invariants.of())


@pytest.mark.mutation
@pytest.mark.parametrize("name", DAMAGE)
def test_each_damage_is_reported_by_its_invariant(database: t.Any, name: str) -> None:
    with database.cursor() as cursor:
        # Like a restore with disabled triggers: constraints are not enforced.
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(DAMAGE[name])
    assert set(invariants.violations(database)) == damages.found_by("v1.0.0", name)


@pytest.mark.mutation
def test_a_row_without_its_parent_is_found(database: t.Any) -> None:
    with database.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("DELETE FROM notification_sinks")
    assert set(invariants.orphans(database)) == {"notification_deliveries_sink_id_fkey"}


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (f"UPDATE audit_events SET metadata_json = '{{}}' {ANY_EVENT}", "event .*: content"),
        (f"UPDATE audit_events SET chain_hmac = repeat('0', 64) {ANY_EVENT}", "event .*: hmac"),
        ("UPDATE admin_audit_events SET actor_name = 'x' WHERE zone_id = 'nope' AND chain_seq = 1", "admin event .*: content"),
        ("UPDATE admin_audit_events SET chain_hmac = 'x' WHERE zone_id = 'nope' AND chain_seq = 1", "admin event .*: hmac"),
        (
            "UPDATE secrets SET envelope = set_byte(envelope, 90, 1 + get_byte(envelope, 90) % 255) WHERE version = 2",
            "envelope .*: damaged",
        ),
        (
            "UPDATE secrets SET envelope = set_byte(envelope, 5, 1 + get_byte(envelope, 5) % 255) WHERE version = 2",
            "envelope .*: sealed under another KEK",
        ),
        (
            'UPDATE event_outbox SET payload_json = payload_json || \'{"data": "{}"}\' WHERE id = '
            "(SELECT min(id) FROM event_outbox WHERE payload_json ? 'sig')",
            "frame .*: signature",
        ),
    ],
)
def test_finds_damage_that_only_the_keys_reveal(database: t.Any, spec: Spec, damage: str, fault: str) -> None:
    with database.cursor() as cursor:
        cursor.execute(damage)
        assert cursor.rowcount == 1
    _count, faults = recompute.faults(database, keys.for_seed(spec.seed))
    (line,) = faults
    assert re.fullmatch(fault, line)
