# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Exports of a running database, compared with that database."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import pathlib
import re
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils import _deps
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.chain_keys import AuditKey
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.exports import export_files, exports
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.exports.export_compare import SELECT, Database
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, Check
from scenes.twin_database import Copier, TwinCluster, TwinFactory
from twin import exports as files
from twin import keys, load
from twin.append import append
from twin.releases.known import RELEASES
from unit.plugins.module_utils._caracal.exports.export_scene import findings, not_passed

HOURS = "SELECT floor(extract(epoch FROM ingested_at) / 3600)::bigint, count(*) FROM public.audit_events GROUP BY 1"
LEAVES = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'public.audit_events'::regclass"


def database_of(connection: t.Any) -> Database:
    def rows(query: str, *parameters: t.Any) -> list[tuple[t.Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(query, parameters or None)
            return t.cast("list[tuple[t.Any, ...]]", cursor.fetchall())

    events = f"SELECT {SELECT} FROM public.audit_events"
    year, month = min(found.groups() for (name,) in rows(LEAVES) if (found := re.search(r"_y(\d+)m(\d+)$", name)))
    oldest = dt.datetime(int(year), int(month), 1, tzinfo=dt.timezone.utc)
    return Database(
        lookup=lambda zone, low, high: rows(f"{events} WHERE zone_id = %s AND chain_seq BETWEEN %s AND %s", zone, low, high),
        by_id=lambda ids: rows(f"{events} WHERE id = ANY(%s)", list(ids)),
        hours=lambda: {int(hour): count for hour, count in rows(HOURS)},
        has_leaf=lambda ms: ms >= oldest.timestamp() * 1000,
        watermark=rows("SELECT last_exported_hour FROM public.audit_export_watermark")[0][0],
    )


class Exported:
    """A twin's database for one test, exported into a directory."""

    def __init__(self, cluster: TwinCluster, connection: t.Any, folder: pathlib.Path) -> None:
        self.cluster, self.connection, self.folder = cluster, connection, folder
        self.keys = keys.for_seed(cluster.spec.seed)
        with connection.cursor() as cursor:
            # Three months are enough. Earlier months were dropped, as by retention.
            cursor.execute(LEAVES)
            for (name,) in cursor.fetchall():
                if re.search("_y2025|_y2026m0[123]", name):
                    cursor.execute(f"DROP TABLE public.{name}")
        self.paths = files.export(connection, str(folder))

    def execute(self, statement: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(statement)

    def examine(self) -> dict[str, Check]:
        folder = export_files.Folder(str(self.folder), _deps.require_pyarrow())
        key = AuditKey(self.keys.audit_hmac_key)
        return {check.id: check for check in exports.examine(folder, [key], database_of(self.connection))}


@pytest.fixture
def exported(caracal_database: TwinCluster, caracal_copy: Copier, tmp_path: pathlib.Path) -> t.Iterator[Exported]:
    with contextlib.closing(load.open_database(caracal_database.target, caracal_copy())) as connection:
        yield Exported(caracal_database, connection, tmp_path)


@pytest.mark.no_false_alarm
def test_healthy_database_passes(exported: Exported) -> None:
    checks = exported.examine()
    assert not_passed(checks) == {}
    assert checks["exports.database"].details["equal"] > 500
    assert checks["exports.complete"].details["hours_compared"] == len(exported.paths)
    append(exported.connection, exported.keys, RELEASES["v1.0.0"], _zone(exported), 5, exported.cluster.spec.now + files.HOUR)
    assert not_passed(exported.examine()) == {}


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("release", [one for one in RELEASES if one != "v1.0.0"])
def test_healthy_database_of_an_older_release_passes(twin_cluster: TwinFactory, tmp_path: pathlib.Path, release: str) -> None:
    cluster = twin_cluster(events=200, release=release)
    with contextlib.closing(load.open_database(cluster.target, "caracal")) as connection:
        checks = Exported(cluster, connection, tmp_path).examine()
    assert not_passed(checks) == {}
    assert checks["exports.hmac"].details["rows"] > 30


def _zone(exported: Exported) -> str:
    return str(files.read(exported.paths[0])[0]["zone_id"])


@pytest.mark.mutation
def test_exports_reveal_changes_of_an_insider_in_the_database(exported: Exported) -> None:
    zone = f"zone_id = '{_zone(exported)}' AND chain_seq"
    low = files.read(exported.paths[0])[0]["chain_seq"]
    exported.execute(f"UPDATE public.audit_events SET decision = 'allowed' WHERE {zone} = {low + 10}")
    exported.execute(f"UPDATE public.audit_events SET metadata_json = metadata_json || '{{\"x\": 1}}' WHERE {zone} = {low + 20}")
    exported.execute(f"UPDATE public.audit_events SET occurred_at = occurred_at + '1 ms' WHERE {zone} = {low + 30}")
    exported.execute(f"DELETE FROM public.audit_events WHERE {zone} BETWEEN {low + 40} AND {low + 42}")
    check = exported.examine()["exports.database"]
    assert check.verdict == FAIL
    assert [(kind, low, high) for kind, _zone, low, high in findings(check)] == [
        *(("archive_differs", low + number, low + number) for number in (10, 20, 30)),
        ("missing_in_database", low + 40, low + 42),
    ]


@pytest.mark.no_false_alarm
def test_partition_dropped_by_retention_passes(exported: Exported) -> None:
    exported.execute("DROP TABLE public.audit_events_y2026m04")
    checks = exported.examine()
    assert checks["exports.database"].verdict == PASS
    assert checks["exports.database"].details["below_retention"] > 100


@pytest.mark.mutation
def test_partition_dropped_between_others_fails(exported: Exported) -> None:
    exported.execute("DROP TABLE public.audit_events_y2026m05")
    check = exported.examine()["exports.database"]
    assert (check.verdict, {kind for kind, *_where in findings(check)}) == (FAIL, {"missing_in_database"})


@pytest.mark.mutation
def test_missing_export_fails(exported: Exported) -> None:
    os.unlink(exported.paths[100])
    check = exported.examine()["exports.complete"]
    assert (check.verdict, check.details["findings"]) == (FAIL, 1)
    assert os.path.basename(exported.paths[100]).removesuffix(".parquet") in check.message


@pytest.mark.no_false_alarm
def test_second_export_keeps_existing_files_unchanged(exported: Exported) -> None:
    before = {path: os.stat(path).st_mtime_ns for path in exported.paths}
    assert files.export(exported.connection, str(exported.folder)) == exported.paths
    assert {path: os.stat(path).st_mtime_ns for path in exported.paths} == before
