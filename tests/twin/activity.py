# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes as the live services make them, for backups that run while the system works."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import threading
import time
import typing as t

import psycopg2.extras

from . import audit, keys, load
from .copytext import jsonb
from .dice import Dice, microseconds
from .facts import Release
from .releases.known import RELEASES
from .shape import Shape
from .spec import Spec
from .state.world import Agent, Zone

HEAD = "SELECT chain_seq, content_sha256, ingested_at FROM public.audit_events WHERE zone_id = %s ORDER BY chain_seq DESC LIMIT 1"


def write_some(target: load.Target, spec: Spec, n: int, stop_event: threading.Event) -> int:
    """Append up to `n` audit events, one transaction each; return the number of events.

    Every third event has a delegated child session and its outbox rows. Ends early when `stop_event` is set. `spec`
    must be the one that created the twin.
    """
    release = RELEASES[spec.release]
    zones = load.build(spec, keys.for_seed(spec.seed), release).zones
    with contextlib.closing(load.open_database(target, "caracal")) as connection:
        connection.autocommit = False
        writer = _Writer(spec, release)
        for number in range(n):
            if stop_event.is_set():
                return number
            zone = zones[number % len(zones)]
            with connection, connection.cursor() as cursor:
                at = writer.event(cursor, zone)
                if number % 3 == 0:
                    writer.delegate(cursor, zone, at)
    return n


class _Writer:
    """Rows with a clock that starts at the twin's own `now`, so that they fall into its partitions."""

    def __init__(self, spec: Spec, release: Release) -> None:
        self._key = keys.for_seed(spec.seed).audit_hmac_key
        self._dice = Dice(random.SystemRandom().getrandbits(64), "activity")
        self._maker = audit.EventMaker(self._dice, release)
        self._digest = audit.digest_of(release, self._dice)
        self._shape = Shape(release.databases[0], release.names)
        self._now = spec.now
        self._started = time.monotonic()

    def event(self, cursor: t.Any, zone: Zone) -> dt.datetime:
        """Write the zone's next audit event; return its time."""
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [zone.id])
        cursor.execute(HEAD, [zone.id])
        seq, head, last = cursor.fetchone() or (0, None, self._now)
        at = max(self._now + dt.timedelta(seconds=time.monotonic() - self._started), last + dt.timedelta(milliseconds=1))
        us = microseconds(at)
        link = audit.ZoneChain(zone, self._key, self._digest, seq, head)
        row = link.append(self._maker.make(zone, us), us, us + 400, self._dice.hex(32))
        values = ", ".join(["%s"] * len(row))
        cursor.execute(f"INSERT INTO public.audit_events ({', '.join(audit.COLUMNS)}) VALUES ({values})", row)
        return at

    def delegate(self, cursor: t.Any, zone: Zone, at: dt.datetime) -> None:
        """Create a child session of the zone's first live agent, with a new delegation edge."""
        parent = zone.agents[0]
        child = Agent(self._dice.uuid7(at), zone.applications[0], parent.authority, True)
        session = {
            "id": child.id,
            "zone_id": zone.id,
            "application_id": child.application,
            "parent_id": parent.id,
            "subject_authority_record_id": child.authority,
            "depth": 1,
            "labels": ["live", "schön"],
            "metadata_json": jsonb({"note": self._dice.awkward()}),
        }
        self._insert(cursor, "sessions", session)
        self._insert(cursor, "agent_topology", {"parent_id": parent.id, "child_id": child.id})
        agents = self._shape.table("sessions")
        cursor.execute(f"UPDATE public.{agents} SET child_count = child_count + 1, updated_at = %s WHERE id = %s", [at, parent.id])
        edge = self._edge(cursor, zone, parent, child, at)
        cursor.execute("UPDATE public.delegation_graph_epochs SET epoch = epoch + 1 WHERE zone_id = %s RETURNING epoch", [zone.id])
        payload = {"event": "edge_create", "zone_id": zone.id, "edge_id": edge, "epoch": cursor.fetchone()[0]}
        payload |= {"source_session_id": parent.id, "target_session_id": child.id}
        spawned = {"event": "spawn", "zone_id": zone.id, "agent_session_id": child.id, "parent_id": parent.id}
        self._enqueue(cursor, "caracal.agents.lifecycle", f"spawn:{child.id}", spawned)
        self._enqueue(cursor, "caracal.delegations.invalidate", f"edge_create:{edge}", payload)
        self._activated(cursor, zone)

    def _edge(self, cursor: t.Any, zone: Zone, parent: Agent, child: Agent, at: dt.datetime) -> str:
        edge = {
            "id": self._dice.uuid7(at),
            "zone_id": zone.id,
            "source_session_id": parent.id,
            "target_session_id": child.id,
            "issuer_application_id": parent.application,
            "receiver_application_id": child.application,
            "scopes": ["canary:read"],
            "expires_at": at + dt.timedelta(hours=1),
        }
        self._insert(cursor, "delegation_edges", edge)
        return str(edge["id"])

    def _enqueue(self, cursor: t.Any, topic: str, key: str, payload: dict[str, t.Any]) -> None:
        row = {"id": self._dice.uuid7(self._now), "producer": "coordinator", "topic": topic, "dedupe_key": key}
        self._insert(cursor, "caracal_outbox", {**row, "payload_json": jsonb(payload)})

    def _activated(self, cursor: t.Any, zone: Zone) -> None:
        active = {"zone_id": zone.id, "policy_set_id": zone.policy_set, "policy_set_version_id": zone.policy_set_version}
        api = {"id": self._dice.uuid7(self._now), "stream_name": "caracal.policy.invalidate", "payload_json": jsonb(active)}
        self._insert(cursor, "event_outbox", api)

    def _insert(self, cursor: t.Any, table: str, row: t.Mapping[str, t.Any]) -> None:
        fitted = self._shape.row(table, row)
        statement = f"INSERT INTO public.{self._shape.table(table)} ({', '.join(fitted)}) VALUES %s"
        psycopg2.extras.execute_values(cursor, statement, [tuple(fitted.values())])
