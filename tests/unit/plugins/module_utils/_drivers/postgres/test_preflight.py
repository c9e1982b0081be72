# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime as dt
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import preflight
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server, Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.tables import digest, read_tables
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import PermissionMissing
from scenes.twin_database import Copier, TwinCluster

Login = t.Callable[..., Server]


def sight(server: Server, database: str) -> str:
    with Session(server, database) as session:
        return preflight.full_sight(session)


def counts(server: Server, database: str) -> dict[str, int]:
    """Return the row counts of every table that this login sees."""
    with Session(server, database) as session:
        return {table.qualified: digest(session, table)["rows"] for table in read_tables(session)}


def test_the_superuser_sees_everything(caracal_database: TwinCluster) -> None:
    assert sight(caracal_database.server, "caracal") == "superuser"


def test_the_owner_of_everything_sees_everything(caracal_database: TwinCluster, caracal_copy: Copier, login: Login) -> None:
    name, server = caracal_copy(), login()
    caracal_database.execute(f"ALTER DATABASE {name} OWNER TO {server.user}", database="postgres")
    owned = caracal_database.execute(
        "SELECT format('%I', relname), relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S')"
    )
    for table, kind in owned:
        if kind != "S":
            caracal_database.execute(f"ALTER TABLE public.{table} OWNER TO {server.user}", database=name)
    assert sight(server, name) == "owner"
    assert counts(server, name) == counts(caracal_database.server, name)


def test_a_reader_with_both_rights_sees_everything(caracal_database: TwinCluster, login: Login) -> None:
    server = login("BYPASSRLS")
    caracal_database.execute(f"GRANT pg_read_all_data TO {server.user}")
    assert sight(server, "caracal") == "pg_read_all_data with BYPASSRLS"
    assert counts(server, "caracal") == counts(caracal_database.server, "caracal")


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("attributes", "reads_all", "missing"),
    [
        ("", False, "GRANT pg_read_all_data and ALTER ROLE … BYPASSRLS"),
        ("BYPASSRLS", False, "GRANT pg_read_all_data"),
        ("", True, "ALTER ROLE … BYPASSRLS"),
        ("CREATEDB CREATEROLE REPLICATION", True, "ALTER ROLE … BYPASSRLS"),
    ],
)
def test_the_missing_right_is_named(caracal_database: TwinCluster, login: Login, attributes: str, reads_all: bool, missing: str) -> None:
    server = login(attributes)
    if reads_all:
        caracal_database.execute(f"GRANT pg_read_all_data TO {server.user}")
    with pytest.raises(PermissionMissing) as caught:
        sight(server, "caracal")
    assert caught.value.msg == (
        f"role {server.user} cannot read every row of database caracal (missing: {missing}); "
        f"run as superuser: GRANT pg_read_all_data TO {server.user}; ALTER ROLE {server.user} BYPASSRLS"
    )


@pytest.mark.mutation
@pytest.mark.parametrize("service", ["caracalapi", "caracalsts"])
def test_a_service_role_under_row_security_is_refused(caracal_database: TwinCluster, login: Login, service: str) -> None:
    server = login()
    caracal_database.execute(f"GRANT {service} TO {server.user}")
    with pytest.raises(PermissionMissing, match="cannot read every row"):
        sight(server, "caracal")


@pytest.mark.mutation
@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE foreign_one (a int); ALTER TABLE foreign_one OWNER TO caracalapi",
        "ALTER TABLE mine FORCE ROW LEVEL SECURITY",
        "CREATE SEQUENCE foreign_two; ALTER SEQUENCE foreign_two OWNER TO caracalapi",
    ],
)
def test_owner_without_access_to_one_table_is_refused(
    caracal_database: TwinCluster, caracal_copy: Copier, login: Login, change: str
) -> None:
    name, server = caracal_copy(), login()
    caracal_database.execute("DROP SCHEMA public CASCADE", f"CREATE SCHEMA public AUTHORIZATION {server.user}", database=name)
    caracal_database.execute(f"ALTER DATABASE {name} OWNER TO {server.user}", database="postgres")
    caracal_database.execute("CREATE TABLE mine (a int)", f"ALTER TABLE mine OWNER TO {server.user}", database=name)
    assert sight(server, name) == "owner"
    caracal_database.execute(change, database=name)
    with pytest.raises(PermissionMissing, match="pg_read_all_data and ALTER ROLE … BYPASSRLS"):
        sight(server, name)


@pytest.mark.parametrize("seconds", [-400, -3, 0, 3, 400])
def test_the_clock_of_the_database_against_ours(caracal_database: TwinCluster, seconds: float) -> None:
    def behind() -> dt.datetime:
        return dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=seconds)

    with Session(caracal_database.server, "caracal") as session:
        assert preflight.clock_offset(session, behind) == pytest.approx(seconds, abs=1)
