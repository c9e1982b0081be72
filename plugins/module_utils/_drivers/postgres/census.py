# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prove that a partition has the same rows as in an earlier snapshot, without reading their columns.

A census scans the partition once. It counts the visible rows, and the rows with a transaction ID that was not completed at
the earlier snapshot. If there are none of the latter, each row was committed before the earlier snapshot. A row that was
deleted before that snapshot is not visible now either. So the rows of now are a subset of the rows of then, and equal
counts make them equal. The sum of hashes over positions and transaction IDs is a second witness.

This holds only while transaction IDs are not assigned again, no row becomes visible without a new transaction ID, and the
same row has the same text. So `Facts` must be equal as well:

- Commits that the earlier snapshot shows were durable before its census was recorded (`make_durable`), and system
  identifier and timeline are equal. So a crash or failover cannot assign their IDs again.
- The partition has the same file. `TRUNCATE`, `COPY FREEZE` and `VACUUM FULL` create another one. The partition is locked
  against them while the facts are read and its rows are counted.
- Columns, types and server version are equal. Catalog rows are compared with their transaction IDs, so a change that was
  undone counts as a change.

WAL summaries of the server, if it has them, prove without a scan that the file did not change (see `wal_summaries`). Then the
census of the earlier snapshot is the census of now, and `Facts` must be equal as well.

