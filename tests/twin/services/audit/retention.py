# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Partitions: create the coming months, drop months past the retention time."""

from __future__ import annotations

import datetime as dt
import re

import psycopg2

from ..common.identity import utc_now
from ..common.journal import log
from ..common.postgres import Database, Release

LEAF = re.compile(r"audit_events_y(\d{4})m(\d{2})")
LEAVES = "SELECT c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'public.audit_events'::regclass"
COMING = 4


def month(when: dt.datetime, offset: int) -> dt.date:
    """Return the first day of the month `offset` months later."""
    index = when.year * 12 + when.month - 1 + offset
    return dt.date(index // 12, index % 12 + 1, 1)


class Retention:
    """One tick does everything. If a month cannot be created the tick ends, so that nothing is dropped either."""

    def __init__(self, database: Database, release: Release, max_days: int) -> None:
        self._database = database
        self._release = release
        self._max_days = max_days
        self.created = self.dropped = 0

    def tick(self) -> None:
        now = utc_now()
        for offset in range(COMING):
            try:
                self._ensure(month(now, offset), month(now, offset + 1))
            except psycopg2.Error as error:
                log("error", "retention: ensure partition", month=month(now, offset), err=" ".join(str(error).split()))
                return
            self.created += 1
        cutoff = (now - dt.timedelta(days=self._days())).date()
        for row in self._database.rows(LEAVES):
            found = LEAF.fullmatch(row["relname"])
            if found and month(dt.datetime(int(found[1]), int(found[2]), 1, tzinfo=dt.timezone.utc), 1) <= cutoff:
                self._drop(row["relname"])
                self.dropped += 1
                log("info", "retention: partitions dropped", dropped=row["relname"], cutoff=cutoff)

    def _days(self) -> int:
        """Return the retention time. The environment's number is the maximum; in the newer family a table may lower it."""
        if not self._release.secret_store:
            return self._max_days
        row = self._database.row("SELECT retention_days FROM audit_retention")
        return min(self._max_days, row["retention_days"]) if row else self._max_days

    def _ensure(self, first: dt.date, after: dt.date) -> None:
        if self._release.secret_store:
            self._database.rows("SELECT public.audit_partition_ensure(%s::date) AS done", first)
            return
        name = f"audit_events_y{first:%Y}m{first:%m}"
        bounds = f"FOR VALUES FROM ('{first} 00:00:00+00') TO ('{after} 00:00:00+00')"
        self._database.execute(f"CREATE TABLE IF NOT EXISTS public.{name} PARTITION OF public.audit_events {bounds}")

    def _drop(self, leaf: str) -> None:
        if self._release.secret_store:
            self._database.rows("SELECT public.audit_partition_drop(%s) AS done", leaf)
        else:
            self._database.execute(f"DROP TABLE public.{leaf}")
