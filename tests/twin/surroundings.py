# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of a deployment outside its databases: streams with events in transit, and unsent replay files."""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t
from pathlib import Path

import psycopg2
import redis

from . import keys
from .services.common import streams
from .services.common.evidence import event

# As provisioning creates them.
GROUPS = {
    streams.AUDIT: ("audit-ingestor", "siem-export"),
    streams.DEAD_AUDIT: ("audit-dlq-observer",),
    streams.POLICIES: ("opa-engine",),
    streams.REVOCATIONS: ("sts-revocation",),
    streams.KEYS: ("sts-keys",),
    streams.LIFECYCLE: ("coordinator-relay",),
    streams.DELEGATIONS: ("delegations-observer",),
    "caracal.invocations.lifecycle": ("invocations-observer",),
}
ON_THE_WAY, PENDING = 20, 5
IN_FILES = {"sts": 12, "gateway": 7}
FOLDER = "audit-replay"


@dataclasses.dataclass(frozen=True)
class Made:
    """The number of events in the audit stream, and in replay files."""

    streamed: int
    filed: int


def create(target: t.Mapping[str, t.Any], seed: int | str, client: t.Any, replay: Path) -> Made:
    """Fill an empty Redis, and the folders `sts` and `gateway` of `replay`, with events of the first zone of the database."""
    zone = _zone(target)
    for stream, groups in GROUPS.items():
        for group in groups:
            client.xgroup_create(stream, group, id="0", mkstream=True)
    secrets = keys.for_seed(seed)
    for number in range(ON_THE_WAY // 4):
        about = {"outbox_id": f"published-{number}", "zone_id": zone, "type": "agent.started", "epoch": "2"}
        client.xadd(streams.LIFECYCLE, streams.signed(secrets.streams_hmac_key, streams.LIFECYCLE, about))
    key = secrets.audit_hmac_key
    for number in range(ON_THE_WAY):
        data = _line(zone, "sts", number)
        client.xadd(streams.AUDIT, {"id": json.loads(data)["id"], "data": data, "sig": streams.audit_signature(key, data)})
    client.xreadgroup("audit-ingestor", "audit-1", {streams.AUDIT: ">"}, count=PENDING)
    for service, count in IN_FILES.items():
        folder = replay / service / FOLDER
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        path = folder / f"pending-7-{1_790_000_000_000_000_000 + count}.ndjson"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.writelines(f"{_line(zone, service, number)}\n" for number in range(count))
    return Made(ON_THE_WAY, sum(IN_FILES.values()))


def connect(url: str, password_file: str | None) -> t.Any:
    password = Path(password_file).read_text(encoding="utf-8").strip() if password_file else None
    return redis.Redis.from_url(url, password=password, decode_responses=True, protocol=2)


def _zone(target: t.Mapping[str, t.Any]) -> str:
    connection = psycopg2.connect(dbname="caracal", **target)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM public.zones WHERE archived_at IS NULL ORDER BY id LIMIT 1")
            return str(cursor.fetchone()[0])
    finally:
        connection.close()


def _line(zone: str, service: str, number: int) -> str:
    kind = "token_exchange" if service == "sts" else "gateway_resource_request"
    one = event(zone, kind, f"on-the-way-{service}-{number}", "allow", "complete", policies=[])
    return json.dumps(one, separators=(",", ":"))
