# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of RECOVERY.md for a set with databases that have hostile names and settings."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server, Session
from harness.fixtures import FreshCluster
from scenes import scene as scenes
from scenes.by_hand import Recover, commands
from scenes.password_listener import Listener
from scenes.twin_database import TwinCluster
from unit.plugins.module_utils._assets.databases import test_hostile_rows


@pytest.mark.mutation
@pytest.mark.parametrize("name", ["host=127.0.0.1 port={port}", "postgresql://127.0.0.1:{port}/x", "it's' host=127.0.0.1 port={port}"])
def test_connection_string_as_database_name_gets_no_password(
    tmp_path: Path, recover: Recover, fresh_cluster: FreshCluster, twin_cluster: t.Callable[..., TwinCluster], name: str
) -> None:
    listener = Listener()
    named = name.format(port=listener.port)
    source = twin_cluster(seed="named")
    quoted = named.replace('"', '""')
    source.execute(f'ALTER DATABASE caracal_auth RENAME TO "{quoted}"', database="postgres")
    scene = scenes.make(tmp_path / "own", source.info.socket_dir)
    scene.backup(databases=["caracal", named])
    target = fresh_cluster()
    try:
        done = recover(scene, scene.sets()[-1], target, commands(scene, scene.sets()[-1]), PGPASSWORD="the target's")
    finally:
        listener.close()
    assert done.returncode == 0, done.stderr
    # Another run on this host may probe open ports. Only a client that uses PostgreSQL's protocol counts.
    assert listener.heard == []
    with Session(Server(target.socket_dir, target.port, target.superuser), named) as session:
        assert session.value("SELECT count(*) > 0 FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'")


@pytest.mark.mutation
def test_a_setting_of_a_databases_owner_runs_nothing_by_hand(
    tmp_path: Path, recover: Recover, fresh_cluster: FreshCluster, twin_cluster: t.Callable[..., TwinCluster]
) -> None:
    source = twin_cluster(seed="settings")
    source.execute(
        "CREATE ROLE evil LOGIN",
        "ALTER DATABASE caracal_auth OWNER TO evil",
        "SET SESSION AUTHORIZATION evil",
        "SELECT set_config('search_path', 'public;ALTER/**/ROLE/**/evil/**/SUPERUSER', false)",
        "ALTER DATABASE caracal_auth SET search_path FROM CURRENT",
        "ALTER ROLE evil SET search_path FROM CURRENT",
        "ALTER ROLE evil IN DATABASE caracal_auth SET search_path FROM CURRENT",
        database="caracal_auth",
    )
    scene = scenes.make(tmp_path / "own", source.info.socket_dir)
    scene.backup()
    target = fresh_cluster()
    done = recover(scene, scene.sets()[-1], target)
    with Session(Server(target.socket_dir, target.port, target.superuser), "postgres") as session:
        assert session.value("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = 'evil'") is False
    assert done.returncode == 0, done.stderr
    with Session(Server(target.socket_dir, target.port, target.superuser), "caracal_auth") as session:
        found = session.value("SELECT setconfig FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE setrole = 0")
        assert found == ['search_path="public;ALTER/**/ROLE/**/evil/**/SUPERUSER"']


@pytest.mark.mutation
@pytest.mark.parametrize(("way", "refused"), [("check", "own.of(integer)"), ("row", "CHECK CONSTRAINT own rows")])
def test_rows_of_an_owner_run_nothing_of_his_by_hand(
    tmp_path: Path, recover: Recover, fresh_cluster: FreshCluster, twin_cluster: t.Callable[..., TwinCluster], way: str, refused: str
) -> None:
    scene = test_hostile_rows.hostile(tmp_path, twin_cluster(seed=f"rows {way} by hand"), test_hostile_rows.WAYS[way])
    target = fresh_cluster()
    done = recover(scene, scene.sets()[-1], target)
    assert not test_hostile_rows.taken(target)
    assert done.returncode != 0 and refused in done.stderr, done.stderr
