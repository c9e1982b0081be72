# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: restore a set's databases into a sandbox or a confirmed target."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ..._ansible.boundary import Invocation
from ..._caracal.chains import block_history
from ..._crypto.signing import Signer
from ..._drivers.postgres import target
from ..._drivers.postgres.server import Server
from ..._evidence import access, incarnation, place, restore_entry, sealed_set
from ..._evidence.access import Opened
from ..._inventory import DatabaseInventory
from ..._options import declared
from ..._options.declared import Path, Rules, needed
from ..._options.shared import CopyOptions, RepositoryOptions
from ..._report.check import FAIL, PASS, WARN, Check, CheckResult
from ..._repository import records
from ..._stream import progress
from ..._stream.progress import Progress
from . import readiness, restoration
from .readiness import DumpedOptions
from .restoration import RestoredDatabase


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    RULES = Rules(mutually_exclusive=(("sandbox", "confirm"),), required_one_of=(("sandbox", "signing_key"),))

    copy: CopyOptions = dataclasses.field(default_factory=CopyOptions)
    access: RepositoryOptions
    dumped: DumpedOptions
    signing_key: Path | None = None
    confirm: tuple[str, ...] = ()
    jobs: int = 2
    accept_missing_constraints: bool = False


class RestoreResult(t.TypedDict):
    """The restored databases.

    `target` is the system identifier of the server. `replaced` lists each database that was kept under another name.
    """

    changed: bool
    set_id: str
    checks: list[CheckResult]
    target: str
    databases: list[RestoredDatabase]
    replaced: list[dict[str, str]]
    verdict: str
    diff: dict[str, str]
    journal_head: str
    seconds: float


def run(invocation: Invocation[Options]) -> RestoreResult:
    """Verify the set, check the target and its confirmation, then restore roles and databases and write the journal.

    Check mode only checks.
    """
    with progress.shown() as display:
        return _restored(invocation, display)


def _restored(invocation: Invocation[Options], display: Progress) -> RestoreResult:
    started = time.monotonic()
    given = invocation.options
    opened = access.open_repository(given.access, warn=invocation.warn)
    server, sandbox = place.server_of(given.copy)
    signer = None if sandbox else restore_entry.signer(opened, given.access.deployment, needed(given.signing_key, "signing_key"))
    ready = readiness.ready(opened, given.dumped, given.copy.postgres.pg_bin, sandbox, display)
    the_set, wanted = ready.the_set, ready.wanted
    found = {one["database"]: target.examine(server, one["database"]) for one in wanted}
    doubts = [*ready.checks, *_doubts(wanted, found)]
    target.confirm(found, opened.journal.system_identifiers(), given.confirm, str(server))
    checks = [check.to_result() for check in doubts]
    where = found[wanted[0]["database"]].system_identifier
    heads = _heads(opened, the_set, server, found) if signer else {}
    if invocation.check_mode:
        databases = [_expected(the_set, one["database"]) for one in wanted]
        replaced = [{"database": name, "kept_as": target.kept_name(name)} for name in sorted(found) if found[name].objects]
    else:
        how = (given.jobs, tuple(given.dumped.identity_files), given.confirm, display, given.accept_missing_constraints)
        work = restoration.Restoration(the_set, server, ready.client, *how)
        with restoration.room(server, sandbox):
            work.run(ready.inventory, wanted, sandbox)
        databases, replaced = work.databases, work.replaced
        checks += [check.to_result() for check in work.checks]
        if signer:
            _record(opened, signer, the_set, {"system_identifier": where, "databases": [one["database"] for one in databases]}, heads)
        opened.mark.advance(opened.journal)
    return {
        "changed": True,
        "set_id": the_set.set_id,
        "checks": checks,
        "target": where,
        "databases": databases,
        "replaced": replaced,
        "verdict": FAIL if any(one["required"] and one["verdict"] == FAIL for one in checks) else PASS,
        "diff": _diff(found, [*(one["database"] for one in databases), *(one["kept_as"] for one in replaced)]),
        "journal_head": opened.head,
        "seconds": round(time.monotonic() - started, 3),
    }


def _diff(found: t.Mapping[str, target.TargetState], after: t.Sequence[str]) -> dict[str, str]:
    """Return the names of the target's databases before and after the restore."""
    before = [name for name, one in found.items() if one.exists]
    return {"before": "".join(f"{name}\n" for name in before), "after": "".join(f"{name}\n" for name in after)}


def _doubts(wanted: t.Sequence[DatabaseInventory], found: t.Mapping[str, target.TargetState]) -> list[Check]:
    """Refuse targets that are too old for the databases. Return warnings about the others."""
    return [
        Check(f"restore.{one['database']}.version", WARN, doubt)
        for one in wanted
        for doubt in target.version_fits(one["database"], one["server_version"], found[one["database"]].version)
    ]


def _expected(the_set: sealed_set.SealedSet, database: str) -> RestoredDatabase:
    size = sum(one.size for kind in ("dump", "schema", "leaf") for one in the_set.artifacts(kind, database))
    return {"database": database, "seconds": 0.0, "bytes": size, "leaves": len(the_set.artifacts("leaf", database))}


def _heads(
    opened: Opened, the_set: sealed_set.SealedSet, server: Server, found: t.Mapping[str, target.TargetState]
) -> dict[str, list[list[str | int]]]:
    """Return the ends of the audit chains before and after this restore, or nothing if it restores no audit partition."""
    chained = {one.database for one in the_set.artifacts("leaf")} & found.keys()
    if not chained:
        return records.heads_body({}, {})
    existing = [database for database in sorted(found) if database in chained and found[database].exists]
    return records.heads_body(incarnation.heads_before(opened, server, existing), block_history.heads(the_set.blocks()))


def _record(
    opened: Opened, signer: Signer, the_set: sealed_set.SealedSet, where: t.Mapping[str, object], heads: t.Mapping[str, object]
) -> None:
    """Write a journal entry about a real restore, which later verifications must consider."""
    body = {
        "target": where,
        "blocks_sha256": the_set.one("blocks").sha256,
        "heads": heads,
    }
    restore_entry.enter(opened, signer, the_set, body)
