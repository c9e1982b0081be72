# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a restore: roles, then every database under a working name, and finally all of them under their own names."""

from __future__ import annotations

import contextlib
import time
import typing as t

from ..._drivers.postgres import restore, roles, row_code, target
from ..._drivers.postgres.client_binaries import ClientTools
from ..._drivers.postgres.server import Server, Session
from ..._errors import BackupError, NoRoom, TamperedData
from ..._evidence import sealed_set
from ..._inventory import ClusterRoles, DatabaseInventory, SetInventory
from ..._report.check import FAIL, PASS, WARN, Check
from ..._repository import objects
from ..._repository.artifact import Artifact
from ..._sandbox import confined, space
from ..._sandbox.info import SandboxInfo
from ..._stream import workers
from ..._stream.progress import SILENT, Progress

# A sandbox shares its disk with other programs. This space remains free when a restore is stopped.
SANDBOX_FREE = 512 << 20


@contextlib.contextmanager
def room(server: Server, sandbox: SandboxInfo | None) -> t.Iterator[None]:
    """Monitor the sandbox's disk during the block. Before it is full, end the sandbox's sessions."""
    if sandbox is None:
        yield
        return
    watch = space.Watch(sandbox.data_directory, SANDBOX_FREE, lambda _free: target.end_sessions(server))
    try:
        with watch:
            yield
    except BackupError as exc:
        if watch.low is None:
            raise
        raise NoRoom(
            f"the restore was stopped: the disk of {sandbox.directory} has only {watch.low >> 20} MiB free; "
            "free disk space or use another sandbox directory"
        ) from exc


class RestoredDatabase(t.TypedDict):
    """A database in the result. `bytes` is the size of its artifacts."""

    database: str
    seconds: float
    bytes: int
    leaves: int


