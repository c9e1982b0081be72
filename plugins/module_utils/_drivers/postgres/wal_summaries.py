# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a database that changed since an earlier snapshot, from the WAL summaries of PostgreSQL 17 and later.

With `summarize_wal = on`, the server records for each checkpoint which blocks of which files the WAL before it changes. The redo point
of a checkpoint is a position in the WAL, and a transaction that began later writes only after it. Let `Redo` be the last one before the
earlier snapshot. If each transaction that this snapshot does not show began after it, the summaries from the redo point on contain all
changes that the snapshot does not show. The position of the snapshot itself is not sufficient, because a transaction that ran at that
time may have changed the file before.

Summaries end at checkpoints. So `changes` requests a checkpoint, and waits until its summary exists.
"""

from __future__ import annotations

import dataclasses
import time

from ..._errors import BackupError, StageFailed
from .server import Server, Session

FIRST_MAJOR = 17
# Seconds to wait for a checkpoint and its summary. Then a census proves what changed.
PATIENCE = 60.0
PAUSE = 0.1
MAIN_FORK = 0
# A change of all files of a database, for example its creation.
ALL_FILES = "0"

_ABILITIES = """
    SELECT pg_is_in_recovery(), coalesce(current_setting('summarize_wal', true), '') = 'on',
           pg_has_role(current_user, 'pg_checkpoint', 'USAGE')"""
_NOW = "SELECT pg_current_wal_insert_lsn()::text, ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int"
_SUMMARIES = """
    SELECT start_lsn::text, end_lsn::text FROM pg_available_wal_summaries()
     WHERE tli = %s AND end_lsn > %s::pg_lsn ORDER BY start_lsn"""
_CHANGED = """
    SELECT DISTINCT concat_ws('/', b.reldatabase, b.reltablespace, b.relfilenode)
      FROM pg_available_wal_summaries() s, pg_wal_summary_contents(s.tli, s.start_lsn, s.end_lsn) b, pg_database d
     WHERE s.tli = %s AND s.end_lsn > %s::pg_lsn AND d.datname = current_database() AND b.reldatabase = d.oid
       AND (b.relforknumber = %s OR b.is_limit_block)"""


@dataclasses.dataclass(frozen=True)
class Redo:
    """The redo point of the last checkpoint before a snapshot, and the transaction ID with epoch that was assigned next at that point."""

    lsn: str
    next_xid: int


@dataclasses.dataclass(frozen=True)
class Changes:
    """The files that changed since the redo point `since`, as OIDs of database, tablespace and file, joined by `/`.

    If they are unknown, `reason` is not empty.
    """

    since: str
    files: frozenset[str] = frozenset()
    reason: str = ""

    def has(self, file: str) -> bool:
        """Return True if a file changed. It is given as in `Facts.file`."""
        database, space, _table, node = file.split("/")
        return not self.files.isdisjoint((f"{database}/{space}/{node}", f"{database}/{space}/{ALL_FILES}"))


def changes(server: Server, database: str, since: str) -> Changes:
    """Return the changed files of a database since a redo point, up to now. Requests a checkpoint.

    An error is a reason too, because a backup can do without.
    """
    if not since:
        return Changes(since, reason="the newest set has no redo point")
    try:
        with Session(server, database, settings={"statement_timeout": f"{PATIENCE:.0f}s"}) as session:
            reason = _unable(session)
            return Changes(since, reason=reason) if reason else _changes(session, since)
    except BackupError as exc:
        return Changes(since, reason=exc.msg)


def _unable(session: Session) -> str:
    """Return why the server or the login cannot provide summaries, or an empty string."""
    major = int(session.value("SHOW server_version_num")) // 10_000
    if major < FIRST_MAJOR:
        return f"PostgreSQL {major} has no WAL summaries"
    ((standby, summarizes, checkpoints),) = session.rows(_ABILITIES)
    if standby:
        return "WAL summaries of a standby are not used"
    if not summarizes:
        return "summarize_wal is off"
    return "" if checkpoints else "the login is not a member of pg_checkpoint"


def _changes(session: Session, since: str) -> Changes:
    ((until, timeline),) = session.rows(_NOW)
    end = time.monotonic() + PATIENCE
    session.rows("CHECKPOINT")
    while (reason := _gap(session.rows(_SUMMARIES, (timeline, since)), since, until)) and time.monotonic() < end:
        time.sleep(PAUSE)
    if reason:
        return Changes(since, reason=reason)
    files = frozenset(str(file) for (file,) in session.rows(_CHANGED, (timeline, since, MAIN_FORK)))
    # The server may have removed summaries meanwhile.
    return Changes(since, files, _gap(session.rows(_SUMMARIES, (timeline, since)), since, until))


def _gap(summaries: list[tuple[str, str]], since: str, until: str) -> str:
    """Return why these summaries, given as start and end, do not cover the WAL without a gap, or an empty string.

    One must begin at the redo point `since`. After files were reset to an earlier state, probably none does.
    """
    reached = position(since)
    if not any(position(start) == reached for start, _end in summaries):
        return "no WAL summary begins at the redo point of the newest set"
    for start, end in summaries:
        if position(start) <= reached:
            reached = max(reached, position(end))
    return "" if reached >= position(until) else "the WAL summaries do not reach the snapshot"


def position(lsn: str) -> int:
    """Return a position in the WAL as a number. Raises StageFailed for another text."""
    try:
        high, low = lsn.split("/")
        return int(high, 16) << 32 | int(low, 16)
    except ValueError as exc:
        raise StageFailed(f"{lsn[:40]!a} is not a position in the WAL; check the server") from exc
