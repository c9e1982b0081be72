# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Record the state before services start, to evaluate their work later: heads of the audit chains, dead letters, replay files."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import time
import typing as t

from .._caracal import outbox, replay, streams
from .._caracal.stream_signatures import Entry, Frame
from .._drivers.postgres.server import Session
from .._drivers.redis import reading as redis_reading
from .._drivers.redis.connection import Address
from .._drivers.redis.connection import Session as RedisSession
from .._errors import ObjectMissing
from .._files import paths
from . import redis_server
from .bundle import Bundle
from .info import Layout

NOTE = "before.json"
# Enough to prove that a file was sent. In very long files, the first events represent all.
EVENTS_A_FILE = 200
# The newest entries: of the audit stream, and of each stream for its signatures.
STREAMED, SIGNED = 1000, 1000
AUDIT_LIVE, AUDIT_DEAD = outbox.AUDIT_EVENTS.encode(), f"{outbox.AUDIT_EVENTS}.dlq".encode()
MONTH = 30
_HEADS = """
    SELECT z.id, e.chain_seq, e.content_sha256
      FROM public.zones z
     CROSS JOIN LATERAL (SELECT x.chain_seq, x.content_sha256 FROM public.audit_events x
                          WHERE x.zone_id = z.id AND x.chain_seq IS NOT NULL ORDER BY x.chain_seq DESC LIMIT 1) e"""


@dataclasses.dataclass(frozen=True)
class Before:
    """The state before services start.

    `started` is in seconds since 1970. `heads` are by zone. `dead_letters` are lengths by stream. `replayed` are the IDs of
    events by file. `streamed` are the IDs of the newest events in the audit stream. `dead_rows` are counts by outbox table.
    `replay_doubts` has the format of `replay.Doubts`.
    """

    started: float
    heads: dict[str, tuple[int, str]]
    dead_letters: dict[str, int]
    replayed: dict[str, list[str]]
    streamed: list[str]
    dead_rows: dict[str, int]
    replay_doubts: dict[str, object] = dataclasses.field(default_factory=dict)


def look(bundle: Bundle, session: Session, replay_directory: str) -> Before:
    """Read the whole state."""
    heads = {str(zone): (int(sequence), str(content)) for zone, sequence, content in session.rows(_HEADS)}
    with redis(bundle) as connected:
        found = dead_letters(connected), _replayed(replay_directory), _streamed(connected), _dead_rows(session)
    return Before(time.time(), heads, *found, _doubts(replay_directory, session))


def _dead_rows(session: Session) -> dict[str, int]:
    return {table: int(session.value(f"SELECT count(*) FROM public.{table} WHERE {dead}")) for table, dead in outbox.DEAD.items()}


def _streamed(connected: RedisSession) -> list[str]:
    """Return the IDs of events from the last month of the audit stream, except those in its dead letters.

    Older rows may have been deleted by retention, and no row is expected for a dead letter. The IDs come from the events, since
    an entry's own field `id` may be the ID of a request.
    """
    events, dead = (
        [
            json.loads(data)
            for _stream, fields in last_entries(connected, name, STREAMED)
            if replay.is_event(data := fields.get(b"data", b""))
        ]
        for name in (AUDIT_LIVE, AUDIT_DEAD)
    )
    if not events:
        return []
    newest = datetime.date.fromisoformat(max(one["occurred_at"] for one in events)[:10])
    oldest = (newest - datetime.timedelta(days=MONTH)).isoformat()
    gone = {one["id"] for one in dead}
    return [one["id"] for one in events if one["occurred_at"] >= oldest and one["id"] not in gone]


def signed(connected: RedisSession) -> t.Iterator[Frame]:
    """Yield the newest entries of every stream, with their signatures."""
    for name in redis_reading.find(connected, streams.PATTERN):
        yield from _frames(connected, name, SIGNED)


def last_entries(connected: RedisSession, name: bytes, count: int) -> t.Iterator[Entry]:
    """Yield the last `count` entries of a stream, the newest first."""
    for frame in _frames(connected, name, count):
        yield frame.stream, frame.fields


def _frames(connected: RedisSession, name: bytes, count: int) -> t.Iterator[Frame]:
    for entry_id, fields in connected.call("XREVRANGE", name, "+", "-", "COUNT", count):
        yield Frame(redis_reading.text(name), entry_id.decode(), dict(zip(fields[::2], fields[1::2], strict=True)))


def redis(bundle: Bundle) -> RedisSession:
    """Return a connection to the sandbox's Redis."""
    found = redis_server.attach(bundle)
    address = Address("", 0, found.unix_socket, None, found.password_file, 0, tls=False, ca_cert=None, client_cert=None, client_key=None)
    return RedisSession(address, "drill")


def dead_letters(connected: RedisSession) -> dict[str, int]:
    names = redis_reading.find(connected, streams.PATTERN)
    return {text: connected.call("XLEN", name) for name in names if streams.is_dead_letters(text := redis_reading.text(name))}


def replay_files(directory: str) -> list[str]:
    """Return the paths of the files with events, in the directories of both services."""
    folders = [os.path.join(directory, service, replay.FOLDER) for service in replay.COMPOSE_VOLUMES]
    return sorted(
        os.path.join(folder, name) for folder in folders if os.path.isdir(folder) for name in os.listdir(folder) if replay.is_pending(name)
    )


def _replayed(directory: str) -> dict[str, list[str]]:
    return {path: list(_events(path)) for path in replay_files(directory)}


def _doubts(directory: str, session: Session) -> dict[str, object]:
    """Check all events in all files, since a forged event need not be the first one."""
    zones = {str(zone) for (zone,) in session.rows("SELECT id FROM public.zones")}
    found = replay.Doubts(zones, datetime.datetime.now(datetime.timezone.utc))
    for path in replay_files(directory):
        with paths.reading(path) as lines:
            for line in _whole_lines(lines):
                found.take(os.path.relpath(path, directory), line)
    return found.to_dict()


def _whole_lines(file: t.BinaryIO) -> t.Iterator[bytes]:
    """Yield the lines that a service can read: they end with a newline and do not exceed its limit."""
    inside = False
    while line := file.readline(replay.LINE_LIMIT):
        ends = line.endswith(b"\n")
        if ends and not inside:
            yield line
        inside = not ends


def _events(path: str) -> t.Iterator[str]:
    with paths.reading(path) as lines:
        for number, line in enumerate(lines):
            if number == EVENTS_A_FILE:
                return
            if line.endswith(b"\n") and replay.is_event(line):
                yield json.loads(line)["id"]


def save(bundle: Bundle, before: Before) -> None:
    paths.replace(_note(bundle), json.dumps(dataclasses.asdict(before)).encode())


def load(bundle: Bundle) -> Before:
    """Return the state that `save` wrote. Raise ObjectMissing if no services were started."""
    try:
        with paths.reading(_note(bundle)) as stream:
            found = json.load(stream)
    except FileNotFoundError:
        raise ObjectMissing(f"no services were started in the sandbox {bundle.info.directory}; drill again") from None
    return Before(**{**found, "heads": {zone: (head[0], head[1]) for zone, head in found["heads"].items()}})


def _note(bundle: Bundle) -> str:
    return os.path.join(Layout.of(bundle.info.directory).programs, NOTE)
