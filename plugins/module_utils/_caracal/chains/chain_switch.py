# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When the rows of a zone started to be signed with another key, and how long replicas of the audit service may use
different keys after that.

Replicas get a new `AUDIT_HMAC_KEY` one after the other. Until the last one has restarted, rows of both keys alternate.
"""

from __future__ import annotations

from . import chain_content

# Seconds in which the replicas of a service restart one after the other.
WINDOW = 900
MINUTES_KEPT = 100_000  # an attacker can write arbitrary times


class Switches:
    """The key changes of one zone.

    `first` maps each key to the number and time of its first row. `minutes` maps a minute of `ingested_at` to the
    lowest number of a row that is next to a row of another key.

    This is enough for rows in order: for any range of rows of one key, the time of its last row is known.
    """

    __slots__ = ("_last", "first", "full", "minutes")

    def __init__(self) -> None:
        self.first: dict[int, tuple[int, bytes]] = {}
        self.minutes: dict[bytes, int] = {}
        self.full = False
        self._last: tuple[int, int, bytes] | None = None

    def take(self, key: int, number: int, ingested: bytes) -> None:
        """Add a row. Hot if several keys were provided."""
        last = self._last
        if last is None or last[0] != key:
            if last:
                self._note(last[1], last[2])
            self._note(number, ingested)
        self._last = key, number, ingested
        if key not in self.first or number < self.first[key][0]:
            self.first[key] = number, ingested

    def finish(self) -> None:
        """Finish after the last row."""
        if self._last:
            self._note(self._last[1], self._last[2])
            self._last = None

    def _note(self, number: int, ingested: bytes) -> None:
        minute = ingested[:16]
        if minute not in self.minutes and len(self.minutes) >= MINUTES_KEPT:
            self.full = True
            return
        self.minutes[minute] = min(number, self.minutes.get(minute, number))

    def update(self, other: Switches) -> None:
        for key, (number, ingested) in other.first.items():
            if key not in self.first or number < self.first[key][0]:
                self.first[key] = number, ingested
        for minute, number in other.minutes.items():
            self._note(number, minute)
        self.full |= other.full

    def until(self, key: int, window: int = WINDOW) -> int:
        """Return the last number up to which rows of another key are allowed after `key` appeared.

        These are the rows before the first one that was certainly ingested after the window. Returns 0 if the times are
        unknown.
        """
        if key not in self.first or self.full:
            return 0
        microseconds = chain_content.clock()
        try:
            end = microseconds(self.first[key][1]) + window * 1_000_000
            late = [number for minute, number in self.minutes.items() if microseconds(minute + b":00+00") > end]
        except ValueError:
            return 0
        number = min((number for number in late if number > self.first[key][0]), default=0)
        return number - 1 if number else 1 << 63
