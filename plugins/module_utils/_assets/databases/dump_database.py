# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dump one database of a set under one snapshot, with a limit on how long other sessions wait for it."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import time
import typing as t

from ..._caracal import releases
from ..._caracal.chains.audit_blocks import Block
from ..._caracal.source.source_checks import Scan
from ..._crypto.sealing import Sealed
from ..._drivers.postgres import catalog, census, dump, snapshot, wal_summaries
from ..._drivers.postgres.client_binaries import ClientTools
from ..._drivers.postgres.guard import Guard
from ..._drivers.postgres.server import Server, Session
from ..._drivers.postgres.wal_summaries import Changes
from ..._errors import BackupError, StageFailed, VersionMismatch
from ..._evidence import audit_retention, earlier, sealed_census, unchanged
from ..._evidence.access import Opened
from ..._evidence.open_set import OpenSet
from ..._inventory import DatabaseFacts, DatabaseInventory
from ..._options.shared import DumpOptions
from ..._reading import completeness, database_layout, reading, rereads, source_reading
from ..._reading.rereads import Unread
from ..._report.check import WARN, Check
from ..._repository import artifact as artifacts
from ..._repository import layout as keys
from ..._repository.artifact import LEAF, ArtifactRecord
from ..._repository.fields import parse_timestamp, timestamp
from ..._repository.partitions import READ, Partition
from ..._stream import workers
from ..._stream.progress import Progress

SNAPSHOTS = 3
DAY = 86400.0  # seconds
STATISTICS_DELAY = 1.0  # seconds until the server's counters include recent activity of a session


@dataclasses.dataclass(frozen=True)
class DumpJob:
    """The input of a set's dump. `deadline` is a time of the monotonic clock. See the module's options for `reread_days`."""

    target: OpenSet
    opened: Opened
    server: Server
    client: ClientTools
    options: DumpOptions
    reread_days: int
    deadline: float | None
    progress: Progress


class PartitionResult(t.TypedDict):
    """An audit partition in the result. `read_because` is why its rows were read, and `scanned_because` why it needed a census.

    Both are empty if the WAL proves that the rows are the same.
    """

    database: str
    partition: str
    proof: str
    read_because: str
    scanned_because: str
    last_read: str


class DatabaseResult(t.TypedDict):
    """A database in the result. `sight` is the reason why the role can read every row."""

    database: str
    release: str | None
    sight: str
    clock_offset: float
    snapshot_time: str
    standby: bool
    replay_lag: float
    seconds: float
    longest_wait: float


class DatabaseSight(DatabaseResult):
    """A database before its dump."""

    family: str | None
    system_identifier: str
    server_version: int
    size: int


class _SourceRecord(DatabaseSight):
    time: str
    lsn: str


class SourceRecord(_SourceRecord, total=False):
    """A database in its part of the set. The retention is only set if its release has one."""

    audit_retention_days: int | None


@dataclasses.dataclass
class Dumped:
    """One dumped database.

    `source` are facts about the source, `sealed` is the census of encrypted values, `account` lists what the set contains and
    omits, and `scans` are scans of the source. `partitions` are the audit partitions, each with the reasons why it was read, and why
    it was scanned.
    """

    inventory: DatabaseInventory
    blocks: list[Block]
    artifacts: list[ArtifactRecord]
    source: SourceRecord
    checks: list[Check]
    sealed: sealed_census.SealedCensus | None
    account: completeness.Account
    scans: list[Scan]
    partitions: list[tuple[Partition, str, str]]

    def partition_results(self) -> list[PartitionResult]:
        return [
            {
                "database": one.database,
                "partition": one.leaf,
                "proof": one.proof,
                "read_because": reason,
                "scanned_because": scanned,
                "last_read": timestamp(one.last_read),
            }
            for one, reason, scanned in self.partitions
        ]


