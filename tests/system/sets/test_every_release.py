# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The round trip of each release: detected, dumped, restored, and equal by our comparison and by independent readers."""

from __future__ import annotations

import contextlib
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import releases
from harness.fixtures import FreshCluster
from scenes import scene as scenes
from scenes.twin_database import TwinCluster, TwinFactory
from system.sets.test_round_trip import RIGHTS, contents, schema_dump
from twin import invariants, load
from twin.releases.known import RELEASES


def test_our_table_names_every_release_of_the_twin() -> None:
    ours = {one.name: (one.family, one.migrations, one.databases) for one in releases.RELEASES}
    twins = {one.name: (one.family, tuple(one.migrations), tuple(kept.name for kept in one.databases)) for one in RELEASES.values()}
    assert ours == twins


@pytest.mark.parametrize("release", sorted(RELEASES))
def test_each_release_restores_completely(
    release: str, twin_cluster: TwinFactory, fresh_cluster: FreshCluster, tmp_path: Path, server_install: t.Any
) -> None:
    source = twin_cluster(events=400, release=release)
    names = [kept.name for kept in RELEASES[release].databases]
    scene = scenes.make(tmp_path / "scene", source.info.socket_dir)
    dumped = scene.backup()
    assert next((one["database"], one["release"]) for one in dumped["databases"]) == ("caracal", release)
    assert [one["database"] for one in dumped["databases"]] == names

    copy = TwinCluster(fresh_cluster(), source.spec)
    scene.call("pg_encrypted_restore", sandbox=copy.info.directory)
    verified = scene.call("state_verify", sandbox=copy.info.directory)
    assert verified["verdict"] == "pass", verified
    for name in names:
        assert contents(copy, name) == contents(source, name)
        assert schema_dump(copy, server_install.bindir, name) == schema_dump(source, server_install.bindir, name)
        for query in RIGHTS.values():
            assert copy.execute(query, database=name) == source.execute(query, database=name)
    assert holds(copy, release) == holds(source, release)


def holds(cluster: TwinCluster, release: str) -> dict[str, dict[str, int]]:
    """Check the invariants of a healthy database; return the number of rows for each. Only the default partition must be empty."""
    with contextlib.closing(load.open_database(cluster.target, "caracal")) as connection:
        found = invariants.violations(connection, release)
        assert set(found) <= {"month without a leaf"}, found  # the twin's months end before today
        assert invariants.orphans(connection) == {}
        examined = invariants.examined(connection, release)
    assert set(invariants.of(release)) < examined.keys()
    assert {name for counts in examined.values() for name, rows in counts.items() if not rows} == {"audit_events_default"}
    return examined
