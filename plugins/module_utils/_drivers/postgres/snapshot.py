# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One exported snapshot for all reads of a backup. Only one dump of a database runs at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from ..._errors import BackupError, Busy
from .server import Server, Session
from .wal_summaries import Redo

# Two dumps of one database must not run at once. The application name of a session marks a running dump, and the session ends
# with its run, so a killed run never blocks the next. An advisory lock would also work, but any login could take it and block
# backups forever.
ALONE = " alone"
# How long a run waits for an earlier one, in seconds. The server may not have noticed yet that the earlier run was killed.
PATIENCE = 60.0
PAUSE = 0.2

# Earlier sessions of this login, or of one that also has pg_read_all_data. Only pg_read_all_stats shows when other logins'
# sessions started.
_EARLIER = """
    SELECT other.pid, other.usename, other.application_name, to_char(other.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')
      FROM pg_catalog.pg_stat_activity other
      JOIN pg_catalog.pg_stat_activity own ON own.pid = pg_backend_pid() AND own.datid = other.datid AND own.pid <> other.pid
     WHERE right(other.application_name, length(%s)) = %s
       AND (other.usesysid = own.usesysid OR pg_has_role(other.usesysid, 'pg_read_all_data', 'USAGE'))
       AND (other.backend_start IS NULL OR (other.backend_start, other.pid) < (own.backend_start, own.pid))
     ORDER BY other.backend_start, other.pid LIMIT 1"""

# A read-only transaction that sees one state of the database from its first query to its end.
BEGIN = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


@dataclasses.dataclass(frozen=True)
class Place:
    """A database with an exported snapshot. A worker process needs this to read the database.

    `position` is a position in the WAL, and `redo` the last checkpoint, both from before the snapshot was taken.
    """

    server: Server
    database: str
    snapshot: str
    position: str
    redo: Redo

    def join(self) -> Session:
        """Return a session inside the snapshot. Closing the session ends its transaction."""
        with contextlib.ExitStack() as opened:
            session = opened.enter_context(Session(self.server, self.database))
            session.rows(BEGIN)
            session.rows("SET TRANSACTION SNAPSHOT %s", (self.snapshot,))
            opened.pop_all()
            return session


# On a standby, the snapshot is as old as the last replayed transaction, unless everything that the primary sent has been replayed.


class SourceFacts(t.TypedDict):
    """The server when the snapshot was created: time in UTC, replay lag in seconds, position in the WAL."""

    time: str
    standby: bool
    replay_lag: float
    lsn: str
    system_identifier: str


_BEFORE = """
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END::text,
           redo_lsn::text, split_part(next_xid, ':', 1)::bigint * 4294967296 + split_part(next_xid, ':', 2)::bigint
      FROM pg_control_checkpoint()"""

_FACTS = """
    SELECT to_char((clock_timestamp() - make_interval(secs => lag)) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           pg_is_in_recovery(), round(lag::numeric, 3)::float8,
           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text,
           (SELECT system_identifier::text FROM pg_control_system())
      FROM (SELECT CASE WHEN NOT pg_is_in_recovery() THEN 0
                        WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver) THEN 0
                        ELSE extract(epoch FROM clock_timestamp() - coalesce(pg_last_xact_replay_timestamp(), checkpoint_time)) END::float8
              FROM pg_control_checkpoint()) l(lag)"""

# Recovery on a standby cancels queries that conflict with it. The counters show this regardless of the language of the error.
_CONFLICTS = """
    SELECT coalesce(sum(confl_tablespace + confl_lock + confl_snapshot + confl_bufferpin + confl_deadlock), 0)::bigint
      FROM pg_catalog.pg_stat_database_conflicts WHERE datname = current_database()"""


def recovery_conflicts(server: Server, database: str) -> int:
    """Return how many statements recovery has canceled in this database. It is always 0 on a primary."""
    with Session(server, database) as session:
        return int(session.value(_CONFLICTS))


def _enter(session: Session, server: Server) -> None:
    """Wait for an earlier backup of this database to end. Raise Busy if it does not."""
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
    """Clear the application name at once.

    The server may notice the end of the session only later, and the next run may start before that.
    """
    with contextlib.suppress(BackupError):
        session.value("SELECT pg_catalog.set_config('application_name', '', false)")


class Snapshot:
    """A repeatable-read transaction that stays open. `place` lets other sessions read in it."""

    def __init__(self, server: Server, database: str, *, alone: bool = True) -> None:
        """Export a snapshot.

        With `alone`, raise Busy if another snapshot with `alone` exists: one backup at a time, but any number of other readers.
        """
        with contextlib.ExitStack() as opened:
            if alone:
                sign = opened.enter_context(Session(server.named(server.application + ALONE), database))
                opened.callback(_leave, sign)
                _enter(sign, server)
            self.session = opened.enter_context(Session(server, database))
            self.session.refuse_pooler()
            ((position, redo, next_xid),) = self.session.rows(_BEFORE)
            self.session.rows(BEGIN)
            name = self.session.value("SELECT pg_catalog.pg_export_snapshot()")
            self.place = Place(server, database, name, position, Redo(redo, next_xid))
            self.facts = self._read_facts()
            self._opened = opened.pop_all()

    def _read_facts(self) -> SourceFacts:
        ((now, standby, lag, lsn, system_identifier),) = self.session.rows(_FACTS)
        return {"time": now, "standby": standby, "replay_lag": lag, "lsn": lsn, "system_identifier": system_identifier}

    def check_held(self) -> None:
        """Raise Unreachable if the server has ended the session that holds the snapshot.

        Readers of the snapshot then fail with misleading errors.
        """
        self.session.value("SELECT 1")

    def close(self) -> None:
        self._opened.close()

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
