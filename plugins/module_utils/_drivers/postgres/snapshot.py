# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One exported snapshot for everything that is read, and one dump of a database at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from ..._errors import BackupError, Busy
from .server import Server, Session

# Two dumps of one database at once: a session says by its name that it wants to be alone, and dies with its run, so a killed one
# never blocks the next. An advisory lock would do, but any login may take one, and keep us out for ever.
ALONE = " alone"
# How long a run waits for an earlier one, in seconds: of one that was killed, the server may not have noticed yet.
PATIENCE = 60.0
PAUSE = 0.2

# Whoever was there before us, of our login or of one that reads everything too; when others began, only pg_read_all_stats shows.
_EARLIER = """
    SELECT other.pid, other.usename, other.application_name, to_char(other.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')
      FROM pg_catalog.pg_stat_activity other
      JOIN pg_catalog.pg_stat_activity own ON own.pid = pg_backend_pid() AND own.datid = other.datid AND own.pid <> other.pid
     WHERE right(other.application_name, length(%s)) = %s
       AND (other.usesysid = own.usesysid OR pg_has_role(other.usesysid, 'pg_read_all_data', 'USAGE'))
       AND (other.backend_start IS NULL OR (other.backend_start, other.pid) < (own.backend_start, own.pid))
     ORDER BY other.backend_start, other.pid LIMIT 1"""

# A transaction that shows one state of the database from its first query to its end, and changes nothing.
BEGIN = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


@dataclasses.dataclass(frozen=True)
class Place:
    """A database under an exported snapshot: what a worker process needs to read it."""

    server: Server
    database: str
    snapshot: str

    def join(self) -> Session:
        """A session inside the snapshot; closing it ends its transaction."""
        with contextlib.ExitStack() as opened:
            session = opened.enter_context(Session(self.server, self.database))
            session.rows(BEGIN)
            session.rows("SET TRANSACTION SNAPSHOT %s", (self.snapshot,))
            opened.pop_all()
            return session


# On a standby the snapshot is as old as what was replayed last, unless all that the primary sent has been replayed.


class SourceFacts(t.TypedDict):
    """The server when the snapshot was taken: time in UTC, seconds that replay lags behind, position in the WAL."""

    time: str
    standby: bool
    replay_lag: float
    lsn: str
    system_identifier: str


_FACTS = """
    SELECT to_char((clock_timestamp() - make_interval(secs => lag)) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           pg_is_in_recovery(), round(lag::numeric, 3)::float8,
           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text,
           (SELECT system_identifier::text FROM pg_control_system())
      FROM (SELECT CASE WHEN NOT pg_is_in_recovery() THEN 0
                        WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver) THEN 0
                        ELSE extract(epoch FROM clock_timestamp() - coalesce(pg_last_xact_replay_timestamp(), checkpoint_time)) END::float8
              FROM pg_control_checkpoint()) l(lag)"""

# Recovery on a standby ends a reading that stands in its way; the counters say that it did, in any language.
_CONFLICTS = """
    SELECT coalesce(sum(confl_tablespace + confl_lock + confl_snapshot + confl_bufferpin + confl_deadlock), 0)::bigint
      FROM pg_catalog.pg_stat_database_conflicts WHERE datname = current_database()"""


def recovery_conflicts(server: Server, database: str) -> int:
    """How many statements recovery has ended in this database; always 0 on a primary."""
    with Session(server, database) as session:
        return int(session.value(_CONFLICTS))


def _enter(session: Session, server: Server) -> None:
    """Wait for an earlier backup of this database to end. Raises Busy if it goes on."""
    until = time.monotonic() + PATIENCE
    while earlier := session.rows(_EARLIER, (ALONE, ALONE)):
        if time.monotonic() > until:
            pid, role, application, since = earlier[0]
            raise Busy(
                f"another backup of database {session.database} is running on {server}: session {pid} of role {role} ({application})"
                f"{f', since {since}' if since else ''}; wait for it, or end it with pg_terminate_backend({pid})"
            )
        time.sleep(PAUSE)


def _leave(session: Session) -> None:
    """At once, not when the server notices that the session has ended: the next run may begin in the same moment."""
    with contextlib.suppress(BackupError):
        session.value("SELECT pg_catalog.set_config('application_name', '', false)")


class Snapshot:
    """Holds a repeatable-read transaction open; `place` is for those who read in it."""

    def __init__(self, server: Server, database: str, *, alone: bool = True) -> None:
        """`alone` refuses a second one that is alone too: of backups one at a time, of those who only look any number."""
        with contextlib.ExitStack() as opened:
            if alone:
                sign = opened.enter_context(Session(server.named(server.application + ALONE), database))
                opened.callback(_leave, sign)
                _enter(sign, server)
            self.session = opened.enter_context(Session(server, database))
            self.session.refuse_pooler()
            self.session.rows(BEGIN)
            self.place = Place(server, database, self.session.value("SELECT pg_catalog.pg_export_snapshot()"))
            self.facts = self._read_facts()
            self._opened = opened.pop_all()

    def _read_facts(self) -> SourceFacts:
        ((now, standby, lag, lsn, system_identifier),) = self.session.rows(_FACTS)
        return {"time": now, "standby": standby, "replay_lag": lag, "lsn": lsn, "system_identifier": system_identifier}

    def check_held(self) -> None:
        """Raises Unreachable when the server has ended the session that holds the snapshot: what reads in it then fails oddly."""
        self.session.value("SELECT 1")

    def close(self) -> None:
        self._opened.close()

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
