# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lifecycle relay: it reads what the coordinator published, verifies the signature, and acknowledges the entries."""

from __future__ import annotations

import os
import socket
import typing as t

from ..common import streams
from ..common.background import Loop
from ..common.journal import log
from ..common.streams import Entry

GROUP = "coordinator-relay"
CLAIM_IDLE_MS = 30_000


class Relay:
    """Nothing depends on the entries that it reads. A group without a backlog shows that the relay works."""

    def __init__(self, client: t.Any, key: bytes | None) -> None:
        self._client = client
        self._key = key
        self._consumer = os.environ.get("RELAY_CONSUMER_NAME", socket.gethostname())
        self.loop = Loop("lifecycle relay", self._step, 0.2)

    def start(self) -> None:
        streams.ensure_group(self._client, streams.LIFECYCLE, GROUP)
        self.loop.start()

    def _step(self) -> None:
        _next, left, *_deleted = self._client.xautoclaim(streams.LIFECYCLE, GROUP, self._consumer, CLAIM_IDLE_MS, count=50)
        self._acknowledge(left)
        self._acknowledge(streams.read_group(self._client, streams.LIFECYCLE, GROUP, self._consumer))

    def _acknowledge(self, entries: list[Entry]) -> None:
        for identifier, fields in entries:
            if not streams.genuine(self._key, streams.LIFECYCLE, fields):
                log("warn", "dropping lifecycle event with invalid origin signature", id=identifier)
            self._client.xack(streams.LIFECYCLE, GROUP, identifier)
