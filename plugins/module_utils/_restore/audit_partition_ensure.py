# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: create the partitions of the audit log before the first new event arrives."""

from __future__ import annotations

import dataclasses
import typing as t

from .._ansible.boundary import Invocation
from .._caracal import partitions
from .._caracal.partitions import Month
from .._drivers.postgres.server import Server, Session
from .._drivers.postgres.tables import quote
from .._errors import (
    Busy,
    PermissionMissing,
    StageFailed,
    VerificationFailed,
    VersionMismatch,
)
from .._evidence import access, place

# Number of months after the current one that get a partition, as in Caracal.
MONTHS = 3
# While this session waits for the lock, other sessions that write events wait behind it.
LOCK_TIMEOUT = "5s"
# SQLSTATE of an unavailable lock, and of a deadlock.
_IN_USE = ("55P03", "40P01")

_FUNCTION = "public.audit_partition_ensure(date)"
# A function without SECURITY DEFINER would run untrusted code as this login, so it is not used. The partitions are then
# created directly.
_PARENT = f"""
    SELECT pg_get_userbyid(c.relowner), current_user,
           pg_has_role(c.relowner, 'USAGE')
             AND coalesce(has_function_privilege(to_regprocedure('{_FUNCTION}'), 'EXECUTE'), has_schema_privilege('public', 'CREATE')),
           EXISTS (SELECT FROM pg_catalog.pg_proc f WHERE f.oid = to_regprocedure('{_FUNCTION}') AND f.prosecdef),
           date_trunc('month', now() AT TIME ZONE 'UTC')::date
      FROM pg_catalog.pg_class c
     WHERE c.oid = to_regclass('public.{partitions.PARENT}') AND c.relkind = 'p'
       AND pg_get_partkeydef(c.oid) = '{partitions.KEY}'"""
# A relation with a partition's name that is not a partition counts too, because Caracal's function only checks the
# name.
_LEAVES = f"""
    SELECT c.relname, n.nspname, CASE WHEN i.inhrelid IS NULL THEN 'not a partition of {partitions.PARENT}'
                                      ELSE pg_get_expr(c.relpartbound, c.oid) END
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = to_regclass('public.{partitions.PARENT}')
     WHERE i.inhrelid IS NOT NULL OR (n.nspname = 'public' AND c.relname = ANY(%s))"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(place.TargetOptions):
    """Options of the module of the same name."""


class EnsureResult(t.TypedDict):
    """Partitions by name. `target` is the system identifier of the server."""

    changed: bool
    target: str
    made: list[str]
    present: list[str]
    diff: dict[str, str]


def run(invocation: Invocation[Options]) -> EnsureResult:
    """Confirm the target, find missing partitions, and (unless in check mode) create all of them in one transaction."""
    given = invocation.options
    opened = access.open_repository(given.access, warn=invocation.warn)
    server, system_identifier = place.confirmed(opened, given)
    months, missing = _ensure(server, given, invocation.check_mode)
    opened.mark.advance(opened.journal, dry=invocation.check_mode)
    return {
        "changed": bool(missing),
        "target": system_identifier,
        "made": [month.name for month in missing],
        "present": [month.name for month in months if month not in missing],
        "diff": {
            "before": "".join(f"{month.name}: missing\n" for month in missing),
            "after": "".join(f"{month.name}: {month.low} to {month.high}\n" for month in missing),
        },
    }


def _ensure(server: Server, given: Options, dry: bool) -> tuple[list[Month], list[Month]]:
    """Return the wanted months, and the months that are or would be created."""
    with Session(server, given.database) as session:
        session.rows("BEGIN")
        session.rows("SELECT pg_catalog.set_config('lock_timeout', %s, true)", (LOCK_TIMEOUT,))
        parent = _parent(session)
        months = partitions.wanted(parent.this_month, MONTHS)
        missing = _missing(session, months)
        _nothing_in_default(session, parent, missing)
        if missing and not dry:
            _make(session, parent, missing)
            # The function belongs to the database, so it may have created something else.
            if left := _missing(session, months):
                raise VerificationFailed(f"database {session.database}: {left[0].name} was not created; {parent.by_hand(left[0].create())}")
        session.rows("ROLLBACK" if dry else "COMMIT")
    return months, missing


@dataclasses.dataclass(frozen=True)
class _Parent:
    owner: str
    function: bool
    this_month: t.Any

    def by_hand(self, statements: str) -> str:
        return f"nothing was changed; run as role {self.owner}: {statements}"


def _parent(session: Session) -> _Parent:
    rows = session.rows(_PARENT)
    if not rows:
        raise VersionMismatch(
            f"database {session.database} has no table public.{partitions.PARENT} that is partitioned by {partitions.KEY}; "
            "correct the database name"
        )
    owner, user, may, function, this_month = rows[0]
    if not may:
        raise PermissionMissing(
            f"role {user} may not create partitions of {partitions.PARENT} in database {session.database}; use the owner {owner} or a "
            f"superuser. That login needs EXECUTE on {_FUNCTION}; if the function does not exist, it needs CREATE on schema public"
        )
    return _Parent(owner, function, this_month)


def _missing(session: Session, months: t.Sequence[Month]) -> list[Month]:
    """Return the months without a partition. Raises VerificationFailed if another relation blocks a month."""
    leaves = {name if schema == "public" else f"{schema}.{name}": bounds for name, schema, bounds in _leaves(session, months)}
    for month in months:
        if taken := partitions.conflict(month, leaves):
            raise VerificationFailed(
                f"database {session.database}: {taken[0]} is {taken[1]}, but {month.name} must be {month.bounds} (nothing was changed); "
                f"detach or rename {taken[0]}, and move its events to the right partition"
            )
    return [month for month in months if month.name not in leaves]


def _leaves(session: Session, months: t.Sequence[Month]) -> list[tuple[t.Any, ...]]:
    return session.rows(_LEAVES, ([month.name for month in months],))


def _nothing_in_default(session: Session, parent: _Parent, missing: t.Sequence[Month]) -> None:
    """Raise VerificationFailed if the default partition has events of a missing month, because PostgreSQL would not create
    its partition.
    """
    found = []
    for name, schema, bounds in _leaves(session, missing):
        default = f"{quote(schema)}.{quote(name)}"
        for month in missing if bounds == partitions.DEFAULT else ():
            count = session.value(f"SELECT count(*) FROM {default} WHERE occurred_at >= %s AND occurred_at < %s", (month.low, month.high))
            if count:
                found.append({"month": f"{month.low:%Y-%m}", "default": name, "count": count, "move": month.move(default)})
    if found:
        first = found[0]
        more = f" (and of {len(found) - 1} more months)" if found[1:] else ""
        raise VerificationFailed(
            f"database {session.database}: {first['count']} event(s) of {first['month']}{more} are in {first['default']}, so the month's "
            f"partition cannot be created; {parent.by_hand(str(first['move']))}",
            default_rows=found,
        )


def _make(session: Session, parent: _Parent, missing: t.Sequence[Month]) -> None:
    try:
        for month in missing:
            if parent.function:
                session.rows("SELECT public.audit_partition_ensure(%s)", (month.low,))
            else:
                session.rows(month.create())
                session.rows(f"ALTER TABLE public.{month.name} OWNER TO {quote(parent.owner)}")
    except StageFailed as exc:
        if exc.details["sqlstate"] not in _IN_USE:
            raise
        raise Busy.caused_by(
            exc, f"{exc.msg}: another session uses {partitions.PARENT} (nothing was changed); stop the services and run this again"
        ) from exc