class Restoration:
    """One restore. It fills `checks`, `databases` and `replaced` as it runs."""

    def __init__(
        self,
        the_set: sealed_set.SealedSet,
        server: Server,
        client: ClientTools,
        jobs: int,
        identity_files: tuple[str, ...],
        confirmation: t.Collection[str] = (),
        progress: Progress = SILENT,
        accept_missing: bool = False,
    ) -> None:
        self._accept_missing = accept_missing
        self._set = the_set
        self._server = server
        self._pg_restore: tuple[str, ...] = (client.paths["pg_restore"],)
        self._jobs = jobs
        self._identity_files = identity_files
        self._confirmation = confirmation
        self._progress = progress
        self._sandbox: SandboxInfo | None = None
        self.checks: list[Check] = []
        self.databases: list[RestoredDatabase] = []
        self.replaced: list[dict[str, str]] = []

    def run(self, inventory: SetInventory, wanted: t.Sequence[DatabaseInventory], sandbox: SandboxInfo | None) -> None:
        """Restore roles, then every database under a working name, and finally rename all of them."""
        self._sandbox = sandbox
        if sandbox:
            self._pg_restore = confined.command(sandbox, *self._pg_restore)
        self._make_roles(inventory["roles"], sandbox.superuser if sandbox else None)
        made: list[tuple[str, DatabaseInventory]] = []
        try:
            for one in wanted:
                name = target.working_name(one["database"], self._set.set_id)
                warnings = target.create(self._server, name, one["settings"])
                made.append((name, one))
                self.checks += [Check(f"restore.{one['database']}.locale", WARN, warning) for warning in warnings]
                self._load(name, one)
                for refused in target.set_for_roles(self._server, name, one["settings"]):
                    self.checks.append(Check(f"restore.{one['database']}.settings", WARN, refused))
            self.replaced = target.publish(self._server, [(name, one["database"], one["settings"]) for name, one in made])
        except BaseException:
            for name, _one in made:
                target.drop(self._server, name)
            raise

    def _make_roles(self, recorded: ClusterRoles, host: str | None) -> None:
        with Session(self._server, target.MAINTENANCE, settings={}) as session:
            wrong = roles.create_missing(session, recorded, host)
        if wrong:
            words = f"{wrong[0]}; a restore does not change existing roles"
            self.checks.append(Check("restore.roles", FAIL if host else WARN, words, details={"differences": wrong}))
        else:
            self.checks.append(Check("restore.roles", PASS, roles.as_recorded(recorded, host)))

    def _load(self, name: str, recorded: DatabaseInventory) -> None:
        started = time.monotonic()
        database = recorded["database"]
        size = sum(one.size for kind in ("dump", "schema", "leaf") for one in self._set.artifacts(kind, database))
        self._progress.begin("restoring", size)
        signed = objects.Watched(self._set.signed, self._progress)
        to = restore.Destination(self._server, name, self._pg_restore, signed, self._identity_files)
        leaves = sorted(self._set.artifacts("leaf", database), key=lambda one: -one.size)
        names = [((one.leaf or "").split(".", 1)[0], (one.leaf or "").split(".", 1)[1]) for one in leaves]
        with restore.definitions(to, self._set.one("schema", database).path) as made:
            made.before_rows()
            if self._sandbox is None:
                row_code.refuse(self._server, name, database, self._confirmation, made.late_checks)
            tables = restore.tables(to, names)
            tasks: list[workers.Task] = [(restore.archive, (to, self._set.one("dump", database).path))]
            tasks += [(restore.leaf, (to, table, one.path)) for table, one in zip(tables, leaves, strict=True)]
            # To report all missing constraints, one process must see all errors.
            first = [] if self._accept_missing else leaves
            indexes = {
                1 + number: (made.indexes, (*names[number], self._parallel_workers(one, leaves))) for number, one in enumerate(first)
            }
            _archive, *loaded = workers.run_all(tasks, self._jobs, then=indexes)
            for one, rows in zip(leaves, loaded, strict=True):
                known = recorded["leaves"][one.leaf or ""]["rows"]
                if rows != known:
                    raise TamperedData(f"{one.path} contains {rows} rows, but the inventory records {known}; use another set")
            self._progress.begin("indexing")
            self._look_for_rows(to, recorded)
            self._missing(database, made.after_rows(names[: len(first)], self._jobs, self._accept_missing))
        self._what_follows(to, recorded)
        restore.analyze(to, names)
        self.databases.append({"database": database, "seconds": round(time.monotonic() - started, 3), "bytes": size, "leaves": len(leaves)})

    def _missing(self, database: str, missing: dict[str, str]) -> None:
        """Report the constraints that the restore omitted at the operator's request."""
        if missing:
            name, error = next(iter(missing.items()))
            words = f"{len(missing)} constraints or indexes are missing, because rows of the source violate them; first: {name}: {error}"
            details = {"missing": missing}
            self.checks.append(
                Check(f"restore.{database}.constraints", FAIL, f"{words}; repair the rows, then create the constraints", details=details)
            )

    def _look_for_rows(self, to: restore.Destination, recorded: DatabaseInventory) -> None:
        """Report missing rows.

        Sets of earlier versions can lack rows in their inventory: of nested audit partitions, or of a renamed database.
        """
        empty = restore.without_rows(to, {**recorded["tables"], **recorded["leaves"]})
        if empty:
            words = f"{len(empty)} table(s) are empty, but the inventory records rows (first: {empty[0]}); restore them from another set"
            self.checks.append(Check(f"restore.{recorded['database']}.rows", FAIL, words, details={"tables": empty[:50]}))

    def _what_follows(self, to: restore.Destination, recorded: DatabaseInventory) -> None:
        """Restore what no artifact contains: content of materialized views, and values of sequences that only the inventory has."""
        restore.sequences(to, recorded["sequences"])
        wanted = [name for name, populated in recorded.get("materialized_views", {}).items() if populated]
        failed = restore.materialized_views(to, wanted) if wanted else {}
        if failed:
            name, problem = next(iter(failed.items()))
            words = f"{len(failed)} materialized view(s) could not be computed; first: {name}: {problem}"
            check_id = f"restore.{recorded['database']}.materialized_views"
            self.checks.append(Check(check_id, WARN, words, details={"failed": sorted(failed)[:50]}))

    def _parallel_workers(self, leaf: Artifact, leaves: t.Sequence[Artifact]) -> int:
        """Return how many indexes of a partition are built in parallel.

        It is more than one only for the last large partitions, when the other workers have finished.
        """
        large = [one for one in leaves if 2 * one.size > leaves[0].size]
        return self._jobs if leaf in large[-self._jobs :] else 1
