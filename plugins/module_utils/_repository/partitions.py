# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the rows of each audit partition of a set are known: they were read, or are proved to be the same as in the set before."""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t

from .fields import Fields, timestamp

READ, CENSUS, WAL = "read", "census", "wal"
PROOFS = (READ, CENSUS, WAL)
# More partitions than a table of a Caracal database can have.
LIMIT = 100_000
_DECIMAL = re.compile(r"-?[0-9]{1,40}\Z")
_LSN = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}\Z")
_FILE = re.compile(r"[0-9]+/[0-9]+/[0-9]+/[0-9]+\Z")


@dataclasses.dataclass(frozen=True)
class Facts:
    """Facts other than rows that a census depends on.

    `cluster` is the system identifier, `server` the full version. `file` has the OIDs of database, tablespace and table and the file
    node, joined by `/`. `columns` is a SHA-256 over columns, their types, and the settings of the session.
    """

    cluster: str
    timeline: int
    server: str
    file: str
    columns: str


@dataclasses.dataclass(frozen=True)
class Census:
    """The rows of a partition in one snapshot, identified by positions and transaction IDs.

    `xmin` is the oldest transaction that was running, with its epoch. `lsn` is a durable position in the WAL after the snapshot. `rows`
    is their number, and `positions` is the sum of a hash of position and transaction ID of each row, in decimal. `redo` is the redo
    point of the last checkpoint before the snapshot if each transaction that the snapshot does not show began later. Otherwise it is empty.
    """

    facts: Facts
    xmin: int
    lsn: str
    rows: int
    positions: str
    redo: str = ""

    def to_dict(self) -> dict[str, object]:
        """Return the census as in a manifest: one object, with the facts and the rest."""
        found = dataclasses.asdict(self)
        redo = found.pop("redo")
        return {**found.pop("facts"), **found, **({"redo": redo} if redo else {})}


@dataclasses.dataclass(frozen=True)
class Partition:
    """An audit partition (`schema.table`) of a database.

    `last_read` is the time of the snapshot in which its rows were last read. `unique` is a digest of its unique indexes if the rows
    satisfy all of them. Otherwise it is empty.
    """

    database: str
    leaf: str
    proof: str
    last_read: datetime.datetime
    census: Census | None
    unique: str

    def to_dict(self) -> dict[str, object]:
        return {
            "database": self.database,
            "leaf": self.leaf,
            "proof": self.proof,
            "last_read": timestamp(self.last_read),
            "census": self.census.to_dict() if self.census else None,
            **({"unique": self.unique} if self.unique else {}),
        }


def parse(values: t.Sequence[Fields]) -> tuple[Partition, ...]:
    """Parse the partitions of a document. Raises TamperedData."""
    if len(values) > LIMIT:
        raise values[0].fault(f"is one of more than {LIMIT} partitions")
    return tuple(_partition(one) for one in values)


def _partition(fields: Fields) -> Partition:
    census = fields.optional_inner("census")
    found = Partition(
        database=fields.text("database"),
        leaf=fields.text("leaf"),
        proof=fields.one_of("proof", PROOFS),
        last_read=fields.time("last_read"),
        census=_census(census) if census else None,
        unique=fields.later_sha256("unique"),
    )
    fields.end()
    if found.proof != READ and found.census is None:
        raise fields.fault(f"has a proof by {found.proof}, but no census")
    return found


def _census(fields: Fields) -> Census:
    facts = Facts(
        cluster=fields.text("cluster", _DECIMAL),
        timeline=fields.integer("timeline"),
        server=fields.text("server"),
        file=fields.text("file", _FILE),
        columns=fields.sha256("columns"),
    )
    found = Census(
        facts,
        fields.integer("xmin"),
        fields.text("lsn", _LSN),
        fields.integer("rows"),
        fields.text("positions", _DECIMAL),
        fields.later_text("redo", _LSN),
    )
    fields.end()
    return found
