# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Use case of the module of the same name: a set's databases into a sandbox or a confirmed target."""

from __future__ import annotations

import time
import typing as t

from .._backupset import entry as entries
from .._backupset import journal as journals
from .._backupset import layout as keys
from .._caracal import upgrade
from .._crypto.signing import Signer
from .._errors import OptionError, TamperedData
from .._report.check import FAIL
from .._sources import client_binaries
from .._sources.postgres import target
from . import options, place, restoration, sealed_set
from .boundary import Invocation
from .options import Opened


def run(invocation: Invocation) -> dict[str, t.Any]:
    """Verify, examine, confirm; then (not in check mode) roles, databases, journal."""
    started = time.monotonic()
    given = invocation.options
    opened = options.open_repository(given)
    server, sandbox = place.server_of(given)
    signer = None if sandbox else Signer(given["signing_key"], keys.principal(keys.OPERATOR, given["deployment"]))
    the_set = sealed_set.SealedSet(opened, given["set_id"], given["identity_files"])
    _intact(opened, the_set)
    manifest = the_set.open_set.manifest
    release = upgrade.judge(manifest.release, manifest.family, given["release"])
    inventory = the_set.inventory()
    wanted = _wanted(inventory, given["databases"])
    found = {one["database"]: target.examine(server, one["database"]) for one in wanted}
    for one in wanted:
        target.version_fits(one["database"], one["server_version"], found[one["database"]]["version"])
        target.confirm(one["database"], found[one["database"]], opened.journal.system_identifiers(), given["confirm"], str(server))
    client = client_binaries.find(
        given["pg_bin"], minimum_major=max(one["server_version"] for one in wanted) // 10000, tools=("pg_restore",)
    )
    result: dict[str, t.Any] = {
        "changed": True,
        "set_id": the_set.set_id,
        "checks": [release.to_result()],
        "target": found[wanted[0]["database"]]["system_identifier"],
    }
    if invocation.check_mode:
        result["databases"] = [{"database": one["database"], "seconds": 0.0, "bytes": 0, "leaves": len(one["leaves"])} for one in wanted]
    else:
        work = restoration.Restoration(opened, the_set, server, client, given["jobs"], tuple(given["identity_files"]))
        with restoration.room(server, sandbox):
            work.run(inventory, wanted, strict=sandbox is not None)
        result["databases"] = work.databases
        result["checks"] += [check.to_result() for check in work.checks]
        if signer:
            _record(opened, signer, the_set, result)
        opened.mark.advance(opened.journal)
    before = "".join(f"{name}\n" for name, one in found.items() if one["exists"])
    result["diff"] = {"before": before, "after": "".join(f"{one['database']}\n" for one in wanted)}
    return {**result, "journal_head": opened.head, "seconds": round(time.monotonic() - started, 3)}


def _intact(opened: Opened, the_set: sealed_set.SealedSet) -> None:
    """Every digest before the first change."""
    bad = [check for check in opened.catalog.verify_objects(the_set.open_set) if check.verdict == FAIL]
    if bad:
        raise TamperedData(f"set {the_set.set_id}: {bad[0].message}", checks=[check.to_result() for check in bad])


def _wanted(inventory: dict[str, t.Any], names: t.Sequence[str]) -> list[dict[str, t.Any]]:
    databases = inventory["databases"]
    unknown = set(names) - {one["database"] for one in databases}
    if unknown:
        raise OptionError(f"the set has no database {sorted(unknown)[0]}; it has {', '.join(one['database'] for one in databases)}")
    return [one for one in databases if not names or one["database"] in names]


def _record(opened: Opened, signer: Signer, the_set: sealed_set.SealedSet, result: dict[str, t.Any]) -> None:
    """A real restore is an event that later verification must know of."""
    record = the_set.open_set.record
    body = {
        "set": the_set.set_id,
        "target": {"system_identifier": result["target"], "databases": [one["database"] for one in result["databases"]]},
        "blocks_sha256": the_set.one("blocks").sha256,
    }
    subjects = [entries.subject(keys.manifest_key(the_set.set_id), record.manifest_sha256)]
    journals.append(
        opened.repository, opened.journal, signer, entries.RESTORE, subjects, body, time=options.times(), machine=options.machine()
    )
