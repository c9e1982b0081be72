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
from .._crypto.signing import Signer
from .._errors import OptionError, TamperedData
from .._report.check import FAIL, PASS, WARN, Check
from .._sources import client_binaries
from .._sources.client_binaries import ClientTools
from .._sources.postgres import restore, roles, target
from .._sources.postgres.server import Server, Session
from .._stream import workers
from . import options, place, sealed_set
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
        "checks": [],
        "target": found[wanted[0]["database"]]["system_identifier"],
    }
    if invocation.check_mode:
        result["databases"] = [{"database": one["database"], "seconds": 0.0, "bytes": 0, "leaves": len(one["leaves"])} for one in wanted]
    else:
        work = Restoration(opened, the_set, server, client, given["jobs"], tuple(given["identity_files"]))
        work.run(inventory, wanted, strict=sandbox is not None)
        result["databases"] = work.databases
        result["checks"] = [check.to_result() for check in work.checks]
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


class Restoration:
    """One run; `checks` and `databases` fill up on the way."""

    def __init__(
        self, opened: Opened, the_set: sealed_set.SealedSet, server: Server, client: ClientTools, jobs: int, identity_files: tuple[str, ...]
    ) -> None:
        self._opened = opened
        self._set = the_set
        self._server = server
        self._client = client
        self._jobs = jobs
        self._identity_files = identity_files
        self.checks: list[Check] = []
        self.databases: list[dict[str, t.Any]] = []

    def run(self, inventory: dict[str, t.Any], wanted: t.Sequence[dict[str, t.Any]], strict: bool) -> None:
        """Roles first, then every database under a working name, and only then all of them under their own."""
        self._make_roles(inventory["roles"], FAIL if strict else WARN)
        made: list[tuple[str, dict[str, t.Any]]] = []
        try:
            for one in wanted:
                name = target.working_name(one["database"], self._set.set_id)
                made.append((name, one))
                self._load(name, one)
            for name, one in made:
                target.publish(self._server, name, one["database"], one["settings"])
        except BaseException:
            for name, _one in made:
                target.drop(self._server, name)
            raise

    def _make_roles(self, recorded: dict[str, t.Any], verdict: str) -> None:
        with Session(self._server, target.MAINTENANCE, settings={}) as session:
            wrong = roles.create_missing(session, recorded)
        if wrong:
            self.checks.append(
                Check("restore.roles", verdict, f"{wrong[0]}; existing roles are never altered", details={"differences": wrong})
            )
        else:
            self.checks.append(Check("restore.roles", PASS, f"{len(recorded['roles'])} roles as recorded"))

    def _load(self, name: str, recorded: dict[str, t.Any]) -> None:
        started = time.monotonic()
        database = recorded["database"]
        for warning in target.create(self._server, name, recorded["settings"]):
            self.checks.append(Check(f"restore.{database}.locale", WARN, warning))
        to = restore.Destination(self._server, name, self._client.paths["pg_restore"], self._opened.store.location, self._identity_files)
        restore.archive(to, self._set.one("dump", database).path)
        leaves = self._set.artifacts("leaf", database)
        ordered = sorted(leaves, key=lambda one: -one.size)
        tasks = [(restore.leaf, (to, *(one.leaf or "").split(".", 1), one.path)) for one in ordered]
        loaded = workers.run_all(tasks, self._jobs)
        for one, rows in zip(ordered, loaded, strict=True):
            if rows != recorded["leaves"][one.leaf]["rows"]:
                raise TamperedData(
                    f"{one.path}: {rows} rows, the inventory records {recorded['leaves'][one.leaf]['rows']}; use another set"
                )
        restore.post_data(to, self._set.one("schema", database).path, self._jobs)
        restore.analyze(to)
        size = sum(one.size for kind in ("dump", "schema", "leaf") for one in self._set.artifacts(kind, database))
        self.databases.append({"database": database, "seconds": round(time.monotonic() - started, 3), "bytes": size, "leaves": len(leaves)})


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
