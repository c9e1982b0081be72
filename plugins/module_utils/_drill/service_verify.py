# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verify the work of the restored services since they started."""

from __future__ import annotations

import collections
import os
import time
import typing as t

from .._caracal import releases, services
from .._caracal.chains import audit_chains, block_history, chain_keys, settling
from .._caracal.chains.chain_examiner import Examiner, Seen, Terms
from .._caracal.chains.settling import Judged, Replayed
from .._drivers.postgres.server import Session
from .._drivers.redis.connection import Session as RedisSession
from .._drivers.services import http
from .._errors import VersionMismatch
from .._reading import database_layout
from .._report.check import Check
from .._sandbox import before
from .._sandbox.before import Before
from .._sandbox.bundle import Bundle
from . import groups
from .service_plan import Restored, given_secret

PAUSE = 0.5
NEWEST = 50


def settled(bundle: Bundle, restored: Restored, *, earlier_key_rows: int, timeout: int) -> list[Check]:
    """Check repeatedly, until waiting cannot improve any result or the time is over.

    `earlier_key_rows` is the number of audit rows with the HMAC of an earlier key.
    """
    started = time.monotonic()
    watch = _Watch(bundle, restored, earlier_key_rows)
    while True:
        found = watch.look()
        if all(one.settled for one in found) or time.monotonic() - started > timeout:
            return [one.check for one in found]
        time.sleep(PAUSE)


class _Watch:
    """Repeated checks of one sandbox."""

    def __init__(self, bundle: Bundle, restored: Restored, earlier_key_rows: int) -> None:
        self._bundle = bundle
        self._before: Before = before.load(bundle)
        self._watch = groups.Watch()
        self._replay = restored.replay
        self._earlier_key_rows = earlier_key_rows
        self._bearer = given_secret(bundle, restored.secrets, services.METRICS_BEARER)
        key = given_secret(bundle, restored.secrets, "auditHmacKey")
        self._key = chain_keys.parse_file(key, os.path.join(restored.secrets, "auditHmacKey"))

    def look(self) -> list[Judged]:
        with Session(self._bundle.server, releases.OWN_DATABASE) as session, before.redis(self._bundle) as redis:
            detected = database_layout.read(session).detected
            if detected is None:
                raise VersionMismatch("the copy in the sandbox is not the database of Caracal; restore a set into it first")
            recompute = detected.release != block_history.HASHES_RECEIVED
            found = list(groups.read(redis))
            return [
                self._sweep(detected),
                settling.consumers(found, int((time.time() - self._before.started) * 1000), self._watch.backlogs(found)),
                settling.dead_letters(self._before.dead_letters, before.dead_letters(redis), _reasons(redis)),
                settling.replay(self._replayed(session)),
                settling.streamed(len(self._before.streamed), _landed(session, self._before.streamed), self._watch.ingest(found)),
                settling.continued(self._new_rows(session, recompute), self._before.heads, recompute),
            ]

    def _sweep(self, detected: releases.Detected) -> Judged:
        audit = next(service for service in services.services(detected.family) if service.name == "audit")
        asked = http.Request("GET", f"{audit.url}/metrics", {"Authorization": f"Bearer {self._bearer}"})
        answer = self._bundle.run(http.ask, asked)
        found = settling.metrics(answer.body.decode("utf-8", "replace")) if answer.status == 200 else None
        error = answer.error or f"HTTP {answer.status}"
        return settling.sweep(found, error, self._before.started, detected.release, self._earlier_key_rows)

    def _replayed(self, session: Session) -> Replayed:
        ids = [one for events in self._before.replayed.values() for one in events]
        left = set(before.replay_files(self._replay)) & self._before.replayed.keys()
        return Replayed(len(self._before.replayed), len(left), len(set(ids)), _landed(session, ids))

    def _new_rows(self, session: Session, recompute: bool) -> Seen:
        """Examine the rows after each chain's restored head, or all rows of a zone that had no chain."""
        columns = [str(name) for (name,) in session.rows(_COLUMNS)]
        examiner = Examiner(Terms(audit_chains.AUDIT, tuple(columns), (self._key,), recompute))
        for (zone,) in session.rows("SELECT id FROM public.zones ORDER BY 1"):
            head = self._before.heads.get(str(zone), (0, ""))[0]
            query = session.value(_NEW_ROWS, (", ".join(f'"{name}"' for name in columns), str(zone), head))
            session.copy_to(query, _Lines(examiner))
        return examiner.finish()


_COLUMNS = """
    SELECT attname FROM pg_catalog.pg_attribute
     WHERE attrelid = 'public.audit_events'::pg_catalog.regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""
_NEW_ROWS = """
    SELECT pg_catalog.format('COPY (SELECT %%s FROM public.audit_events WHERE zone_id = %%L AND chain_seq > %%L ORDER BY chain_seq)'
                             ' TO STDOUT', %s, %s, %s)"""


def _landed(session: Session, ids: t.Sequence[str]) -> int:
    """Return how many of these events are in the audit log. Each is found by the primary key."""
    found = session.value("SELECT count(DISTINCT id) FROM public.audit_events WHERE id = ANY (%s)", (list(ids),)) if ids else 0
    return int(found)


class _Lines:
    """Pass rows of COPY, without their newlines, to an examiner."""

    def __init__(self, examiner: Examiner) -> None:
        self._examiner = examiner

    def write(self, line: bytes) -> None:
        self._examiner.take([line[:-1]])


def _reasons(redis: RedisSession) -> dict[str, int]:
    """Return the reasons of the newest dead letters of the audit stream."""
    entries = before.last_entries(redis, before.AUDIT_DEAD, NEWEST)
    return collections.Counter(fields[b"reason"].decode("utf-8", "replace")[:60] for _stream, fields in entries if b"reason" in fields)
