# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A user who may create a database of encoding SQL_ASCII can use names with any bytes.

Names of databases and roles are visible in every database.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import catalog, dump, roles, snapshot, target, tools
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.client_binaries import ClientTools
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server, Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StageFailed, Unreachable, VersionMismatch
from ansible_collections.caracal_ops.backup.plugins.module_utils._reading import database_layout, reading
from harness.fixtures import FreshCluster
from scenes import scene as scenes
from twin import load

ONE_LINE = "a name or text is not UTF-8"


@pytest.fixture
def server(fresh_cluster: FreshCluster) -> Server:
    """Return a server with the databases `ascii`, `b\\xff` and `caracal`, and a role in `pg_monitor` whose name is not text."""
    info = fresh_cluster()
    made = Server(info.socket_dir, info.port, info.superuser)
    execute(made, "postgres", "CREATE DATABASE ascii ENCODING SQL_ASCII LOCALE 'C' TEMPLATE template0", "CREATE DATABASE caracal")
    execute(
        made,
        "ascii",
        'CREATE DATABASE "b\xff" TEMPLATE template0',
        'CREATE ROLE "r\xff"',
        'GRANT pg_monitor TO "r\xff"',
        "CREATE ROLE plain",
        'GRANT plain TO "r\xff"',
        'CREATE TABLE "t\xff" (a text)',
        "CREATE TABLE plain (a text PRIMARY KEY)",
        "INSERT INTO plain VALUES ('\xff')",
    )
    return made


def execute(server: Server, database: str, *statements: str) -> None:
    """Execute a statement of bytes: `\\xff` is this byte."""
    target_of = {"host": server.host, "port": server.port, "user": server.user, "password": None}
    with contextlib.closing(load.open_database(target_of, database)) as connection:
        connection.set_client_encoding("LATIN1")
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


@pytest.mark.mutation
def test_table_with_non_utf8_name_fails_with_one_line(server: Server) -> None:
    with snapshot.Snapshot(server, "ascii") as held:
        for read in (database_layout.read, catalog.schema, catalog.owners):
            with held.place.join() as session, pytest.raises(StageFailed, match=f"^database ascii: {ONE_LINE}") as caught:
                read(session)
            assert "\n" not in caught.value.msg
    with pytest.raises(StageFailed, match=f"^database ascii: {ONE_LINE}"):
        target.examine(server, "ascii")


@pytest.mark.mutation
def test_non_utf8_rows_fail_with_one_line(server: Server, client: ClientTools) -> None:
    execute(server, "ascii", 'DROP TABLE "t\xff"')
    with snapshot.Snapshot(server, "ascii") as held:
        read = database_layout.read(held.session)
        with pytest.raises(StageFailed, match=f"^database ascii: {ONE_LINE}"):
            reading.rest(held.place, read.rest)
        with pytest.raises(StageFailed, match=r"^database ascii: .*invalid byte sequence") as caught:
            dump.copy_leaf(held.place, client.paths["psql"], read.rest[0], io.BytesIO())
        assert "\n" not in caught.value.msg
        sink = io.BytesIO()
        tools.stream_out([client.paths["pg_dump"]], server, "ascii", sink)
        assert b"\xff" in sink.getvalue()


@pytest.mark.no_false_alarm
def test_utf8_text_in_database_without_encoding_is_read(server: Server) -> None:
    execute(server, "ascii", 'DROP TABLE "t\xff"', "UPDATE plain SET a = '\xc3\xb6'")
    with Session(server, "ascii") as session:
        assert session.value("SELECT a FROM public.plain") == "\u00f6"


@pytest.mark.no_false_alarm
def test_unrelated_non_utf8_roles_and_databases_are_ignored(server: Server) -> None:
    with Session(server, "caracal") as session:
        found = roles.read(session)
        assert roles.differences(session, {"roles": found["roles"], "members": found["members"]}) == []
        wanted = {**found["roles"], "fresh": {**found["roles"]["caracal"], "superuser": False}}
        assert not [one for one in roles.create_missing(session, {"roles": wanted, "members": [["fresh", "plain"]]}) if "missing" in one]
    assert target.examine(server, "caracal").objects == []


@pytest.mark.mutation
def test_non_utf8_member_of_referenced_role_fails_with_one_line(server: Server) -> None:
    execute(server, "caracal", "CREATE TABLE public.theirs (a int)", "ALTER TABLE public.theirs OWNER TO plain")
    with Session(server, "caracal") as session, pytest.raises(StageFailed, match=f"^database caracal: {ONE_LINE}") as caught:
        roles.read(session)
    assert "\n" not in caught.value.msg


@pytest.mark.mutation
def test_name_that_cannot_be_encoded_fails_with_one_line(server: Server) -> None:
    with pytest.raises(Unreachable) as caught:
        Session(server, "caracal\udcff")
    assert "\n" not in caught.value.msg
    with Session(server, "caracal") as session, pytest.raises(StageFailed, match=ONE_LINE):
        session.value("SELECT %s", ("\udcff",))


@pytest.mark.mutation
def test_preflight_continues_despite_other_databases_with_non_utf8_names(server: Server, tmp_path: Path) -> None:
    """The preflight continues until it finds that there is no Caracal, with any other databases on the server."""
    scene = scenes.make(tmp_path / "scene", server.host)
    set_id = scene.call("backup_set", state="open", create_repository=True)["set_id"]
    scene.refused("pg_encrypted_dump", VersionMismatch, "is not a Caracal database", set_id=set_id, login_port=server.port)
