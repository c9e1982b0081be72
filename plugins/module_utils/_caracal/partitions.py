# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The monthly partitions of the audit log: their names in Caracal and their bounds."""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t

PARENT = "audit_events"
# In the format that PostgreSQL prints.
KEY = "RANGE (occurred_at)"
DEFAULT = "DEFAULT"

_NAME = re.compile(rf"{PARENT}_y([1-9][0-9]{{3}})m(0[1-9]|1[0-2])")
_BOUNDS = re.compile(r"FOR VALUES FROM \((.+)\) TO \((.+)\)")
# These sort correctly against times as ISO text in UTC.
_ENDS = {"MINVALUE": "", "MAXVALUE": "~"}


@dataclasses.dataclass(frozen=True)
class Month:
    """A month, identified by its first day."""

    low: datetime.date

    @property
    def high(self) -> datetime.date:
        """The first day of the next month."""
        return (self.low + datetime.timedelta(days=31)).replace(day=1)

    @property
    def name(self) -> str:
        """The name of the partition, in schema public."""
        return f"{PARENT}_y{self.low.year:04d}m{self.low.month:02d}"

    @property
    def bounds(self) -> str:
        """The bounds as PostgreSQL prints them in a session with time zone UTC and ISO dates."""
        return f"FOR VALUES FROM ('{self.low} 00:00:00+00') TO ('{self.high} 00:00:00+00')"

    def create(self) -> str:
        """Return the statement that creates the partition."""
        return f"CREATE TABLE public.{self.name} PARTITION OF public.{PARENT} {self.bounds}"

    def move(self, default: str) -> str:
        """Return the statements that create the partition from rows in the default partition. `default` is its quoted name."""
        # LIKE the default partition, so that the order of columns matches even if the parent table was changed.
        low, high = f"'{self.low} 00:00:00+00'", f"'{self.high} 00:00:00+00'"
        return (
            f"BEGIN; LOCK TABLE public.{PARENT}; CREATE TABLE public.{self.name} (LIKE {default} INCLUDING DEFAULTS); "
            f"WITH moved AS (DELETE FROM {default} WHERE occurred_at >= {low} AND occurred_at < {high} RETURNING *) "
            f"INSERT INTO public.{self.name} SELECT * FROM moved; "
            f"ALTER TABLE public.{PARENT} ATTACH PARTITION public.{self.name} {self.bounds}; COMMIT;"
        )

    def overlaps(self, bounds: str) -> bool:
        """Return whether a partition with these bounds contains any time of this month. Returns False for the default partition."""
        found = _BOUNDS.fullmatch(bounds)
        if not found:
            return False
        low, high = (_ENDS.get(end, end.strip("'")) for end in found.groups())
        return low < f"{self.high} 00:00:00+00" and high > f"{self.low} 00:00:00+00"


def month_of(name: str) -> Month | None:
    """Return the month of a partition name, which retention uses too. Returns None for the default partition and for any other name."""
    found = _NAME.fullmatch(name)
    return Month(datetime.date(int(found[1]), int(found[2]), 1)) if found else None


def wanted(first: datetime.date, later: int) -> list[Month]:
    """Return the month of `first` and the `later` months after it."""
    months = [Month(first.replace(day=1))]
    for _number in range(later):
        months.append(Month(months[-1].high))
    return months


def conflict(month: Month, leaves: t.Mapping[str, str]) -> tuple[str, str] | None:
    """Return name and bounds of an existing partition that conflicts with the month. `leaves` maps names to bounds."""
    if month.name in leaves:
        return None if leaves[month.name] == month.bounds else (month.name, leaves[month.name])
    return next(((name, bounds) for name, bounds in sorted(leaves.items()) if month.overlaps(bounds)), None)
