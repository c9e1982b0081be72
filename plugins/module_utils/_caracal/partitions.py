# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The monthly partitions of the audit log: what Caracal calls them, and from when to when they reach."""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t

PARENT = "audit_events"
# As PostgreSQL prints it.
KEY = "RANGE (occurred_at)"
DEFAULT = "DEFAULT"

_NAME = re.compile(rf"{PARENT}_y([1-9][0-9]{{3}})m(0[1-9]|1[0-2])")
_BOUNDS = re.compile(r"FOR VALUES FROM \((.+)\) TO \((.+)\)")
# Beside times as ISO text in UTC, which sort as they are.
_ENDS = {"MINVALUE": "", "MAXVALUE": "~"}


@dataclasses.dataclass(frozen=True)
class Month:
    """A month by its first day."""

    low: datetime.date

    @property
    def high(self) -> datetime.date:
        """The first day of the next month."""
        return (self.low + datetime.timedelta(days=31)).replace(day=1)

    @property
    def name(self) -> str:
        """The partition's, in schema public."""
        return f"{PARENT}_y{self.low.year:04d}m{self.low.month:02d}"

    @property
    def bounds(self) -> str:
        """As PostgreSQL prints them in a session in UTC with ISO dates."""
        return f"FOR VALUES FROM ('{self.low} 00:00:00+00') TO ('{self.high} 00:00:00+00')"

    def create(self) -> str:
        """The statement that makes the partition."""
        return f"CREATE TABLE public.{self.name} PARTITION OF public.{PARENT} {self.bounds}"

    def move(self, default: str) -> str:
        """Statements that make the partition of rows that lie in the default one; its name is quoted."""
        # Like the default one, so that the order of columns is the same whatever became of the parent.
        low, high = f"'{self.low} 00:00:00+00'", f"'{self.high} 00:00:00+00'"
        return (
            f"BEGIN; LOCK TABLE public.{PARENT}; CREATE TABLE public.{self.name} (LIKE {default} INCLUDING DEFAULTS); "
            f"WITH moved AS (DELETE FROM {default} WHERE occurred_at >= {low} AND occurred_at < {high} RETURNING *) "
            f"INSERT INTO public.{self.name} SELECT * FROM moved; "
            f"ALTER TABLE public.{PARENT} ATTACH PARTITION public.{self.name} {self.bounds}; COMMIT;"
        )

    def overlaps(self, bounds: str) -> bool:
        """Whether a partition with these bounds, other than the default one, takes any moment of this month."""
        found = _BOUNDS.fullmatch(bounds)
        if not found:
            return False
        low, high = (_ENDS.get(end, end.strip("'")) for end in found.groups())
        return low < f"{self.high} 00:00:00+00" and high > f"{self.low} 00:00:00+00"


def month_of(name: str) -> Month | None:
    """The month of a partition by its name, which retention goes by; None for the default one and whatever else it is called."""
    found = _NAME.fullmatch(name)
    return Month(datetime.date(int(found[1]), int(found[2]), 1)) if found else None


def wanted(first: datetime.date, later: int) -> list[Month]:
    """The month of `first` and so many after it."""
    months = [Month(first.replace(day=1))]
    for _number in range(later):
        months.append(Month(months[-1].high))
    return months


def conflict(month: Month, leaves: t.Mapping[str, str]) -> tuple[str, str] | None:
    """Name and bounds of a partition that is in the month's way; `leaves` are names → bounds of those that there are."""
    if month.name in leaves:
        return None if leaves[month.name] == month.bounds else (month.name, leaves[month.name])
    return next(((name, bounds) for name, bounds in sorted(leaves.items()) if month.overlaps(bounds)), None)
