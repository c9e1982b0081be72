# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: verify earlier audit blocks, then add the blocks of new rows to the journal."""

from __future__ import annotations

import dataclasses
import os
import time
import typing as t

from ..._ansible.boundary import Invocation
from ..._caracal.chains import audit_blocks, block_history
from ..._caracal.chains.audit_blocks import Block
from ..._caracal.chains.block_history import Baseline
from ..._caracal.releases import Detected
from ..._crypto.signing import Signer
from ..._drivers.postgres import preflight, snapshot
from ..._drivers.postgres.guard import Guard
from ..._drivers.postgres.server import Server
from ..._errors import Busy, ObjectExists, VersionMismatch
from ..._evidence import access, baseline, history, metrics
from ..._evidence.access import Opened
from ..._options import declared
from ..._options.declared import Path
from ..._options.shared import PostgresOptions, RepositoryOptions
from ..._reading import database_layout, newest_rows, reading
from ..._report.check import FAIL, Check, CheckResult
from ..._repository import entry as entries
from ..._repository import journal as journals
from ..._repository import layout as keys
from ..._repository import records
from ..._repository.entry import Draft
from ..._repository.fields import parse_timestamp
from ..._repository.findings import Recorded
from ..._stream import compression, workers

ATTEMPTS = 5
HOLD_MAX = 10.0  # seconds that other sessions may wait for our locks


@dataclasses.dataclass(frozen=True)
class Taken:
    """The result of one pass over the database. `new` are the blocks that are not in the journal yet."""

    known: Baseline
    detected: Detected | None
    facts: snapshot.SourceFacts
    check: Check
    current: list[Block]
    new: list[Block]
    whole: bool

    @property
    def found(self) -> tuple[Recorded, ...]:
        return history.of_checks([self.check.to_result()])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    access: RepositoryOptions
    postgres: PostgresOptions = dataclasses.field(default_factory=PostgresOptions)
    signing_key: Path
    metrics_file: Path | None = None
    database: str = "caracal"
    jobs: int = 2


class _Compared(t.TypedDict):
    changed: bool
    checkpoint: str | None
    base: int
    since: str
    release: str | None
    snapshot_time: str
    standby: bool
    verdict: str
    checks: list[CheckResult]
    zones: int
    rows: int
    blocks: int
    blocks_not_read: int
    diff: dict[str, str]


class _Comparison(_Compared, total=False):
    msg: str
    failed: bool


class Result(_Comparison):
    """The result of the comparison, and whether it was recorded. `failed` and `msg` are set if a check failed."""

    journal_head: str
    seconds: float


def run(invocation: Invocation[Options]) -> Result:
    """Read and compare. Then, unless in check mode, store the blocks and the journal entry that names them."""
    started = time.monotonic()
    given = invocation.options
    opened = access.open_repository(given.access, warn=invocation.warn)
    # Check first that an entry can be written, so that nothing is read in vain.
    signer = access.signer(opened, given.access.deployment, given.signing_key, keys.BACKUP)
    opened.mark.check_writable()
    opened.store.check_writable(probe=False)
    recorded = False
    for _attempt in range(ATTEMPTS):
        checkpoint_id = keys.new_set_id(access.now(), os.urandom(5))
        taken = _take(opened, Server.from_options(given.postgres).named(f"caracal_ops.backup {checkpoint_id}"), given)
        recorded |= history.record(opened, signer, checkpoint_id, taken.found, dry=invocation.check_mode)
        result = _result(taken, history.check(opened, {checkpoint_id: taken.found}), checkpoint_id, recorded)
        if result["checkpoint"] and not invocation.check_mode and not _enter(opened, signer, taken, given.database, checkpoint_id):
            journals.refresh(opened.repository, opened.journal)
            continue
        if taken.detected and taken.detected.release is None:
            invocation.warn(
                f"database {given.database}: the release is unknown (family {taken.detected.family}) and is recorded as unknown"
            )
        opened.mark.advance(opened.journal, dry=invocation.check_mode)
        return _finish(invocation, {**result, "journal_head": opened.head, "seconds": round(time.monotonic() - started, 3)})
    raise Busy(f"the journal of {opened.store.location} was changed by other runs {ATTEMPTS} times in a row; run again")


def _finish(invocation: Invocation[Options], result: Result) -> Result:
    metrics.leave(
        invocation.options.metrics_file,
        invocation,
        lambda: metrics.of_checkpoint(
            invocation.options.access.deployment, result["verdict"], result["seconds"], result["rows"], access.now()
        ),
    )
    return result


