# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The specification of a twin, and the summary of a created one."""

from __future__ import annotations

import dataclasses
import datetime as dt


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)


@dataclasses.dataclass(frozen=True)
class Spec:
    """Everything that determines a twin: the same Spec gives the same rows, byte for byte.

    `events` audit events are spread over `months` months that end at `now` (UTC); `zones` is at least 1.
    """

    events: int = 5000
    zones: int = 3
    seed: int | str = 1
    months: int = 13
    now: dt.datetime = dataclasses.field(default_factory=utc_now)
    release: str = "v1.0.0"

    def __post_init__(self) -> None:
        if self.zones < 1 or self.months < 1 or self.events < 0:
            raise ValueError(f"a twin needs zones >= 1, months >= 1 and events >= 0, not {self.zones}, {self.months}, {self.events}")
        if self.now.utcoffset() != dt.timedelta(0):
            raise ValueError(f"now must be in UTC, not {self.now.isoformat()}")

    def month(self, offset: int) -> dt.datetime:
        """Return the start of the month `offset` months after the month of `now`."""
        index = self.now.year * 12 + self.now.month - 1 + offset
        return dt.datetime(index // 12, index % 12 + 1, 1, tzinfo=dt.timezone.utc)

    @property
    def partitions(self) -> list[dt.date]:
        """Return the first days of the monthly partitions: months with rows, and the next three."""
        return [self.month(offset).date() for offset in range(1 - self.months, 4)]


@dataclasses.dataclass(frozen=True)
class Summary:
    """The result of `load.create`: counts over both databases."""

    zones: int
    events: int
    tables: int
    rows: int
    seconds: float
    database_bytes: int
