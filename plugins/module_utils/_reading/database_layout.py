# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of a database as this collection classifies them, and the detected release."""

from __future__ import annotations

import dataclasses
import typing as t

from .._caracal import releases
from .._caracal.chains import audit_chains
from .._drivers.postgres import tables
from .._drivers.postgres.server import Session
from .._drivers.postgres.tables import Table


@dataclasses.dataclass(frozen=True)
class Layout:
    """The tables of a database, and its audit partitions at any depth below the audit table."""

    tables: tuple[Table, ...]
    leaves: tuple[Table, ...]
    detected: releases.Detected | None

    def without(self, gone: t.Collection[str]) -> Layout:
        """Return the layout without the tables named in `gone`."""
        kept = tuple(table for table in self.tables if table.qualified not in gone)
        return Layout(kept, tuple(leaf for leaf in self.leaves if leaf in kept), self.detected)

    @property
    def public(self) -> frozenset[str]:
        """Names of the tables in schema public, and of the partitioned tables there."""
        roots = {leaf.root.partition(".")[2] for leaf in self.tables if leaf.root and leaf.root.startswith("public.")}
        return frozenset({table.name for table in self.tables if table.schema == "public"} | roots)

    @property
    def partitioned(self) -> tuple[str, ...]:
        """The quoted names of the partitioned tables at the top of the audit partitions."""
        return tuple(sorted({".".join(map(tables.quote, (leaf.root or "").split("."))) for leaf in self.leaves}))

    @property
    def rest(self) -> tuple[Table, ...]:
        return tuple(table for table in self.tables if table not in self.leaves)


def read(session: Session) -> Layout:
    """Read the layout. `detected` is None for the auth database, which has no migrations table."""
    found = tables.read_tables(session)
    names = {table.name for table in found if table.schema == "public"}
    leaves = [table for table in found if table.root == f"public.{audit_chains.AUDIT.table}"]
    detected = None
    if "schema_migrations" in names:
        migrations = [row[0] for row in session.rows("SELECT version FROM public.schema_migrations ORDER BY 1")]
        detected = releases.detect(names, migrations)
    return Layout(tuple(found), tuple(sorted(leaves, key=lambda leaf: -leaf.size)), detected)
