# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A chain in hourly Parquet files and, separately, in a database of dictionaries. Each can be damaged on its own."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import os
import pathlib
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils import _deps
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.chain_keys import AuditKey
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.exports import export_files, exports
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.exports.export_compare import Database
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.exports.export_files import Archived, hour_of, name
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import PASS, Check
from twin import chain
from twin import exports as files

FIRST = dt.datetime(2026, 6, 17, 3, tzinfo=dt.timezone.utc)
KEY, OTHER = AuditKey(b"k" * 32), AuditKey(b"o" * 32)
ZONES = ("zone-a", "zone\\b")
Row = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Cut:
    sequence: int
    set_id: str
    time: dt.datetime
    before: dict[tuple[str, str], int]
    after: dict[tuple[str, str], int]


@dataclasses.dataclass
class Scene:
    """Exported and stored rows.

    `archive` has the exported rows of each hour since `FIRST`. `stored` has the database's rows by hour.
    """

    path: pathlib.Path
    archive: dict[int, list[Row]] = dataclasses.field(default_factory=dict)
    stored: dict[int, list[Row]] = dataclasses.field(default_factory=dict)
    keys: tuple[AuditKey, ...] = (KEY,)
    watermark: int | None = None
    dropped_before: int = 0
    rehashed: dt.datetime | None = None
    salt: str = ""

    def ingest(self, hour: int, zone: str, count: int, *, export: bool = True, key: AuditKey | None = KEY) -> None:
        """Append `count` events to a zone's chain in the database."""
        for _number in range(count):
            last = max((row for rows in self.stored.values() for row in rows if row["zone_id"] == zone), key=seq, default=None)
            row = self._row(zone, hour, seq(last) + 1 if last else 1)
            row["chain_hmac"] = chain.link(key.secret, row["content_sha256"], last and last["content_sha256"]) if key else ""
            self.stored.setdefault(hour, []).append(row)
            if export:
                self.archive.setdefault(hour, []).append(copy.deepcopy(row))

    def _row(self, zone: str, hour: int, number: int) -> Row:
        ms = int((FIRST + hour * files.HOUR).timestamp()) * 1000 + number
        row: Row = dict.fromkeys(files.COLUMNS, "")
        row.update(class_uid=6003, type_uid=600301, severity_id=1, activity_id=1, metadata_version="1.7.0", product_name="caracal")
        row.update(zone_id=zone, chain_seq=number, time=ms, decision="allow", event_type="gateway_resource_request")
        row.update(event_id=f"{zone}/{number}{self.salt}", metadata_json='{"method": "GET"}', evaluation_status="complete")
        row["content_sha256"] = chain.event_hash([row["event_id"]], [row["metadata_json"]], ms * 1_000_000)
        return row

    def row(self, zone: str, number: int) -> Row:
        """Return an exported row, which the test may change."""
        return next(row for rows in self.archive.values() for row in rows if (row["zone_id"], seq(row)) == (zone, number))

    def restore(self, head: int) -> None:
        """Remove all rows above a number from the database, in every zone. The archive keeps them."""
        self.stored = {hour: [row for row in rows if seq(row) <= head] for hour, rows in self.stored.items()}

    def save(self) -> None:
        for hour, rows in self.archive.items():
            files.write(self.file(hour), sorted(rows, key=lambda row: (row["zone_id"], seq(row))))

    def file(self, hour: int) -> str:
        return files.path_of(str(self.path), FIRST + hour * files.HOUR)

    def folder(self) -> export_files.Folder:
        return export_files.Folder(str(self.path), _deps.require_pyarrow())

    def database(self) -> Database:
        start = hour_of(FIRST)
        rows = [(*(row[field] for field in Archived._fields), start + hour) for hour, found in self.stored.items() for row in found]
        last = max(self.stored) if self.watermark is None else self.watermark
        return Database(
            lookup=lambda zone, low, high: [row for row in rows if row[0] == zone and low <= row[1] <= high],
            by_id=lambda ids: [row for row in rows if row[2] in ids],
            hours=lambda: {start + hour: len(found) for hour, found in self.stored.items() if found},
            has_leaf=lambda ms: ms >= (start + self.dropped_before) * 3_600_000,
            watermark=FIRST + last * files.HOUR,
            rehashed=self.rehashed,
        )

    def examine(self, cuts: t.Sequence[Cut] = (), *, alone: bool = False) -> dict[str, Check]:
        """Save and examine. Return the checks by ID. `alone` means without a database."""
        if not os.path.exists(self.path / "audit"):
            self.save()
        return {check.id: check for check in exports.examine(self.folder(), self.keys, None if alone else self.database(), cuts)}


def seq(row: Row) -> int:
    return int(row["chain_seq"])


def hour_name(hour: int) -> str:
    return name(hour_of(FIRST) + hour)


def findings(check: Check) -> list[tuple[str, str, int, int]]:
    """Return (kind, zone, low, high) of all findings."""
    return [(one["kind"], one["zone"], one["low"], one["high"]) for one in check.details["positions"]]


def not_passed(checks: dict[str, Check]) -> dict[str, str]:
    return {check_id: check.verdict for check_id, check in checks.items() if check.verdict != PASS}


@pytest.fixture
def scene(tmp_path: pathlib.Path) -> Scene:
    """Return six hours, the fourth without events, with five events an hour in each of two zones."""
    made = Scene(tmp_path)
    for hour in (0, 1, 2, 4, 5, 6):
        for zone in ZONES:
            made.ingest(hour, zone, 5)
    return made
