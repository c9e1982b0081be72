# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replay files: audit events that STS or Gateway could not send, one JSON object per line. The service sends them when it
next starts.

The service appends to a file without a lock or a rename, and deletes the file once it has sent every line. It skips a
line that it cannot parse, and it never gets past a line of 1 MiB.

Files are not signed: the service signs all events when it sends them. So the drill first reports events that no service
of this deployment can have written. These are warnings, because an STS with a wrong clock writes such events too. An
STS that refuses a request also writes the zone that its caller named. The events are evidence in any case, and a
restore returns them byte for byte.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import typing as t

from .._report.check import NOT_APPLICABLE, PASS, WARN, Check

FOLDER = "audit-replay"
OWNER = 65532
MODE = 0o600
LINE_LIMIT = 1 << 20
NOTED_LINES = 100
CHECK_ID = "replay.events"
NO_TIME, EARLY, AHEAD, NO_ZONE = "occurred_at is not a time", "before 2020", "in the future", "its zone is not in the database"
# No release is older, and no clock of a healthy host is this far ahead.
FIRST = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
ALLOWED_AHEAD = datetime.timedelta(days=1)
NOTED_EVENTS = 50
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.\d+)?(?:[Zz]|([+-]\d\d:\d\d))\Z")
SUFFIX = ".ndjson"
# The name of each service's volume in Compose. All replicas of the service share it.
COMPOSE_VOLUMES = {"sts": "stsReplay", "gateway": "gatewayReplay"}
_PENDING = re.compile(r"pending-[A-Za-z0-9._-]{1,200}\.ndjson\Z")
_PROBE = ".ready-"
_REQUIRED = ("id", "zone_id", "event_type", "request_id", "decision", "evaluation_status", "occurred_at")


def is_pending(name: str) -> bool:
    """Return whether a file with this name contains events."""
    return _PENDING.match(name) is not None


def is_probe(name: str) -> bool:
    """Return whether this is the empty file with which a service tests its directory. The service removes it immediately."""
    return name.startswith(_PROBE)


def with_tag(name: str, tag: str) -> str:
    """Return another file name for other content. The service replays this file too."""
    return f"{name.removesuffix(SUFFIX)}.{tag}{SUFFIX}"


def is_event(line: bytes) -> bool:
    """Return whether the service can replay this line (without its newline)."""
    try:
        found = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and all(isinstance(found.get(name), str) for name in _REQUIRED)


def when(text: str) -> datetime.datetime | None:
    """Parse `occurred_at` as the services do (RFC 3339), without fractions of a second. Returns None if the text is not a time."""
    found = _TIME.match(text)
    try:
        return datetime.datetime.fromisoformat(f"{found[1]}T{found[2]}{found[3] or '+00:00'}") if found else None
    except ValueError:
        return None


@dataclasses.dataclass
class Doubts:
    """Events that no service of a deployment with these zones can have written before `now`. `first` lists the first `NOTED_EVENTS`."""

    zones: t.Collection[str]
    now: datetime.datetime
    events: int = 0
    doubtful: int = 0
    first: list[dict[str, str]] = dataclasses.field(default_factory=list)

    def take(self, file: str, line: bytes) -> None:
        """Check a line of a file. Lines that are not events are not counted."""
        if not is_event(line):
            return
        event = json.loads(line)
        self.events += 1
        why = [*self._time(event["occurred_at"]), *([] if event["zone_id"] in self.zones else [NO_ZONE])]
        if why:
            self.doubtful += 1
            if len(self.first) < NOTED_EVENTS:
                named = {"event": event["id"], "zone": event["zone_id"], "file": file}
                self.first.append({**{key: ascii(value)[1:-1][:100] for key, value in named.items()}, "why": ", ".join(why)})

    def _time(self, text: str) -> list[str]:
        found = when(text)
        if found is None:
            return [NO_TIME]
        try:
            return [EARLY] if found < FIRST else [AHEAD] if found > self.now + ALLOWED_AHEAD else []
        except OverflowError:  # an offset at the limit of the calendar
            return [NO_TIME]

    def to_dict(self) -> dict[str, t.Any]:
        return {"events": self.events, "doubtful": self.doubtful, "first": self.first}


def judge(found: t.Mapping[str, t.Any]) -> Check:
    """Return the check for the counts that `Doubts` collected from all replay files."""
    if not found.get("events"):
        return Check(CHECK_ID, NOT_APPLICABLE, "no replay file with events was restored", required=False)
    if not found["doubtful"]:
        return Check(CHECK_ID, PASS, f"{found['events']} events in replay files have possible times and known zones", required=False)
    one = found["first"][0]
    more = f" ({found['doubtful'] - 1} more)" if found["doubtful"] > 1 else ""
    words = (
        f"event {one['event']} of zone {one['zone']} in {one['file']}: {one['why']}{more}; find out who wrote the file before you send it"
    )
    return Check(CHECK_ID, WARN, words, required=False, details=dict(found))


class Lines:
    """Check the lines of a file that is streamed through. Keeps at most one line in memory, and at most `LINE_LIMIT` bytes
    of it.

    `unparsable` and `oversized` count lines. `noted` lists the numbers of the first such lines, starting at 1.
    """

    def __init__(self) -> None:
        self.count = self.unparsable = self.oversized = 0
        self.noted: list[int] = []
        self._line = bytearray()
        self._length = 0

    def feed(self, data: bytes) -> None:
        first, *others = data.split(b"\n")
        self._more(first)
        for piece in others:
            self._end()
            self._more(piece)

    def _more(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._length < LINE_LIMIT:
            self._line += piece

    def _end(self) -> None:
        self.count += 1
        if self._length >= LINE_LIMIT:
            self.oversized += 1
            self._note()
        elif not is_event(bytes(self._line)):
            self.unparsable += 1
            self._note()
        self._line.clear()
        self._length = 0

    def _note(self) -> None:
        if len(self.noted) < NOTED_LINES:
            self.noted.append(self.count)
