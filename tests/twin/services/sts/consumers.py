# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The streams that the STS reads: revoked sessions, changed policies, rotated keys."""

from __future__ import annotations

import functools
import os
import socket
import typing as t

import redis

from ..common import streams
from ..common.background import Loop
from ..common.documents import PolicyError
from ..common.identity import compact
from ..common.journal import log
from ..common.streams import Entry, Fields
from .bundles import Bundles
from .records import Records
from .signing_keys import SigningKeys

GROUPS = {streams.REVOCATIONS: "sts-revocation", streams.POLICIES: "opa-engine", streams.KEYS: "sts-keys"}
MAX_FAILURES = 5
FAILURE_SECONDS = 86400


class StreamFault(Exception):
    """The entry cannot be processed."""


class Consumers:
    """A loop for each stream. An entry without a valid signature is dropped and acknowledged."""

    def __init__(self, client: t.Any, key: bytes | None, records: Records, bundles: Bundles, keys: SigningKeys) -> None:
        self._client = client
        self._key = key
        self._records = records
        self._bundles = bundles
        self._keys = keys
        self._consumer = f"sts-{socket.gethostname()}-{os.getpid()}"
        self._claimed: set[str] = set()
        self._loops = [Loop(f"consumer of {stream}", functools.partial(self._read, stream), 0.05) for stream in GROUPS]
        self.ready = False

    def start(self) -> None:
        """Create the groups and begin. An unavailable Redis is an error here, as in the product."""
        for stream, group in GROUPS.items():
            streams.ensure_group(self._client, stream, group)
        for loop in self._loops:
            loop.start()
        self.ready = True

    def stop(self) -> None:
        for loop in self._loops:
            loop.stop()

    def _read(self, stream: str) -> None:
        """Process what an earlier consumer left pending, once, and new entries."""
        group = GROUPS[stream]
        if stream not in self._claimed:
            _next, entries, *_deleted = self._client.xautoclaim(stream, group, self._consumer, 30_000, count=1000)
            self._handle(stream, entries)
            self._claimed.add(stream)
        self._handle(stream, streams.read_group(self._client, stream, group, self._consumer))

    def _handle(self, stream: str, entries: list[Entry]) -> None:
        for identifier, fields in entries:
            if not streams.genuine(self._key, stream, fields):
                log("warn", "dropping stream message with invalid origin signature", id=identifier, stream=stream)
            else:
                try:
                    self._act(stream, fields)
                except (StreamFault, PolicyError) as error:
                    log("error", "stream side effect", id=identifier, stream=stream, err=str(error))
                    if not self._given_up(stream, identifier, fields, str(error)):
                        continue
            self._client.xack(stream, GROUPS[stream], identifier)

    def _act(self, stream: str, fields: Fields) -> None:
        zone = fields.get("zone_id")
        if not zone:
            raise StreamFault("missing zone_id")
        if stream == streams.POLICIES:
            self._bundles.load(zone)
        elif stream == streams.KEYS:
            self._keys.forget(zone)
        elif session := fields.get("session_id"):
            self._records.revoke(zone, session, fields.get("reason", ""))
        elif not fields.get("agent_session_id"):
            raise StreamFault("missing session_id or agent_session_id")

    def _given_up(self, stream: str, identifier: str, fields: Fields, error: str) -> bool:
        """Count the failure. After too many failures the entry is moved to the dead letters."""
        key = f"stream-failure:{stream}:{identifier}"
        attempts = self._client.incr(key)
        self._client.expire(key, FAILURE_SECONDS)
        if attempts < MAX_FAILURES:
            return False
        dead = {"original_id": identifier, "error": error, "values": compact(fields)}
        try:
            self._client.xadd(f"{stream}.dead", streams.signed(self._key, f"{stream}.dead", dead))
        except redis.exceptions.RedisError:
            return False
        self._client.delete(key)
        return True
