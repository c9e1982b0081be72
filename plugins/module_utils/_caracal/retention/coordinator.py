# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows that the coordinator's cleaner should have removed, and whether it has the rights to remove them."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ..._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, WARN, Check
from ..._report.text import duration
from .. import outbox
from ..inventory.inventory import Reader
from ..releases import SECRET_STORE, ZONE_KEK
from .settings import DELEGATION, OUTBOX, SESSION, Effective

PREFIX = "retention.coordinator"
ROLE = "caracalcoordinator"
# The cleaner runs every 15 minutes, in batches of 500 rows.
GRACE = datetime.timedelta(hours=2)
BOTH = (SECRET_STORE, ZONE_KEK)
# The cleaner uses one transaction for all tables. If one right is missing, nothing is removed.
REMOVES = ("delegation_edges", "caracal_outbox", "sessions", "coordinator_idempotency_receipts")


@dataclasses.dataclass(frozen=True)
class Kept:
    """Rows that the cleaner processes. `ended` is a query for their end time (`at`), and `variable` sets how long they are
    kept after it.
    """

    id: str
    noun: str
    late: str
    variable: str | None
    families: tuple[str, ...]
    table: str
    ended: str

    @property
    def query(self) -> str:
        """The query for the total count, the earliest end time, and the count that ended before a time."""
        return f"SELECT count(*), min(at), count(*) FILTER (WHERE at < %s) FROM ({self.ended}) ended"


TABLE = (
    Kept("delegations", "delegations that ended", "are past their retention time", DELEGATION, BOTH, "delegation_edges",
         """SELECT coalesce(revoked_at, expires_at) AS at FROM public.delegation_edges e WHERE status IN ('revoked', 'expired')
              AND NOT EXISTS (SELECT FROM public.delegation_edges child WHERE child.parent_edge_id = e.id AND child.status = 'active')"""),
    Kept("outbox", "published events of the coordinator", "are past their retention time", OUTBOX, BOTH, "caracal_outbox",
         "SELECT coalesce(published_at, created_at) AS at FROM public.caracal_outbox WHERE status = 'published'"),
    Kept("sessions", "agents that ended", "are past their retention time", SESSION, (SECRET_STORE,), "sessions",
         """SELECT terminated_at AS at FROM public.sessions s WHERE status IN ('terminated', 'expired')
              AND NOT EXISTS (SELECT FROM public.sessions child WHERE child.parent_id = s.id)"""),
    Kept("expiries", "active delegations", "have expired but are still active", None, BOTH, "delegation_edges",
         "SELECT expires_at AS at FROM public.delegation_edges WHERE status = 'active'"),
    Kept("receipts", "idempotency receipts", "have expired but are still stored", None, (SECRET_STORE,), "coordinator_idempotency_receipts",
         "SELECT expires_at AS at FROM public.coordinator_idempotency_receipts"),
)  # fmt: skip

_RIGHTS = """
    SELECT c.relname, has_table_privilege(r.oid, c.oid, 'DELETE')
      FROM pg_catalog.pg_roles r, pg_catalog.pg_class c
     WHERE r.rolname = %s AND c.relnamespace = 'public'::regnamespace AND c.relname = ANY (%s)"""
_OUTBOXES = f"""SELECT (SELECT count(*) FROM public.{outbox.EVENTS} WHERE {outbox.DEAD[outbox.EVENTS]}),
                       (SELECT count(*) FROM public.{outbox.COORDINATOR} WHERE {outbox.DEAD[outbox.COORDINATOR]}),
                       (SELECT count(*) FROM public.{outbox.EVENTS}) + (SELECT count(*) FROM public.{outbox.COORDINATOR})"""


@dataclasses.dataclass(frozen=True)
class Seen:
    """The state of one kind of rows. `oldest` is the earliest end time, or None without rows. Rows that ended before
    `limit` should be removed.
    """

    rows: int
    oldest: datetime.datetime | None
    late: int
    limit: datetime.datetime


@dataclasses.dataclass(frozen=True)
class Facts:
    """The state of a database.

    `believable` is True if the database has zones and migrations, so that zero counts can be trusted. `rights` maps a
    table to whether the cleaner's role may delete from it; it is empty if the role does not exist. `dead` counts rows
    of the API and of the coordinator, `outboxes` all rows of both.
    """

    family: str
    believable: bool
    seen: t.Mapping[str, Seen]
    rights: t.Mapping[str, bool]
    dead: tuple[int, int]
    outboxes: int