@dataclasses.dataclass(frozen=True)
class _Definitions:
    """Results of the first tasks: the archive of the schema, the facts of the catalog, and the files that changed since the newest set."""

    schema: Sealed
    facts: DatabaseFacts
    changes: Changes


def layout_of(session: Session, database: str) -> database_layout.Layout:
    """Return the layout of a database. Raise VersionMismatch if the database named `caracal` is not Caracal's."""
    read = database_layout.read(session)
    if read.detected is None and database == releases.OWN_DATABASE:
        raise VersionMismatch(f"database {database} is not a Caracal database: it has no schema_migrations; correct the option databases")
    return read


def dump_database(job: DumpJob, seen: DatabaseSight, history: earlier.History) -> Dumped:
    """Dump one database into the store. If tables change while their definitions are read, start again with a new snapshot."""
    started = time.monotonic()
    database = seen["database"]
    conflicts = snapshot.recovery_conflicts(job.server, database) if seen["standby"] else None
    with Guard(job.server, database, job.options.lock_hold_max) as guard:
        try:
            dumped = _dump(job, guard, seen, history)
        except BackupError as exc:
            if conflicts is None:
                raise
            raise _explained(job.server, database, conflicts, exc) from exc
    dumped.source["seconds"] = round(time.monotonic() - started, 3)
    dumped.source["longest_wait"] = guard.longest_wait
    return dumped


def _explained(server: Server, database: str, conflicts: int, error: BackupError) -> BackupError:
    """Return a specific error if replay on the standby ended the dump. Otherwise return the original error."""
    time.sleep(STATISTICS_DELAY)
    try:
        if snapshot.recovery_conflicts(server, database) == conflicts:
            return error
    except BackupError:
        return error
    return StageFailed(
        f"database {database}: replay on the standby ended the dump (conflict with recovery); set hot_standby_feedback = on or a longer "
        "max_standby_streaming_delay on the standby, or back up from the primary",
        reading=error.msg,
    )


def _dump(job: DumpJob, guard: Guard, seen: DatabaseSight, history: earlier.History) -> Dumped:
    database = seen["database"]
    for last in (False,) * (SNAPSHOTS - 1) + (True,):
        with snapshot.Snapshot(job.server, database) as held:
            read = layout_of(held.session, database)
            tools = job.client.paths
            programs = (tools["pg_dump"], tools["pg_restore"], tools["psql"])
            source = dump.Source(held.place, *programs, job.opened.store, job.target.recipients, job.progress)
            try:
                defined = _Definitions(*_run(job, guard, _definitions(job, source, read, history)))
            except BackupError:
                if last or not _moved(job.server, database, read):
                    raise
                continue
            return _rows(job, guard, held, read, source, history, defined, seen)
    raise StageFailed(f"database {database}: no snapshot was created")


def _run(job: DumpJob, guard: Guard, tasks: t.Sequence[workers.Task]) -> list[t.Any]:
    return workers.run_all([(guard.patiently, (function, *arguments)) for function, arguments in tasks], job.options.jobs, job.deadline)


def _moved(server: Server, database: str, read: database_layout.Layout) -> bool:
    """Return True if tables were created or dropped since. Then the snapshot contains tables that cannot be locked any more."""
    with Session(server, database) as session:
        return {table.qualified for table in database_layout.read(session).tables} != {table.qualified for table in read.tables}


def _definitions(job: DumpJob, source: dump.Source, read: database_layout.Layout, history: earlier.History) -> list[workers.Task]:
    """Return the tasks of `_Definitions`. They run first and take little time, since the catalog may change despite the snapshot."""
    names = [table.name for table in read.tables if table.schema == "public"]
    folder, key = keys.postgres_folder(job.target.set_id), keys.schema_key(job.target.set_id, source.place.database)
    database = source.place.database
    return [
        (dump.schema_archive, (source, folder, key)),
        (reading.facts, (source.place, names, source.pg_dump)),
        (wal_summaries.changes, (job.server, database, history.redo(database))),
    ]


