# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gateway's revocations: a snapshot of the database every 30 s, and the stream in between."""

from __future__ import annotations

import os
import socket
import threading
import time
import typing as t

from ..common import streams
from ..common.journal import log
from ..common.postgres import Database, Release
from ..common.tokens import Claims

KEEP_SECONDS = 86400
FRESH_SECONDS = 70
SNAPSHOT = """
SELECT id FROM {authority} WHERE status = 'revoked' AND expires_at > now() - interval '24 hours'
UNION SELECT id FROM {agents} WHERE status IN ({ended}) AND updated_at > now() - interval '24 hours'
UNION SELECT id FROM delegation_edges WHERE status = 'revoked' AND revoked_at > now() - interval '24 hours'
"""
STREAM_FIELDS = ("session_id", "agent_session_id", "delegation_edge_id", "edge_id")
CLAIMS = ("sid", "root_sid", "agent_session_id", "delegation_edge_id")


class Revoked:
    """IDs of sessions, agents and delegations. All three kinds of IDs are unique, so one table is enough."""

    def __init__(self, database: Database, release: Release, client: t.Any, key: bytes | None) -> None:
        ended = "'terminated'" if release.secret_store else "'suspended', 'terminated'"
        self._sql = SNAPSHOT.format(authority=release.authority, agents=release.agents, ended=ended)
        self._replaces = release.secret_store
        self._database = database
        self._client = client
        self._key = key
        self._group = f"gateway-revocation:{socket.gethostname()}" if release.secret_store else "gateway-revocation"
        self._consumer = f"gateway-{socket.gethostname()}-{os.getpid()}"
        self._lock = threading.Lock()
        self._marks: dict[str, float] = {}
        self._at = 0.0
        self.messages = self.invalid_signatures = self.reloads = self.reload_errors = 0

    def reload(self) -> None:
        """Read the snapshot. The newer family drops revocations that came only from the stream; the older one only adds."""
        found = {row["id"]: time.monotonic() + KEEP_SECONDS for row in self._database.rows(self._sql)}
        with self._lock:
            self._marks = found if self._replaces else {**self._marks, **found}
            self._at = time.monotonic()
        self.reloads += 1

    def ensure_group(self) -> None:
        streams.ensure_group(self._client, streams.REVOCATIONS, self._group)

    def read(self) -> None:
        """Read the stream once."""
        for identifier, fields in streams.read_group(self._client, streams.REVOCATIONS, self._group, self._consumer):
            if streams.genuine(self._key, streams.REVOCATIONS, fields):
                self.messages += 1
                with self._lock:
                    self._marks.update({fields[name]: time.monotonic() + KEEP_SECONDS for name in STREAM_FIELDS if fields.get(name)})
            else:
                self.invalid_signatures += 1
                log("warn", "dropping revocation message with invalid origin signature", id=identifier)
            self._client.xack(streams.REVOCATIONS, self._group, identifier)

    def covers(self, claims: Claims) -> bool:
        with self._lock:
            return any(self._marks.get(str(claims.get(name)), 0.0) > time.monotonic() for name in CLAIMS)

    @property
    def fresh(self) -> bool:
        return self._at > 0 and self.age_seconds < FRESH_SECONDS

    @property
    def age_seconds(self) -> float:
        return time.monotonic() - self._at

    def __len__(self) -> int:
        return len(self._marks)
