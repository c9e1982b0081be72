# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service's audit events on their way to the stream, and on disk while the stream is unavailable."""

from __future__ import annotations

import json
import os
import queue
import tempfile
import threading
import time
import typing as t
from pathlib import Path

import redis

from .environment import Environment
from .identity import compact, nanoseconds_text, new_id
from .journal import log
from .streams import AUDIT, audit_signature

FLUSH_SECONDS = 0.05
BATCH = 1000
DEFAULT_FOLDER = "/var/lib/caracal/audit-replay"
Event = dict[str, t.Any]


def event(zone: str, kind: str, request: str, decision: str, status: str, **given: t.Any) -> Event:
    """Return an event in the order of its fields on the wire, without fields that are empty and optional."""
    optional = {name: given[name] for name in ("policy_set_version_id", "manifest_sha") if given.get(name)}
    metadata = {"metadata_json": given["metadata"]} if given.get("metadata") is not None else {}
    return {
        "id": new_id(),
        "zone_id": zone,
        "event_type": kind,
        "request_id": request,
        "decision": decision,
        **optional,
        "evaluation_status": status,
        "determining_policies_json": given.get("policies"),
        "diagnostics_json": given.get("diagnostics"),
        **metadata,
        "occurred_at": nanoseconds_text(time.time_ns()),
    }


class Evidence:
    """Accepts events and adds them to the stream within 50 ms. Events that cannot be added are written to a file."""

    def __init__(self, environment: Environment, client: t.Any) -> None:
        self._key = environment.hmac_key("AUDIT_HMAC_KEY")
        self._client = client
        self._folder = Path(environment.optional("AUDIT_REPLAY_DIR", DEFAULT_FOLDER))
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._waiting: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.dropped = self.sink_errors = self.replayed = 0

    def start(self) -> None:
        self.replay()
        self._thread.start()

    def emit(self, one: Event) -> None:
        self._waiting.put(one)

    def close(self) -> None:
        """Stop, and write waiting events to a file instead of the stream."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._spill(self._batch())

    def replay(self) -> None:
        """Add the events of earlier files to the stream, then remove the files. Lines that are not events are lost with them."""
        for path in sorted(self._folder.glob("*.ndjson")):
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    one = json.loads(line)
                except ValueError:
                    log("warn", "audit replay: skipped malformed line", file=path.name)
                    continue
                try:
                    self._add(one)
                except redis.exceptions.RedisError as error:
                    log("error", "audit replay failed", file=path.name, err=str(error))
                    return
                self.replayed += 1
            path.unlink()

    def ready(self) -> bool:
        """Return whether a file could be written."""
        try:
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".ready-"):
                return True
        except OSError:
            return False

    def metrics(self, service: str) -> dict[str, float]:
        files = [path.stat() for path in self._folder.glob("*.ndjson")]
        oldest = max((time.time() - one.st_mtime for one in files), default=0.0)
        values = {
            "audit_dropped_total": self.dropped,
            "audit_replay_pending": self._waiting.qsize(),
            "audit_replay_files": len(files),
            "audit_replay_bytes": sum(one.st_size for one in files),
            "audit_replay_oldest_age_seconds": max(oldest, 0.0),
            "audit_replay_replayed_total": self.replayed,
            "audit_sink_errors_total": self.sink_errors,
        }
        return {f"caracal_{service}_{name}": float(value) for name, value in values.items()}

    def _run(self) -> None:
        while not self._ended.wait(FLUSH_SECONDS):
            failed = []
            for one in self._batch():
                try:
                    self._add(one)
                except redis.exceptions.RedisError as error:
                    self.sink_errors += 1
                    failed.append(one)
                    log("error", "audit sink error", err=str(error))
            self._spill(failed)

    def _batch(self) -> list[Event]:
        found: list[Event] = []
        while len(found) < BATCH and not self._waiting.empty():
            found.append(self._waiting.get())
        return found

    def _add(self, one: Event) -> None:
        data = compact(one)
        fields = {"id": str(one.get("id")), "data": data}
        if self._key:
            fields["sig"] = audit_signature(self._key, data)
        self._client.xadd(AUDIT, fields)

    def _spill(self, batch: list[Event]) -> None:
        if not batch:
            return
        path = self._folder / f"pending-{os.getpid()}-{time.time_ns()}.ndjson"
        try:
            with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600), "w", encoding="utf-8") as file:
                file.writelines(compact(one) + "\n" for one in batch)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self.dropped += len(batch)
            log("error", "audit events lost: stream and disk persistence both failed", err=str(error), count=len(batch))