def _take(opened: Opened, server: Server, given: Options) -> Taken:
    database = given.database
    # The journal was read before the snapshot. Otherwise another host's checkpoint could contain rows that this
    # snapshot does not show.
    with Guard(server, database, HOLD_MAX) as guard, snapshot.Snapshot(server, database, alone=False) as held:
        preflight.full_sight(held.session)
        read = database_layout.read(held.session)
        if not read.leaves:
            raise VersionMismatch(
                f"database {database} is not a Caracal database: it has no partitions of audit_events; correct the option database"
            )
        known = baseline.load(opened, held.facts["system_identifier"])
        whole = not known.blocks or bool(known.problem) or block_history.is_reanchored(known, read.detected)
        tasks = newest_rows.tasks(held.place, read, None if whole else known.blocks)
        found = workers.run_all([(guard.patiently, (function, *arguments)) for function, arguments in tasks], given.jobs)
        current = [block for one in found for block in one.blocks]
        unread = sum(one.unread for one in found)
        left = read.without([one.table.qualified for one in found if one.gone])
        accepted = history.acknowledged(opened)
        check = guard.patiently(reading.compare_with_earlier, held.place, left, known, current, accepted, unread)
    old = set() if whole else set(known.blocks)
    new = [] if whole and set(current) == set(known.blocks) and not known.problem else [block for block in current if block not in old]
    return Taken(known, read.detected, held.facts, check, current, new, whole)


def _result(taken: Taken, earlier: Check, checkpoint_id: str, recorded: bool) -> _Comparison:
    doubt = taken.check.verdict == FAIL or bool(taken.known.problem)
    # A checkpoint cannot record blocks that were removed, so after an acknowledgement the next set is the new base.
    enters = bool(taken.new) and not doubt and not taken.check.details.get("acknowledged")
    checks = [taken.check, earlier]
    failed = next((one for one in checks if one.verdict == FAIL), taken.check)
    had, has = ({block.key: block for block in blocks} for blocks in (taken.known.blocks, taken.current))
    result: _Comparison = {
        "changed": enters or recorded,
        "checkpoint": checkpoint_id if enters else None,
        "base": 0 if taken.whole else taken.known.sequence,
        "since": taken.known.name,
        "release": taken.detected.release if taken.detected else None,
        "snapshot_time": taken.facts["time"],
        "standby": taken.facts["standby"],
        "verdict": failed.verdict,
        "checks": [one.to_result() for one in checks],
        "zones": len({key[:2] for key in has}),
        "rows": sum(block.rows - (had[key].rows if key in had else 0) for key, block in has.items()),
        "blocks": len(taken.new),
        "blocks_not_read": taken.check.details.get("unread", 0),
        "diff": {"before": _listing(taken.known.blocks), "after": _listing(taken.current if enters else taken.known.blocks)},
    }
    if doubt:
        words = "the blocks were not recorded in the journal. Find the cause, then create a backup set as the base of later checkpoints"
        result["failed"], result["msg"] = True, f"{taken.check.message}; {words}"
    elif failed.verdict == FAIL:
        result["failed"], result["msg"] = True, failed.message
    return result


def _listing(blocks: t.Iterable[Block]) -> str:
    """Return a line with the head of each zone."""
    return "".join(f"{chain} {zone} {head}\n" for (chain, zone), head in sorted(block_history.heads(blocks).items()))


def _enter(opened: Opened, signer: Signer, taken: Taken, database: str, checkpoint_id: str) -> bool:
    """Store the blocks, then the journal entry that makes them valid. Returns False if another run has appended to the
    journal first.

    In that case the comparison is outdated, and no entry refers to the stored blocks.
    """
    body = records.Checkpoint(
        checkpoint_id=checkpoint_id,
        base=0 if taken.whole else taken.known.sequence,
        database=database,
        system_identifier=taken.facts["system_identifier"],
        family=taken.detected.family if taken.detected else None,
        release=taken.detected.release if taken.detected else None,
        snapshot_time=parse_timestamp(taken.facts["time"]),
        lsn=taken.facts["lsn"],
        standby=taken.facts["standby"],
    )
    data = compression.compress(audit_blocks.to_tsv(taken.new))
    opened.store.put(body.key, data)
    times = {**access.times(), "database": taken.facts["time"]}
    subjects = [entries.subject(body.key, entries.sha256(data))]
    draft = Draft(entries.CHECKPOINT, subjects, body.to_body(), times, access.machine())
    try:
        journals.append_once(opened.repository, opened.journal, signer, draft)
    except ObjectExists:
        return False
    return True
