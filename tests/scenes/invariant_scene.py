# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A twin of each release with some damage, and the results of state_verify's rules. All changes are rolled back."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_blocks import Block
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.inventory import inventory
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.source import source_checks
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.source.source_checks import Scan
from ansible_collections.caracal_ops.backup.plugins.module_utils._checks import invariant_reading
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import catalog, server_binaries, tables
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._reading import database_layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import Check
from harness.fixtures import NOW, make_twin
from scenes.state_damages import FREELY
from scenes.twin_database import TwinCluster
from twin.spec import Spec

BAD = ("fail", "warn", "unproven")
Inventory = dict[str, t.Any]
Twins = t.Callable[[str], TwinCluster]
_LEAVES = (
    """SELECT e.zone_id, c.relname, count(*) FROM public.audit_events e JOIN pg_catalog.pg_class c ON c.oid = e.tableoid GROUP BY 1, 2"""
)


@dataclasses.dataclass(frozen=True)
class Broken:
    """A database within a transaction that is rolled back at the end."""

    session: Session
    database: str

    def run(self, *statements: str) -> None:
        """Run statements with triggers off, as in a restore."""
        for statement in (FREELY, "SET LOCAL search_path = public", *statements, "SET LOCAL search_path = ''"):
            self.session.rows(statement)

    def layout(self) -> database_layout.Layout:
        return database_layout.read(self.session)

    def record(self) -> tuple[Inventory, list[Block]]:
        """Return what a backup would record now, as far as the rules use it."""
        read = self.layout()
        blocks = []
        if read.leaves:
            blocks = [Block("audit", zone, leaf, "0", count, "1", "1", "", "") for zone, leaf, count in self.session.rows(_LEAVES)]
        recorded = {
            "database": self.database,
            "family": read.detected.family if read.detected else None,
            "release": read.detected.release if read.detected else None,
            "state": inventory.state(self.session, read.public),
            "schema": catalog.schema(self.session),
            "tables": {table.qualified: tables.digest(self.session, table) for table in read.rest},
            "leaves": {leaf.qualified: {"rows": int(self.session.value(f"SELECT count(*) FROM {leaf.sql}"))} for leaf in read.leaves},
        }
        return recorded, blocks

    def of_source(self) -> Scan:
        """Return the findings of a backup of this database as a source."""
        read = self.layout()
        assert read.detected
        return source_checks.state(self.session, self.database, read.detected.family, read.detected.release, read.public)

    def verify(self, recorded: tuple[Inventory, list[Block]] | None = None, acknowledged: frozenset[str] = frozenset()) -> dict[str, Check]:
        """Return checks by ID without `state.`, of the current state against what was `recorded`, or against the current record."""
        actual, blocks = self.record()
        expected, known = recorded or (actual, blocks)
        wanted = invariant_reading.Wanted.of(expected, known)
        seen = invariant_reading.look(self.session, wanted, self.layout().public)
        return {check.id.removeprefix("state."): check for check in invariant_reading.judge(seen, expected, actual, acknowledged)}


@contextlib.contextmanager
def twin_of_each(install: server_binaries.Install) -> t.Iterator[Twins]:
    """Yield a function that returns the twin of a release, created at first use."""
    made: dict[str, TwinCluster] = {}
    with contextlib.ExitStack() as stack:

        def of(release: str) -> TwinCluster:
            if release not in made:
                made[release] = stack.enter_context(make_twin(install, Spec(events=400, seed="state", now=NOW, release=release)))
            return made[release]

        yield of


@contextlib.contextmanager
def broken(cluster: TwinCluster, database: str = "caracal") -> t.Iterator[Broken]:
    with Session(cluster.server, database) as session:
        session.rows("BEGIN")
        yield Broken(session, database)
        session.rows("ROLLBACK")


def bad(checks: t.Mapping[str, Check]) -> dict[str, tuple[str, int]]:
    """Return ID → verdict and number of rows, for all checks without a pass."""
    return {name: (check.verdict, check.details.get("broken", 0)) for name, check in checks.items() if check.verdict in BAD}