def _rows(
    job: DumpJob,
    guard: Guard,
    held: snapshot.Snapshot,
    read: database_layout.Layout,
    source: dump.Source,
    history: earlier.History,
    defined: _Definitions,
    seen: DatabaseSight,
) -> Dumped:
    """Dump the rows: the archive first, then the audit partitions, largest first."""
    database = source.place.database
    try:
        archive, rest, sealed, scans, *of_leaves = _run(job, guard, _row_tasks(job, guard, held, source, read, history, defined.changes))
    except BackupError:
        held.check_held()
        raise
    passes = [leaf for leaf, _scans in of_leaves]
    leaves = [leaf for leaf in passes if not leaf.gone]
    blocks = [*rest.blocks, *(block for leaf in leaves for block in leaf.blocks)]
    gone = [leaf.table.qualified for leaf in passes if leaf.gone]
    unread = sum(len(leaf.blocks) for leaf in leaves if leaf.proof != READ)
    earlier_checks, retention = _against_earlier(job, held, read.without(gone), history, blocks, unread) if read.leaves else ([], {})
    checks = [*_dropped(gone), *earlier_checks]
    inventory = reading.assemble(database, read, defined.facts, rest, passes)
    with Session(job.server, database) as session:
        inventory["sequences"] = catalog.sequences(session)
    made: list[tuple[ArtifactRecord, Sealed | None]] = [
        (artifact(job, "dump", database, keys.dump_key(job.target.set_id, database), archive), archive),
        (artifact(job, "schema", database, keys.schema_key(job.target.set_id, database), defined.schema), defined.schema),
        *((_leaf_artifact(job, database, leaf, history), leaf.sealed) for leaf in leaves),
    ]
    artifacts = [one for one, _sealed in made]
    inventory["plain"] = {one["path"]: _plain(of) if of else None for one, of in made}
    sealed_leaves = tuple(one["leaf"] or "" for one in artifacts if one["kind"] == LEAF and one["database"] == database)
    holds = completeness.Held(archive.contents, sealed_leaves, frozenset(inventory["sequences"]), frozenset(gone))
    account = guard.patiently(completeness.take, held.place, held.facts["standby"], holds)
    scans += [scan for _leaf, some in of_leaves for scan in some]
    now = parse_timestamp(held.facts["time"])
    partitions = [(_partition(database, leaf, now), leaf.reason, leaf.scanned) for leaf in leaves]
    return Dumped(inventory, blocks, artifacts, _source(seen, held.facts, retention), checks, sealed, account, scans, partitions)


def _partition(database: str, leaf: reading.Leaf, now: datetime.datetime) -> Partition:
    return Partition(database, leaf.table.qualified, leaf.proof, leaf.last_read or now, leaf.census, leaf.unique)


def _source(seen: DatabaseSight, facts: snapshot.SourceFacts, retention: t.Mapping[str, int | None]) -> SourceRecord:
    found: SourceRecord = {**seen, **facts, "snapshot_time": facts["time"]}
    if audit_retention.FIELD in retention:
        found["audit_retention_days"] = retention[audit_retention.FIELD]
    return found


def _against_earlier(
    job: DumpJob, held: snapshot.Snapshot, read: database_layout.Layout, history: earlier.History, blocks: t.Sequence[Block], unread: int
) -> tuple[list[Check], dict[str, int | None]]:
    """Compare the audit rows and their retention with earlier sets. Also return the retention for comparison by later sets."""
    rows = reading.compare_with_earlier(held.place, read, history.known, blocks, history.acknowledged, unread)
    with held.place.join() as session:
        snapshot_time, source = held.facts["time"], held.facts["system_identifier"]
        retention = audit_retention.check(job.opened, session, read, history.known, snapshot_time, source, history.acknowledged)
        return [rows, retention], audit_retention.days(session, read)


