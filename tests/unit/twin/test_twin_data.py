# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data is the same for the same Spec, contains every kind of row, and is consistent."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import typing as t

import pytest

from twin import audit, invariants, keys, load, recompute, schema
from twin.releases.known import RELEASES
from twin.spec import Spec

RELEASE = RELEASES["v1.0.0"]
NOON = dt.datetime(2026, 3, 15, 12, 30, 15, 123457, tzinfo=dt.timezone.utc)


def _stream(spec: Spec) -> audit.AuditStream:
    secrets = keys.for_seed(spec.seed)
    return audit.AuditStream(spec, secrets, load.build(spec, secrets, RELEASE).zones, RELEASE)


def _digest(spec: Spec) -> str:
    secrets = keys.for_seed(spec.seed)
    world = load.build(spec, secrets, RELEASE)
    digest = hashlib.sha256(repr((world.rows, world.auth_rows)).encode())
    for _month, lines in audit.AuditStream(spec, secrets, world.zones, RELEASE).months():
        for line in lines:
            digest.update(line.encode())
    return digest.hexdigest()


def test_the_same_spec_gives_the_same_rows() -> None:
    spec = Spec(events=500, seed=7, now=NOON)
    assert _digest(spec) == _digest(Spec(events=500, seed=7, now=NOON))


@pytest.mark.parametrize("other", [{"seed": 8}, {"events": 501}, {"zones": 4}, {"months": 12}, {"now": NOON + dt.timedelta(hours=1)}])
def test_another_spec_gives_other_rows(other: dict[str, t.Any]) -> None:
    base: dict[str, t.Any] = {"seed": 7, "events": 500, "zones": 3, "months": 13, "now": NOON}
    assert _digest(Spec(**base)) != _digest(Spec(**{**base, **other}))


def test_events_are_complete_and_ordered_within_their_months() -> None:
    spec = Spec(events=4000, seed=7, now=NOON)
    seen, months, zones = 0, [], []
    last = ""
    for month, lines in _stream(spec).months():
        months.append(month)
        for line in lines:
            fields = line.split("\t")
            occurred, ingested = fields[12], fields[13]
            assert occurred[:7] == month.isoformat()[:7]
            # One of the two may have no fraction if it is a whole second, so compare times instead of texts.
            assert last <= dt.datetime.fromisoformat(occurred).isoformat(timespec="microseconds")
            last = dt.datetime.fromisoformat(occurred).isoformat(timespec="microseconds")
            assert dt.datetime.fromisoformat(occurred) <= dt.datetime.fromisoformat(ingested) <= NOON
            zones.append(fields[1])
            seen += 1
    assert seen == 4000
    assert months == [spec.month(offset).date() for offset in range(-12, 1)]
    # The zones are interleaved: among any fifty neighbours there is more than one zone.
    assert all(len(set(zones[start : start + 50])) > 1 for start in range(0, 4000, 50))


@pytest.mark.parametrize(
    "spec",
    [
        Spec(events=0, now=NOON),
        Spec(events=1, zones=1, months=1, now=NOON),
        Spec(events=3, months=1, now=dt.datetime(2026, 3, 1, tzinfo=dt.timezone.utc)),
        Spec(events=7, months=2, now=dt.datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=dt.timezone.utc)),
    ],
)
def test_small_twins_have_all_their_events(spec: Spec) -> None:
    counts = [sum(1 for _line in lines) for _month, lines in _stream(spec).months()]
    assert sum(counts) == spec.events
    assert len(counts) == spec.months


@pytest.mark.parametrize(
    "wrong", [{"zones": 0}, {"months": 0}, {"events": -1}, {"now": NOON.astimezone(dt.timezone(dt.timedelta(hours=1)))}]
)
def test_an_invalid_spec_is_refused(wrong: dict[str, t.Any]) -> None:
    with pytest.raises(ValueError, match=r"a twin needs|must be in UTC"):
        Spec(**wrong)


@pytest.mark.no_false_alarm
def test_every_invariant_holds(database: t.Any) -> None:
    assert invariants.violations(database) == {}
    assert invariants.orphans(database) == {}