Neither holds against a write past SQL into the files, or against files that were reset to an earlier state on the same
timeline. So each partition is also read regularly (see `rereads`).
"""

from __future__ import annotations

import dataclasses
import hashlib

from ..._crypto import strict_json
from ..._repository.partitions import CENSUS, WAL, Census, Facts
from .opening import SETTINGS
from .server import Server, Session
from .snapshot import Place
from .tables import Table
from .wal_summaries import Changes, position

# Transaction IDs of rows have no epoch.
EPOCH = 1 << 32
FIRST = "no earlier census"

# A transaction with an ID that is durable, and so is everything before it in the WAL. It changes no data.
_MARK = """
    SELECT pg_catalog.set_config('synchronous_commit', 'local', true), pg_catalog.pg_logical_emit_message(true, 'caracal_ops.backup', '')"""

# On a standby, the timeline is known only if receiver and control file agree. Other roles than members of pg_read_all_stats do not see
# the receiver's. The functions of a primary raise an error on a standby, so they must not be called there.
_FACTS = """
    SELECT s.system_identifier::text,
           CASE WHEN pg_is_in_recovery()
                THEN (SELECT k.timeline_id FROM pg_control_checkpoint() k, pg_control_recovery() r, pg_stat_wal_receiver w
                       WHERE w.received_tli = k.timeline_id AND r.min_recovery_end_timeline IN (0, k.timeline_id))
                ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END::text,
           version(),
           concat_ws('/', d.oid, CASE c.reltablespace WHEN 0 THEN d.dattablespace ELSE c.reltablespace END, c.oid,
                     pg_relation_filenode(c.oid)),
           c.relkind = 'r' AND c.relpersistence = 'p' AND m.amname = 'heap'
      FROM pg_class c JOIN pg_am m ON m.oid = c.relam, pg_database d, pg_control_system() s
     WHERE c.oid = to_regclass(%s) AND d.datname = current_database()"""

_COLUMNS = """
    SELECT a.attnum, a.attname, a.atttypid::bigint, a.atttypmod, a.attisdropped, a.attgenerated::text, a.attmissingval::text, a.xmin::text
      FROM pg_attribute a WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 ORDER BY 1"""

# The types of the columns, the elements of arrays, the base types of domains, and the labels of enums.
_TYPES = """
    WITH RECURSIVE used(oid) AS (
        SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
        UNION
        SELECT CASE y.typtype WHEN 'd' THEN y.typbasetype ELSE y.typelem END FROM used JOIN pg_type y ON y.oid = used.oid
         WHERE y.typtype = 'd' OR y.typoutput = 'array_out'::regproc
    )
    SELECT y.oid::bigint, y.typname, y.typtype::text, y.typbasetype::bigint, y.typelem::bigint, y.typtypmod, y.xmin::text,
           y.typtype IN ('d', 'e') OR y.typoutput = 'array_out'::regproc
             OR y.typnamespace = 'pg_catalog'::regnamespace AND y.typname = ANY (%s),
           (SELECT json_agg(json_build_array(e.enumlabel, e.enumsortorder, e.xmin::text) ORDER BY e.oid)::text
              FROM pg_enum e WHERE e.enumtypid = y.oid)
      FROM used JOIN pg_type y ON y.oid = used.oid ORDER BY 1"""

# The text of these depends only on the value and on the settings of the session. The text of regclass, money or a range does not.
_SIMPLE = [
    *("bool", "bytea", "char", "bpchar", "varchar", "text", "name", "uuid", "json", "jsonb"),
    *("int2", "int4", "int8", "oid", "float4", "float8", "numeric", "bit", "varbit"),
    *("date", "time", "timetz", "timestamp", "timestamptz", "interval"),
    *("inet", "cidr", "macaddr", "macaddr8"),
]

_COUNT = """
    SELECT count(*), count(*) FILTER (WHERE ((x - %s) & 4294967295) < %s),
           coalesce(sum(hashtidextended(c, hashint8extended(x, 0))), 0)::text
      FROM (SELECT ctid c, xmin::text::bigint x FROM ONLY {table} OFFSET 0) q"""


@dataclasses.dataclass(frozen=True)
class Known:
    """The facts of a partition at a time, or why they are insufficient. `lsn` is a durable position in the WAL."""

    facts: Facts | None
    lsn: str = ""
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Counted:
    """The result of a census: the census, or None and the reason. `changed` is why the rows may differ from the earlier census.

    `proof` is how that was found out, and `scanned` is why it needed a scan.
    """

    census: Census | None
    changed: str
    proof: str = CENSUS
    scanned: str = ""


def make_durable(server: Server, database: str) -> None:
    """Make all commits durable that a snapshot taken before shows. On a standby they already are."""
    with Session(server, database) as session:
        if not session.value("SELECT pg_is_in_recovery()"):
            session.rows(_MARK)


def known(place: Place, table: Table) -> Known:
    """Return the current facts, which may be newer than the snapshot."""
    with Session(place.server, place.database) as session:
        return _known(session, table)


def _known(session: Session, table: Table) -> Known:
    rows = session.rows(_FACTS, (table.sql,))
    if not rows:
        return Known(None, reason="the partition was dropped")
    ((cluster, timeline, lsn, server, file, plain),) = rows
    if not plain:
        return Known(None, reason="not a permanent heap table")
    if timeline is None:
        return Known(None, reason="the timeline of the standby is unknown; GRANT pg_read_all_stats to the login")
    types = session.rows(_TYPES, (table.sql, _SIMPLE))
    strange = [name for _oid, name, *_rest, simple, _labels in types if not simple]
    if strange:
        return Known(None, reason=f"the text of type {strange[0]} can change")
    text = strict_json.dumps({"columns": session.rows(_COLUMNS, (table.sql,)), "types": types, "settings": SETTINGS})
    return Known(Facts(cluster, timeline, server, file, hashlib.sha256(text).hexdigest()), lsn)


def count(place: Place, table: Table, earlier: Census | None, changes: Changes) -> Counted:
    """Take the census of a partition in the snapshot, and compare it with an earlier one.

    `changes` are the files that changed since the earlier snapshot, up to a time after this snapshot.
    """
    if table.unreadable:
        return Counted(None, "an unlogged table on a standby")
    with place.join() as session:
        # Without this lock, another file could replace the partition's between the facts and the scan.
        session.rows(f"LOCK TABLE ONLY {table.sql} IN ACCESS SHARE MODE")
        now = known(place, table)
        if now.facts is None:
            return Counted(None, now.reason)
        ((low, high),) = session.rows("SELECT pg_snapshot_xmin(s)::text, pg_snapshot_xmax(s)::text FROM pg_current_snapshot() s")
        redo = place.redo.lsn if place.redo.next_xid <= int(low) else ""
        other = _other(place, earlier, now.facts, int(high)) if earlier else FIRST
        scanned = _not_in_summaries(earlier, now.facts, changes)
        if earlier and not other and not scanned:
            return Counted(Census(now.facts, int(low), now.lsn, earlier.rows, earlier.positions, redo), "", WAL)
        since = earlier.xmin if earlier else int(high)
        ((rows, newer, positions),) = session.rows(_COUNT.format(table=table.sql), (since % EPOCH, int(high) - since))
    found = Census(now.facts, int(low), now.lsn, rows, positions, redo)
    if earlier and not other and (newer or (earlier.rows, earlier.positions) != (rows, positions)):
        other = "rows were inserted, changed or deleted"
    return Counted(found, other, scanned=scanned)


def _not_in_summaries(earlier: Census | None, now: Facts, changes: Changes) -> str:
    """Return why WAL summaries do not prove that the file is unchanged, or an empty string if they do."""
    if changes.reason:
        return changes.reason
    if earlier is None or not earlier.redo or earlier.redo != changes.since:
        return "the earlier census has no redo point"
    return "the WAL changes its file" if changes.has(now.file) else ""


def _other(place: Place, earlier: Census, new: Facts, high: int) -> str:
    """Return why an earlier census cannot be compared with this snapshot, or an empty string."""
    old = earlier.facts
    if position(place.position) < position(earlier.lsn) or not 0 <= high - earlier.xmin < EPOCH:
        return "the server is at an earlier point in time, or IDs wrapped around"
    if (old.cluster, old.timeline) != (new.cluster, new.timeline):
        return "another cluster or timeline"
    if old.server != new.server:
        return "another version of the server"
    if old.file != new.file:
        return "another file, for example after VACUUM FULL or TRUNCATE"
    if old.columns != new.columns:
        return "other columns, types or settings"
    return ""
