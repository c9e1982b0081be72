# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare the times of an audit row: `ingested_at`, `occurred_at` and the time in its ID.

No hash of the product covers `ingested_at`. It is the database's clock at the start of the insert, before the insert
waits for its zone's lock. So rows of two replicas may be out of order by the duration of a statement. The service that
wrote the event sets `occurred_at` and a UUIDv7 ID at the same time. A late or replayed event keeps both and is ingested
later, which is normal.
"""

from __future__ import annotations

import re
import typing as t

from . import chain_content

# Seconds. The product's services refuse signed requests from each other if their clocks differ by more than 60 seconds.
ALLOWANCE = 300
MISPLACED, EARLY, FOREIGN_ID = "misplaced", "early", "foreign_id"
# Events for which the product's services create the ID together with `occurred_at`. The ID of a `control.invoke` is the
# caller's request ID.
WITH_OWN_ID = frozenset(
    {
        b"token_exchange",
        b"gateway_resource_request",
        b"replay_detected",
        b"jti_collision",
        b"credential_revealed",
        b"run_launch",
        b"step_up_issued",
        b"step_up_decided",
        b"step_up_consumed",
    }
)
_UUID7 = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)
_MINUTES_KEPT = 1 << 16

Bounds = tuple[bytes, bytes]
# Returns the kinds of faults in the times of a row's fields.
Judge = t.Callable[[t.Sequence[bytes]], t.Sequence[str]]
# Returns whether the first of two times, as COPY text in UTC, is after the second by more than the allowance.
After = t.Callable[[bytes, bytes], bool]


def after(allowance: int) -> After:
    """Return a comparison with an allowance in seconds. A time that Python does not support is after any other."""
    microseconds = chain_content.clock()

    def is_after(one: bytes, other: bytes) -> bool:
        if one <= other:
            return False
        try:
            return microseconds(one) - microseconds(other) > allowance * 1_000_000
        except ValueError:
            return True

    return is_after


def judge(columns: t.Sequence[str], bounds: Bounds | None, allowance: int) -> Judge:
    """Return the function for rows with these columns in a partition with these bounds. Hot: for most rows, no time is parsed."""
    at = columns.index
    id_at, type_at, occurred_at, ingested_at = at("id"), at("event_type"), at("occurred_at"), at("ingested_at")
    low, high = bounds or (b"", b"\xff")
    is_after, minutes = after(allowance), _Minutes(allowance)
    known = minutes.known

    def judged(fields: t.Sequence[bytes]) -> t.Sequence[str]:
        occurred = fields[occurred_at]
        first, last = known.get(occurred[:16], _UNKNOWN)
        fits = first <= fields[id_at][:13] <= last or fields[type_at] not in WITH_OWN_ID
        if fits and low <= occurred < high and occurred <= fields[ingested_at]:
            return ()
        wrong = {
            MISPLACED: not low <= occurred < high,
            EARLY: is_after(occurred, fields[ingested_at]),
            FOREIGN_ID: fields[type_at] in WITH_OWN_ID and minutes.is_foreign(fields[id_at], occurred),
        }
        return [kind for kind, found in wrong.items() if found]

    return judged


_UNKNOWN = (b"~", b"")


class _Minutes:
    """Compares the time in a UUIDv7 with `occurred_at`. `known` maps a minute to the first and last ID prefixes that certainly match."""

    def __init__(self, allowance: int) -> None:
        self.known: dict[bytes, Bounds] = {}
        self._allowance = allowance * 1000
        self._microseconds = chain_content.clock()

    def is_foreign(self, row_id: bytes, occurred: bytes) -> bool:
        try:
            when = self._microseconds(occurred) // 1000
            self._learn(occurred[:16])
        except ValueError:
            return _UUID7.fullmatch(row_id) is not None
        return _UUID7.fullmatch(row_id) is not None and abs(int(row_id[:8] + row_id[9:13], 16) - when) > self._allowance

    def _learn(self, minute: bytes) -> None:
        if minute not in self.known:
            if len(self.known) >= _MINUTES_KEPT:
                self.known.clear()
            start = self._microseconds(minute + b":00+00") // 1000
            self.known[minute] = _beginning(start + 60_000 - self._allowance), _beginning(start + self._allowance)


def _beginning(milliseconds: int) -> bytes:
    """Return the first 13 characters of a UUIDv7 with this Unix time."""
    digits = f"{max(0, milliseconds):012x}"
    return f"{digits[:8]}-{digits[8:]}".encode()