def _dropped(gone: t.Sequence[str]) -> list[Check]:
    words = "a partition was dropped while the backup ran, so its rows are not in the set: "
    return [Check("leaves.dropped", WARN, f"{words}{name}", required=False) for name in gone]


def _row_tasks(
    job: DumpJob,
    guard: Guard,
    held: snapshot.Snapshot,
    source: dump.Source,
    read: database_layout.Layout,
    history: earlier.History,
    changes: Changes,
) -> list[workers.Task]:
    folder = keys.postgres_folder(job.target.set_id)
    size = sum(table.size for table in read.rest)
    tasks: list[workers.Task] = [
        (dump.archive, (source, folder, keys.dump_key(job.target.set_id, source.place.database), read.partitioned, size)),
        (reading.rest, (source.place, read.rest)),
        (sealed_census.read, (source.place, read)),
        (source_reading.take, (guard, source.place, read)),
    ]
    proofs = unchanged.Proofs(_due(job, held, read, history), _unsafe(job, source.place.database), changes)
    for leaf in read.leaves:
        name = functools.partial(keys.leaf_key, leaf.name, set_id=job.target.set_id)
        arguments = (source, leaf, folder, name, history.objects(leaf.name), history.settled(leaf.name))
        stored = history.stored.get((source.place.database, leaf.qualified))
        seal = functools.partial(reading.sealed_leaf, *arguments)
        proven = functools.partial(unchanged.leaf, source, leaf, stored, proofs, seal)
        tasks.append((source_reading.with_leaf, (guard, source.place, proven)))
    return tasks


def _due(job: DumpJob, held: snapshot.Snapshot, read: database_layout.Layout, history: earlier.History) -> frozenset[str]:
    """Return the names of the partitions that are read even if they did not change."""
    now = parse_timestamp(held.facts["time"])
    stored = [(leaf, history.stored.get((held.place.database, leaf.qualified))) for leaf in read.leaves]
    unread = [Unread(leaf.qualified, leaf.size, (now - one.last_read).total_seconds()) for leaf, one in stored if one]
    return rereads.due(unread, job.reread_days * DAY)


def _unsafe(job: DumpJob, database: str) -> str:
    """Make the commits in the snapshot durable, or return why that is not possible. Then a census would not prove anything later."""
    try:
        census.make_durable(job.server, database)
    except BackupError as exc:
        return exc.msg
    return ""


def public(seen: DatabaseResult) -> DatabaseResult:
    """Return only the fields of the result."""
    return {
        "database": seen["database"],
        "release": seen["release"],
        "sight": seen["sight"],
        "clock_offset": seen["clock_offset"],
        "snapshot_time": seen["snapshot_time"],
        "standby": seen["standby"],
        "replay_lag": seen["replay_lag"],
        "seconds": seen["seconds"],
        "longest_wait": seen["longest_wait"],
    }


def artifact(job: DumpJob, kind: str, database: str | None, path: str, sealed: Sealed, leaf: str | None = None) -> ArtifactRecord:
    """Return one artifact as recorded in the manifest."""
    made = artifacts.sealed(kind, path, sealed, job.target.recipients, database=database, leaf=leaf)
    return made.to_dict()


def _plain(sealed: Sealed) -> dict[str, object]:
    """Return size and digest of the decrypted artifact, for the inventory."""
    return {"size": sealed.plain_size, "sha256": sealed.plain_sha256}


def _leaf_artifact(job: DumpJob, database: str, leaf: reading.Leaf, history: earlier.History) -> ArtifactRecord:
    if leaf.sealed is None:
        # A restore needs the current database and partition. When the artifact was made, they may have had another name or schema.
        known = history.artifact(leaf.key or "")
        return {**known, "database": database, "leaf": leaf.table.qualified}
    return artifact(job, "leaf", database, leaf.key or "", leaf.sealed, leaf.table.qualified)