@pytest.mark.no_false_alarm
def test_every_hash_envelope_and_frame_agrees(database: t.Any, spec: Spec) -> None:
    count, faults = recompute.faults(database, keys.for_seed(spec.seed))
    assert faults == []
    assert count > spec.events + 100


@pytest.mark.mutation
def test_another_seeds_keys_open_nothing(database: t.Any) -> None:
    count, faults = recompute.faults(database, keys.for_seed("other"))
    with database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM admin_audit_events WHERE chain_hmac IS NULL")
        unsigned = cursor.fetchone()[0]
    assert len(faults) == count - unsigned


@pytest.mark.parametrize("name", ["caracal", "caracal_auth"])
def test_every_table_has_rows(twin: dict[str, t.Any], name: str) -> None:
    (facts,) = [facts for facts in RELEASE.databases if facts.name == name]
    with contextlib.closing(load.open_database(twin, name)) as connection, connection.cursor() as cursor:
        empty = []
        for table in facts.tables:
            cursor.execute(f"SELECT EXISTS (SELECT FROM public.{schema.quote(table)})")
            if not cursor.fetchone()[0]:
                empty.append(table)
    assert empty == []


def test_owners_of_zones_have_accounts(twin: dict[str, t.Any], database: t.Any) -> None:
    with database.cursor() as cursor:
        cursor.execute("SELECT owner_account_id FROM zones")
        owners = {owner for (owner,) in cursor.fetchall()}
    with contextlib.closing(load.open_database(twin, "caracal_auth")) as connection, connection.cursor() as cursor:
        cursor.execute('SELECT id FROM "user"')
        accounts = {account for (account,) in cursor.fetchall()}
    assert owners
    assert owners <= accounts


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 FROM event_outbox WHERE dispatched_at IS NULL AND available_at <> 'infinity'",
        "SELECT 1 FROM event_outbox WHERE dispatched_at IS NULL AND available_at = 'infinity'",
        "SELECT 1 FROM event_outbox WHERE stream_name = 'caracal.audit.events' AND dispatched_at IS NOT NULL",
        "SELECT 1 FROM caracal_outbox WHERE status = 'pending'",
        "SELECT 1 FROM caracal_outbox WHERE status = 'dead'",
        "SELECT 1 FROM admin_audit_events WHERE zone_id IS NULL",
        "SELECT 1 FROM admin_audit_events WHERE zone_id NOT IN (SELECT id FROM zones)",
        "SELECT 1 FROM admin_audit_events WHERE chain_hmac IS NULL",
        "SELECT 1 FROM delegation_edges WHERE status = 'revoked' AND parent_edge_id IS NOT NULL",
        "SELECT 1 FROM authority_records WHERE status = 'revoked'",
        "SELECT 1 FROM sessions WHERE depth = 2 AND status = 'active'",
        "SELECT 1 FROM secrets WHERE version = 2",
        r"SELECT 1 FROM operator_turns WHERE content ->> 'text' = E'back\\slash, \\N, \\t and \\\\.'",
        "SELECT 1 FROM operator_turns WHERE content ->> 'text' = ''",
        r"SELECT 1 FROM operator_zone_memory WHERE text = E'two\nlines\r\nand a third'",
        "SELECT 1 FROM applications WHERE traits = ARRAY['canary', '', 'tränen', 'with \"quotes\", commas']",
        "SELECT 1 FROM policies WHERE description = ''",
        r"SELECT 1 FROM audit_events WHERE metadata_json::text LIKE '%🦝%'",
        "SELECT 1 FROM audit_events WHERE metadata_json IS NULL AND evaluation_status IS NULL",
    ],
)
def test_data_contains_each_kind_of_row(database: t.Any, query: str) -> None:
    with database.cursor() as cursor:
        cursor.execute(query)
        assert cursor.fetchone() == (1,)


def test_a_second_twin_in_the_cluster_is_refused(twin: dict[str, t.Any]) -> None:
    with pytest.raises(load.TwinError, match="has a database caracal already"):
        load.create(twin, Spec(events=0))


def test_only_the_owner_creates_a_twin(twin: dict[str, t.Any]) -> None:
    with pytest.raises(load.TwinError, match="made by the superuser caracal, not by caracalauth"):
        load.create({**twin, "user": "caracalauth"}, Spec(events=0))
