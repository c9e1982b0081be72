# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Retention of the audit log: its months, when each is dropped, and whether its events were exported before."""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t

from ..._errors import StageFailed
from ..exports.export_files import WATERMARK
from ..inventory.inventory import Reader
from ..partitions import DEFAULT, PARENT, Month
from . import settings
from .settings import AUDIT, Effective

LATER = 3
# The service checks every six hours. A month that still exists after two checks is kept longer than configured.
GRACE = datetime.timedelta(hours=12)
# An hour is exported within two hours of its end. Months that are dropped sooner than this are searched row by row.
SOON = datetime.timedelta(days=7)
# Rows are searched without an index, and a month cannot be dropped while it is read.
READING = "30s"
MANY = 10000

_NAME = re.compile(rf"{PARENT}_y([0-9]{{4}})m(0[1-9]|1[0-2])\Z")
_LEAVES = f"""
    SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), format('%I.%I', n.nspname, c.relname)
      FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE i.inhparent = to_regclass('public.{PARENT}') ORDER BY 1"""


@dataclasses.dataclass(frozen=True)
class Facts:
    """An audit log at `now`, by the database's clock.

    `leaves` maps partition names to bounds. `default_rows` is None without a default partition. `unexported` are the
    months among `searched` with events that were not exported. `unread` are months that could not be searched.
    """

    now: datetime.datetime
    override: int | None
    watermark: datetime.datetime | None
    leaves: t.Mapping[str, str]
    default_rows: int | None
    searched: frozenset[Month] = frozenset()
    unexported: frozenset[Month] = frozenset()
    unread: t.Mapping[Month, str] = dataclasses.field(default_factory=dict)

    @property
    def months(self) -> list[Month]:
        """The months that retention drops, the oldest first. Retention identifies them by name."""
        found = (_NAME.fullmatch(name) for name in self.leaves)
        return sorted((Month(datetime.date(int(one[1]), int(one[2]), 1)) for one in found if one), key=lambda month: month.low)

    @property
    def exported_until(self) -> datetime.datetime | None:
        return self.watermark + datetime.timedelta(hours=1) if self.watermark else None

    def keeps(self, effective: Effective) -> datetime.timedelta:
        """Return the retention period. The environment variable is the upper limit for the days in the database."""
        days = effective.days[AUDIT]
        return settings.period(days if self.override is None else min(days, self.override))

    def drop(self, month: Month, effective: Effective) -> datetime.datetime:
        """Return the time when retention drops the month."""
        return end(month) + self.keeps(effective)

    def stalled(self, budget: datetime.timedelta) -> bool:
        """Return whether exports have stopped."""
        until = self.exported_until
        return until is None or self.now - until > budget


def end(month: Month) -> datetime.datetime:
    return datetime.datetime.combine(month.high, datetime.time(), datetime.timezone.utc)


def look(reader: Reader, tables: t.Collection[str], effective: Effective, budget: datetime.timedelta) -> Facts:
    """Read the facts. `tables` are the tables of schema public.

    Raises what the reader raises, except for months that cannot be read in time.
    """
    rows = reader.rows(_LEAVES)
    quoted = {name: sql for name, _bounds, sql in rows}
    default = next((sql for _name, bounds, sql in rows if bounds == DEFAULT), None)
    facts = Facts(
        now=reader.rows("SELECT now()")[0][0],
        override=override(reader) if "audit_retention" in tables else None,
        watermark=_first(reader, WATERMARK) if "audit_export_watermark" in tables else None,
        leaves={name: bounds for name, bounds, _sql in rows},
        default_rows=_first(reader, f"SELECT count(*) FROM (SELECT FROM {default} LIMIT {MANY}) some_rows") if default else None,
    )
    return facts if facts.exported_until is None else _search(reader, facts, quoted, effective, budget)


def _search(reader: Reader, facts: Facts, quoted: t.Mapping[str, str], effective: Effective, budget: datetime.timedelta) -> Facts:
    """Search for unexported events in months that are dropped soon, or that stopped exports have not reached."""
    until, searched, unexported, unread = facts.exported_until, set(), set(), {}
    reader.rows("SELECT set_config('statement_timeout', %s, false)", (READING,))
    for month in facts.months:
        soon = facts.drop(month, effective) < facts.now + SOON
        if not soon and not (facts.stalled(budget) and until and end(month) > until):
            continue
        searched.add(month)
        try:
            if reader.rows(f"SELECT EXISTS (SELECT FROM {quoted[month.name]} WHERE ingested_at >= %s)", (until,))[0][0]:
                unexported.add(month)
        except StageFailed as exc:
            unread[month] = exc.msg
    reader.rows("SELECT set_config('statement_timeout', '0', false)")
    return dataclasses.replace(facts, searched=frozenset(searched), unexported=frozenset(unexported), unread=unread)


def override(reader: Reader) -> int | None:
    """Return the days in `audit_retention`, or None without a row. The table must exist. Raises StageFailed for an invalid
    number of days.
    """
    days = _first(reader, "SELECT greatest(retention_days, 0)::int FROM public.audit_retention")
    return None if days is None else int(days)


def _first(reader: Reader, sql: str) -> t.Any:
    return next((row[0] for row in reader.rows(sql)), None)
