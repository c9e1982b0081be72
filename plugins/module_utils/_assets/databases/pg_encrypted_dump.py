# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: dump databases into an open set."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ..._ansible.boundary import Invocation
from ..._caracal import releases
from ..._drivers.postgres import client_binaries, preflight, snapshot
from ..._drivers.postgres.server import Server, Session
from ..._errors import NoRoom, VerificationFailed, VersionMismatch
from ..._evidence import access, open_set
from ..._evidence.open_set import OpenSet
from ..._options import declared
from ..._options.declared import Path
from ..._options.shared import DumpOptions, OpenSetOptions, PostgresOptions, RecipientOptions, RepositoryOptions
from ..._reading import completeness
from ..._report.check import PASS
from ..._repository import layout as keys
from ..._stream import progress
from ..._stream.progress import Progress
from . import dump_set
from .dump_database import DatabaseSight, DumpJob, layout_of, public

TOOLS = ("pg_dump", "pg_restore", "psql")
APPLICATION = "caracal_ops.backup"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    access: RepositoryOptions
    open_set: OpenSetOptions
    postgres: PostgresOptions = dataclasses.field(default_factory=PostgresOptions)
    dump: DumpOptions = dataclasses.field(default_factory=DumpOptions)
    recipients: RecipientOptions = dataclasses.field(default_factory=RecipientOptions)
    signing_key: Path | None = None
    reread_days: int = 30


class BackupResult(dump_set.DumpResult):
    """A dump in the set `set_id`. In check mode, `artifacts` lists only the artifacts of an earlier run."""

    changed: bool
    set_id: str
    diff: dict[str, str]
    seconds: float


def run(invocation: Invocation[Options]) -> BackupResult:
    """Check the prerequisites, then dump one database after the other. Check mode does not dump."""
    with progress.shown() as display:
        return _dumped(invocation, display)


def _dumped(invocation: Invocation[Options], display: Progress) -> BackupResult:
    started = time.monotonic()
    given = invocation.options
    target = open_set.load(given.access, given.open_set, given.signing_key, given.recipients, invocation.check_mode)
    server = Server.from_options(given.postgres).named(f"{APPLICATION} {given.open_set.set_id}")
    deadline = started + given.dump.max_duration if given.dump.max_duration else None
    inspected = [_look(server, name, invocation.warn) for name in given.dump.databases or _kept(server)]
    seen, accounts = [one for one, _account in inspected], [account for _one, account in inspected]
    client = client_binaries.find(given.postgres.pg_bin, minimum_major=max(one["server_version"] for one in seen) // 10000, tools=TOOLS)
    if client.doubt:
        invocation.warn(client.doubt)
    made = target.parts().get(dump_set.PART)
    if not made:
        target.refuse_leftovers(one.key for one in target.store.list(keys.postgres_folder(target.set_id)))
    _room(target, sum(one["size"] for one in seen), invocation.check_mode)
    whole = completeness.check(accounts)
    # The commit would refuse the set, and it is better to fail before the dump.
    if invocation.check_mode and whole.verdict != PASS:
        raise VerificationFailed(f"the set cannot be committed: {whole.message}", checks=[whole.to_result()])
    found: dump_set.DumpResult = {
        "artifacts": [],
        "bytes": 0,
        "checks": [whole.to_result()],
        "left_out": {name: reason for one in accounts for name, reason in one.left_out.items()},
        "databases": [public(one) for one in seen],
        "partitions": [],
    }
    if made:
        stored: dump_set.DumpResult = made["result"]
        found = {**found, **stored}
    elif target.opened and not invocation.check_mode:
        job = DumpJob(target, target.opened, server, client, given.dump, given.reread_days, deadline, display)
        part = dump_set.dump_all(job, seen)
        target.add_part(dump_set.PART, part)
        found = part["result"]
    listing = "".join(f"{one['database']}\n" for one in found["databases"]) + "".join(f"{one['path']}\n" for one in found["artifacts"])
    diff = {"before": listing if made else "", "after": listing}
    return {"changed": not made, "set_id": given.open_set.set_id, **found, "diff": diff, "seconds": round(time.monotonic() - started, 3)}


def _kept(server: Server) -> list[str]:
    """Return the databases that belong to the release on the server."""
    with Session(server, releases.OWN_DATABASE) as session:
        preflight.full_sight(session)
        read = layout_of(session, releases.OWN_DATABASE)
        # Other databases may have names that are not valid text.
        existing = [
            row[0] for row in session.rows("SELECT datname FROM pg_catalog.pg_database WHERE datname = %s", (releases.AUTH_DATABASE,))
        ]
    return releases.databases(read.detected, existing) if read.detected else [releases.OWN_DATABASE]


def _look(server: Server, database: str, warn: t.Callable[[str], None]) -> tuple[DatabaseSight, completeness.Account]:
    """Check privileges, versions, clocks and lock of one database, and return its facts and what its set would lack.

    Opening the snapshot shows that the lock is free.
    """
    with snapshot.Snapshot(server, database) as held:
        session = held.session
        sight = preflight.full_sight(session)
        read = layout_of(session, database)
        offset = preflight.clock_offset(session, access.now)
        if abs(offset) > preflight.CLOCK_TOLERANCE:
            raise VersionMismatch(
                f"the clocks of {server} and this host differ by {offset:.0f} s, so times in the set are wrong; synchronize both with NTP"
            )
        if read.detected and read.detected.release is None:
            warn(
                f"database {database}: the release is unknown (family {read.detected.family}, "
                f"{len(read.detected.migrations)} migrations) and is recorded as unknown"
            )
        facts: DatabaseSight = {
            "database": database,
            "release": read.detected.release if read.detected else None,
            "family": read.detected.family if read.detected else None,
            "sight": sight,
            "system_identifier": held.facts["system_identifier"],
            "clock_offset": round(offset, 3),
            "server_version": int(session.value("SELECT current_setting('server_version_num')")),
            "size": sum(table.size for table in read.tables),
            "snapshot_time": held.facts["time"],
            "standby": held.facts["standby"],
            "replay_lag": held.facts["replay_lag"],
            "seconds": 0.0,
            "longest_wait": 0.0,
        }
        return facts, completeness.forecast(held.place, held.facts["standby"], read)


def _room(target: OpenSet, size: int, check_mode: bool) -> None:
    """Raise NoRoom if free space is less than half the size of the tables.

    Encrypted artifacts have never been larger than the tables on disk.
    """
    target.check_writable(probe=not check_mode)
    free = target.store.free_bytes()
    if free is not None and free < size // 2:
        raise NoRoom(
            f"{target.store.location} has {free >> 20} MiB free, but the databases "
            f"need about {size >> 21} MiB; free disk space or use another disk"
        )
