# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Replay files: audit events that STS or Gateway could not send, one JSON object a line, sent again at the service's next start.

The service appends to a file with neither lock nor rename, and deletes it once every line was sent. It skips a line that it cannot
parse, and it never gets past a line of 1 MiB.
"""

from __future__ import annotations

import json
import re

FOLDER = "audit-replay"
OWNER = 65532
MODE = 0o600
LINE_LIMIT = 1 << 20
NOTED_LINES = 100
SUFFIX = ".ndjson"
# What Compose calls the volume of each service, which all its replicas share.
COMPOSE_VOLUMES = {"sts": "stsReplay", "gateway": "gatewayReplay"}
_PENDING = re.compile(r"pending-[A-Za-z0-9._-]{1,200}\.ndjson\Z")
_PROBE = ".ready-"
_REQUIRED = ("id", "zone_id", "event_type", "request_id", "decision", "evaluation_status", "occurred_at")


def is_pending(name: str) -> bool:
    """Whether a file of this name holds events."""
    return _PENDING.match(name) is not None


def is_probe(name: str) -> bool:
    """Whether it is the empty file by which a service tries its directory, and which it removes at once."""
    return name.startswith(_PROBE)


def with_tag(name: str, tag: str) -> str:
    """Another name for other content; the service replays it as well."""
    return f"{name.removesuffix(SUFFIX)}.{tag}{SUFFIX}"


def is_event(line: bytes) -> bool:
    """Whether the service can replay this line (without its newline)."""
    try:
        found = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and all(isinstance(found.get(name), str) for name in _REQUIRED)


class Lines:
    """Looks at the lines of a file whose bytes pass by. Holds at most one line, and no more of it than `LINE_LIMIT` bytes.

    `unparsable` and `oversized` count lines; `noted` are the numbers of the first of them, from 1.
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
