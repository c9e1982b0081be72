# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check the privileges of the login and the clocks before a backup starts."""

from __future__ import annotations

import datetime
import typing as t

from ..._errors import PermissionMissing
from .server import Session

CLOCK_TOLERANCE = 30.0  # seconds between host and database


def full_sight(session: Session) -> str:
    """Return why this role can read every row and catalog: "superuser", "owner" or "pg_read_all_data with BYPASSRLS".

    A role without these privileges would read zero rows without an error, so it raises PermissionMissing.
    """
    name, superuser, bypass, owner, reads_all, foreign = session.rows(
        """SELECT r.rolname, r.rolsuper, r.rolbypassrls,
                  pg_has_role((SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE'),
                  pg_has_role('pg_read_all_data', 'USAGE'),
                  (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE c.relkind IN ('r', 'p', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
                      AND (c.relforcerowsecurity OR NOT pg_has_role(c.relowner, 'USAGE')))
             FROM pg_roles r WHERE r.rolname = current_user"""
    )[0]
    if superuser:
        return "superuser"
    if owner and not foreign:
        return "owner"
    missing = [grant for grant, held in (("GRANT pg_read_all_data", reads_all), ("ALTER ROLE … BYPASSRLS", bypass)) if not held]
    if missing:
        raise PermissionMissing(
            f"role {name} cannot read every row of database {session.database} (missing: {' and '.join(missing)}); "
            f"run as superuser: GRANT pg_read_all_data TO {name}; ALTER ROLE {name} BYPASSRLS"
        )
    return "pg_read_all_data with BYPASSRLS"


def clock_offset(session: Session, now: t.Callable[[], datetime.datetime]) -> float:
    """Return by how many seconds the database's clock is ahead of this host (negative: behind)."""
    before = now()
    theirs = session.value("SELECT extract(epoch FROM clock_timestamp())")
    middle = before + (now() - before) / 2
    return float(theirs) - middle.timestamp()
