# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Let a PostgreSQL server summarize its WAL, and let a login request checkpoints, so that backups scan no unchanged partition."""

from __future__ import annotations

import time

from .._drivers.postgres.server import Session
from .._drivers.postgres.wal_summaries import FIRST_MAJOR
from .._errors import OptionError, StageFailed

ROLE = "pg_checkpoint"
PATIENCE = 10.0  # seconds until the server has read its settings again
PAUSE = 0.1

_STATE = "SELECT current_setting('server_version_num')::int / 10000, current_setting('wal_level'), current_setting('summarize_wal', true)"
_MEMBER = "SELECT pg_has_role(oid, %s, 'USAGE') FROM pg_catalog.pg_roles WHERE rolname = %s"


def ensure(session: Session, user: str, check_mode: bool) -> list[str]:
    """Create what is missing, and return its names. Raises OptionError if the server cannot summarize its WAL."""
    ((major, level, on),) = session.rows(_STATE)
    if major < FIRST_MAJOR:
        raise OptionError(f"PostgreSQL {major} has no WAL summaries, which version {FIRST_MAJOR} introduced; set summarize_wal to false")
    if level == "minimal":
        raise OptionError("the server has wal_level = minimal, so it cannot summarize its WAL; set wal_level to replica and restart it")
    member = bool(next((found for (found,) in session.rows(_MEMBER, (ROLE, user))), False))
    if not check_mode and not member:
        session.rows(f"GRANT {ROLE} TO {session.value('SELECT pg_catalog.quote_ident(%s)', (user,))}")
    if not check_mode and on != "on":
        session.rows("ALTER SYSTEM SET summarize_wal = on")
        session.rows("SELECT pg_reload_conf()")
        _wait(session)
    return [*([f"{ROLE} of {user}"] if not member else []), *(["summarize_wal of the server"] if on != "on" else [])]


def _wait(session: Session) -> None:
    end = time.monotonic() + PATIENCE
    while session.value("SHOW summarize_wal") != "on":
        if time.monotonic() > end:
            raise StageFailed("the server did not accept summarize_wal = on; check its log and the files that set summarize_wal")
        time.sleep(PAUSE)