def look(reader: Reader, family: str, effective: Effective) -> Facts:
    """Read the facts. Times are compared with the database's clock."""
    now = reader.rows("SELECT now()")[0][0]
    seen = {}
    for one in _of(family):
        days = effective.keeps(one.variable) if one.variable else datetime.timedelta(0)
        rows, oldest, late = reader.rows(one.query, (now - days - GRACE,))[0]
        seen[one.id] = Seen(rows, oldest, late, now - days)
    api, coordinator, outboxes = reader.rows(_OUTBOXES)[0]
    believable = reader.rows("SELECT EXISTS (SELECT FROM public.zones) AND EXISTS (SELECT FROM public.schema_migrations)")[0][0]
    rights = dict(t.cast("list[tuple[str, bool]]", reader.rows(_RIGHTS, (ROLE, list(REMOVES)))))
    return Facts(family, believable, seen, rights, (api, coordinator), outboxes)


def _of(family: str) -> list[Kept]:
    return [one for one in TABLE if family in one.families]


def judge(facts: Facts, effective: Effective) -> list[Check]:
    """Return all checks. Late rows are only a warning if the cleaner lacks a right, because the release was shipped without it."""
    allowed = cleaner(facts)
    late = WARN if allowed.verdict == WARN else FAIL
    found = [(one, _judge(one, facts, late)) for one in _of(facts.family)]
    return [allowed, *(effective.qualified(check) if one.variable else check for one, check in found), dead(facts)]


def cleaner(facts: Facts) -> Check:
    """Check the cleaner's rights. In v1.0.0 and earlier, the cleaner's role lacks a right that it needs."""
    name = f"{PREFIX}.cleaner"
    if facts.family == ZONE_KEK:
        return Check(
            name, NOT_APPLICABLE, "in this release the coordinator logs in as the owner of the tables, who can delete rows", required=False
        )
    if not facts.rights:
        return Check(name, UNPROVEN, f"role {ROLE} does not exist, so it is unknown whether the coordinator can delete rows")
    lacking = [table for table in REMOVES if not facts.rights.get(table)]
    if lacking:
        tables = ", ".join(f"public.{table}" for table in lacking)
        words = (
            f"role {ROLE} cannot delete from {', '.join(lacking)}, so the coordinator's cleaner does not remove or expire any row; "
            f"run as the owner of the tables: GRANT DELETE ON {tables} TO {ROLE}"
        )
        return Check(name, WARN, words, details={"lacking": lacking})
    return Check(name, PASS, f"role {ROLE} can delete from all {len(REMOVES)} tables that its cleaner uses")


def _judge(one: Kept, facts: Facts, late: str) -> Check:
    name, seen = f"{PREFIX}.{one.id}", facts.seen[one.id]
    lag = max(0.0, (seen.limit - seen.oldest).total_seconds()) if seen.oldest else 0.0
    details = {"rows": seen.rows, "late": seen.late, "lag_seconds": lag}
    if seen.late:
        words = f"{seen.late} of {seen.rows} {one.noun} {one.late}, the oldest by {duration(lag)}"
        return Check(name, late, f"{words}; see {PREFIX}.cleaner and the coordinator's log (retention_cleanup_failed)", details=details)
    if not seen.rows and facts.believable:
        return Check(name, NOT_APPLICABLE, f"there are no {one.noun}", required=False, details=details)
    if not seen.rows:
        return Check(
            name,
            UNPROVEN,
            f"there are no {one.noun}, and no zones or migrations either; check that this is the right database",
            details=details,
        )
    return Check(name, PASS, f"0 of {seen.rows} {one.noun} {one.late}", details=details)


def dead(facts: Facts) -> Check:
    """Check for events that were given up, so that their recipients were never notified."""
    name, (api, coordinator) = "retention.outbox.dead", facts.dead
    details = {"event_outbox": api, "caracal_outbox": coordinator}
    if api or coordinator:
        words = (
            f"{api} event(s) of the API and {coordinator} of the coordinator were given up and will not be sent, possibly revocations; "
            "see last_error of the rows, and send them again"
        )
        return Check(name, WARN, words, details=details)
    if not facts.outboxes:
        return Check(name, NOT_APPLICABLE if facts.believable else UNPROVEN, "both outboxes are empty", not facts.believable, details)
    return Check(name, PASS, f"none of {facts.outboxes} events in both outboxes was given up", details=details)
