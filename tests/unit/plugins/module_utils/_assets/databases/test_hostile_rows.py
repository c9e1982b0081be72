# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A superuser restores rows of a database owner who is not a superuser."""

from __future__ import annotations

import contextlib
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server, Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import TargetRefused
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxInfo
from harness.fixtures import FreshCluster
from scenes import scene as scenes
from scenes.scene import OPERATOR_HOST, Scene
from scenes.twin_database import TwinCluster, TwinFactory
from twin.spec import Spec

# Only a superuser can write this file. A function declared as immutable calls one that is not.
HOSTILE = (
    "CREATE SCHEMA own",
    """CREATE FUNCTION own.take() RETURNS boolean LANGUAGE plpgsql AS $take$
    BEGIN
        EXECUTE pg_catalog.format('COPY (SELECT current_user) TO %L', pg_catalog.current_setting('data_directory') || '/taken');
        RETURN true;
    EXCEPTION WHEN insufficient_privilege THEN RETURN true;
    END $take$""",
    """CREATE FUNCTION own.of(value int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
    $of$ BEGIN PERFORM own.take(); RETURN value; END $of$""",
    "CREATE OPERATOR own.# (RIGHTARG = int, FUNCTION = own.of)",
)
WAYS = {
    "check": ("CREATE TABLE own.rows (a int CHECK (own.of(a) > 0))",),
    "operator": ("CREATE TABLE own.rows (a int CHECK ((OPERATOR(own.#) a) > 0))",),
    "domain": ("CREATE DOMAIN own.number AS int CHECK (own.of(VALUE) > 0)", "CREATE TABLE own.rows (a own.number)"),
    "generated": ("CREATE TABLE own.rows (a int, b int GENERATED ALWAYS AS (own.of(a)) STORED)",),
    "partition": (
        "CREATE TABLE own.rows (a int) PARTITION BY RANGE (own.of(a))",
        "CREATE TABLE own.low PARTITION OF own.rows FOR VALUES FROM (0) TO (10)",
    ),
    # pg_dump creates a check that needs its own table after the rows, which are then checked.
    "row": (
        "CREATE TABLE own.rows (a int)",
        """CREATE FUNCTION own.whole(one own.rows) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS
        $whole$ BEGIN RETURN own.take(); END $whole$""",
        "ALTER TABLE own.rows ADD CHECK (own.whole(rows))",
    ),
    "row of a domain": (
        "CREATE TABLE own.rows (a int)",
        "CREATE DOMAIN own.whole AS own.rows",
        "ALTER TABLE own.rows ADD CHECK (rows::own.whole IS NOT NULL AND query_to_xml('SELECT own.take()', true, true, '') IS NOT NULL)",
    ),
    "text": ("CREATE TABLE own.rows (a int CHECK (query_to_xml('SELECT own.take()', true, true, '') IS NOT NULL))",),
}


def where(scene: Scene, info: SandboxInfo) -> dict[str, t.Any]:
    return {"signing_key": str(scene.key(OPERATOR_HOST)), "login_unix_socket": info.socket_dir, "databases": ["caracal_auth"]}


def taken(info: SandboxInfo) -> bool:
    return bool(TwinCluster(info, Spec(events=1)).execute("SELECT pg_read_file('taken', true) IS NOT NULL", database="postgres")[0][0])


def hostile(tmp_path: Path, source: TwinCluster, way: t.Sequence[str]) -> Scene:
    source.execute("CREATE ROLE evil LOGIN", "ALTER DATABASE caracal_auth OWNER TO evil", database="postgres")
    source.execute("SET SESSION AUTHORIZATION evil", *HOSTILE, *way, "INSERT INTO own.rows VALUES (1)", database="caracal_auth")
    scene = scenes.make(tmp_path / "own", source.info.socket_dir)
    scene.backup()
    return scene


@pytest.mark.mutation
@pytest.mark.parametrize("way", WAYS)
def test_rows_of_an_owner_run_nothing_of_his(tmp_path: Path, fresh_cluster: FreshCluster, twin_cluster: TwinFactory, way: str) -> None:
    scene = hostile(tmp_path, twin_cluster(seed=f"rows {way}"), WAYS[way])
    target = fresh_cluster()
    with pytest.raises(TargetRefused, match=f"functions@{target.system_identifier}"):
        scene.call("pg_encrypted_restore", **where(scene, target))
    assert not taken(target)


@pytest.mark.mutation
def test_rows_of_an_owner_end_no_session_of_the_server(tmp_path: Path, fresh_cluster: FreshCluster, twin_cluster: TwinFactory) -> None:
    """Functions that every user can call and that do more if the caller has more rights."""
    target = fresh_cluster()
    with Session(Server(target.socket_dir, target.port, target.superuser), "postgres", settings={}) as somebody:
        other = somebody.value("SELECT pg_backend_pid()")
        check = f"CHECK (CASE WHEN current_user = 'evil' THEN true ELSE pg_terminate_backend({other}) END)"
        scene = hostile(tmp_path, twin_cluster(seed="rows session"), (f"CREATE TABLE own.rows (a int {check})",))
        with contextlib.suppress(TargetRefused):
            scene.call("pg_encrypted_restore", **where(scene, target))
        assert somebody.value("SELECT true")


@pytest.mark.no_false_alarm
def test_a_check_that_is_not_valid_yet_runs_nothing(tmp_path: Path, fresh_cluster: FreshCluster, twin_cluster: TwinFactory) -> None:
    """The check is also created after the rows, and does not check them."""
    way = ("CREATE TABLE own.rows (a int)", "INSERT INTO own.rows VALUES (-1)", "ALTER TABLE own.rows ADD CHECK (a > 0) NOT VALID")
    scene = hostile(tmp_path, twin_cluster(seed="rows not valid"), way)
    assert scene.call("pg_encrypted_restore", **where(scene, fresh_cluster()))["databases"]


def test_rows_run_functions_after_the_operator_confirms(tmp_path: Path, fresh_cluster: FreshCluster, twin_cluster: TwinFactory) -> None:
    scene = hostile(tmp_path, twin_cluster(seed="rows check"), WAYS["check"])
    target = fresh_cluster()
    scene.call("pg_encrypted_restore", **where(scene, target), confirm=[f"functions@{target.system_identifier}"])
    assert taken(target)


@pytest.mark.no_false_alarm
def test_drill_restores_hostile_rows(tmp_path: Path, fresh_cluster: FreshCluster, twin_cluster: TwinFactory) -> None:
    """Its sandbox is built for hostile rows."""
    scene = hostile(tmp_path, twin_cluster(seed="rows check"), WAYS["check"])
    assert scene.call("pg_encrypted_restore", sandbox=fresh_cluster().directory, databases=["caracal_auth"])["databases"]
