# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import roles
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server, Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxInfo
from harness.fixtures import FreshCluster
from scenes.twin_database import TwinCluster

Recorded = dict[str, t.Any]
SERVICES = {"caracalapi", "caracalaudit", "caracalauth", "caracalcoordinator", "caracalgateway", "caracalsts"}


def server_of(info: SandboxInfo) -> Server:
    return Server(info.socket_dir, info.port, info.superuser)


def run(server: Server, *statements: str, database: str = "postgres") -> None:
    with Session(server, database, settings={"search_path": "public"}) as session:
        for statement in statements:
            session.rows(statement)


def read(server: Server, database: str) -> Recorded:
    with Session(server, database) as session:
        return roles.read(session)


def create(server: Server, recorded: Recorded, host: str | None = None) -> list[str]:
    with Session(server, "postgres", settings={}) as session:
        return roles.create_missing(session, recorded, host)


def attributes(server: Server, name: str) -> tuple[t.Any, ...]:
    query = """SELECT rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolpassword
                 FROM pg_authid WHERE rolname = %s"""
    with Session(server, "postgres") as session:
        return session.rows(query, (name,))[0]


def role(**values: t.Any) -> dict[str, t.Any]:
    usual = dict.fromkeys(("login", "createdb", "superuser", "replication", "createrole", "bypassrls"), False)
    return {**usual, "inherit": True, "connection_limit": -1, "valid_until": None, "set": None, **values}


def test_the_roles_of_the_twin(caracal_database: TwinCluster) -> None:
    found = roles.merge(read(caracal_database.server, "caracal"), read(caracal_database.server, "caracal_auth"))
    assert found["roles"].keys() == SERVICES | {"caracal"}
    assert found["roles"]["caracalauth"] == role(login=True, createdb=True)
    assert found["roles"]["caracal"]["superuser"] is True
    assert found["members"] == []
    assert "SCRAM" not in str(found)


def test_only_roles_that_the_database_refers_to(fresh_cluster: FreshCluster) -> None:
    server = server_of(fresh_cluster())
    names = (
        "owner",
        "grantee",
        "colgrantee",
        "policed",
        "future",
        "member",
        "grp",
        "dbgrantee",
        "tuned",
        "functional",
        "stranger",
        "monitor",
        "dba",
    )
    run(server, *(f'CREATE ROLE "{name}"' for name in names))
    run(server, "CREATE DATABASE ours OWNER owner", "CREATE DATABASE theirs OWNER stranger", "GRANT CREATE ON DATABASE ours TO dbgrantee")
    run(server, "ALTER ROLE tuned IN DATABASE ours SET work_mem = '1MB'", "ALTER ROLE stranger IN DATABASE theirs SET work_mem = '1MB'")
    run(
        server,
        "GRANT grantee TO member",  # a member of a role that is referenced
        "GRANT grp TO grantee",  # a group of one
        "GRANT pg_monitor TO monitor, grantee",  # only a role of the server joins these two
        "CREATE TABLE public.t (a int)",
        "ALTER TABLE public.t OWNER TO owner",
        "GRANT SELECT ON public.t TO grantee",
        "GRANT SELECT (a) ON public.t TO colgrantee",
        "CREATE POLICY p ON public.t TO policed",
        "ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT SELECT ON TABLES TO future",
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER FUNCTION public.f OWNER TO functional",
        "GRANT SELECT ON public.t TO pg_monitor",
        database="ours",
    )
    found = read(server, "ours")
    expected = {"owner", "grantee", "colgrantee", "policed", "future", "member", "grp", "dbgrantee", "tuned", "functional"}
    assert found["roles"].keys() == expected
    assert found["members"] == [["grantee", "grp"], ["grantee", "pg_monitor"], ["member", "grantee"]]
    assert read(server, "theirs")["roles"].keys() == {"stranger"}


def test_recorded_roles_are_recreated_identically(fresh_cluster: FreshCluster) -> None:
    source, copied = server_of(fresh_cluster()), server_of(fresh_cluster())
    odd = 'Odd "role"; DROP TABLE x; --'
    quoted = '"' + odd.replace('"', '""') + '"'
    run(
        source,
        f"CREATE ROLE {quoted} LOGIN CREATEDB NOINHERIT CONNECTION LIMIT 3 VALID UNTIL '2030-01-02 03:04:05+02' PASSWORD 'secret'",
        "CREATE ROLE grp",
        f"GRANT grp TO {quoted}",
        f'ALTER ROLE {quoted} SET search_path = "$user", public, "a, b"',
        f"ALTER ROLE {quoted} SET \"app.note\" = 'it''s; \\ \"x\"'",
        f"ALTER ROLE {quoted} SET statement_timeout = '5min'",
        "CREATE ROLE forever VALID UNTIL 'infinity'",
        "CREATE DATABASE ours",
    )
    tables = (f"CREATE TABLE t{number} (); GRANT SELECT ON t{number} TO {name}" for number, name in enumerate((quoted, "forever")))
    run(source, *tables, database="ours")
    recorded = read(source, "ours")
    assert recorded["roles"][odd]["valid_until"] == "2030-01-02T01:04:05Z"
    assert create(copied, recorded) == []
    run(copied, "CREATE DATABASE ours")
    run(
        copied,
        *(f"CREATE TABLE t{number} (); GRANT SELECT ON t{number} TO {name}" for number, name in enumerate((quoted, "forever"))),
        database="ours",
    )
    assert read(copied, "ours") == recorded
    assert attributes(copied, odd)[-1] is None
    assert create(copied, recorded) == []


def test_created_roles_get_no_privileged_attributes(fresh_cluster: FreshCluster) -> None:
    server = server_of(fresh_cluster())
    strong = role(superuser=True, replication=True, createrole=True, bypassrls=True, login=True)
    wrong = create(server, {"roles": {"strong": strong}, "members": []})
    assert attributes(server, "strong") == (False, True, False, False, True, False, False, None)
    assert wrong == [f"role strong: {name} is False instead of True" for name in ("superuser", "replication", "createrole", "bypassrls")]


@pytest.mark.mutation
def test_existing_role_stays_unchanged_and_its_differences_are_reported(fresh_cluster: FreshCluster) -> None:
    server = server_of(fresh_cluster())
    run(server, "CREATE ROLE here LOGIN PASSWORD 'kept' CONNECTION LIMIT 9", "ALTER ROLE here SET work_mem = '1MB'", "CREATE ROLE grp")
    before = attributes(server, "here")
    recorded: Recorded = {
        "roles": {"here": role(createdb=True, set=["work_mem=2MB"], valid_until="2030-01-01T00:00:00Z"), "grp": role()},
        "members": [],
    }
    recorded["members"] = [["here", "grp"]]
    assert create(server, recorded) == [
        "role here: login is True instead of False",
        "role here: createdb is False instead of True",
        "role here: connection_limit is 9 instead of -1",
        "role here: valid_until is None instead of 2030-01-01T00:00:00Z",
        "role here: settings differ from the set: work_mem",
        "role here is not a member of grp",
    ]
    assert attributes(server, "here") == before


@pytest.mark.mutation
def test_every_role_difference_is_reported(fresh_cluster: FreshCluster) -> None:
    server = server_of(fresh_cluster())
    recorded: Recorded = {"roles": {"a": role(login=True), "b": role()}, "members": [["a", "b"]]}
    assert create(server, recorded) == []
    with Session(server, "postgres") as session:
        for statement, words in (
            ("REVOKE b FROM a", "role a is not a member of b"),
            ("ALTER ROLE a NOLOGIN", "role a: login is False instead of True"),
            ("ALTER ROLE a SUPERUSER", "role a: superuser is True instead of False"),
            ("ALTER ROLE a BYPASSRLS", "role a: bypassrls is True instead of False"),
            ("ALTER ROLE a SET work_mem = '1MB'", "role a: settings differ from the set: work_mem"),
            ("DROP ROLE b", "role b is missing"),
        ):
            session.rows("BEGIN")
            session.rows(statement)
            assert words in roles.differences(session, recorded)
            session.rows("ROLLBACK")
        assert roles.differences(session, recorded) == []


@pytest.mark.mutation
def test_extra_role_membership_is_reported(fresh_cluster: FreshCluster) -> None:
    server = server_of(fresh_cluster())
    run(server, "CREATE ROLE a")
    recorded: Recorded = {"roles": {"a": role()}, "members": []}
    with Session(server, "postgres") as session:
        assert roles.differences(session, recorded) == []
        session.rows("GRANT pg_read_all_data TO a")
        assert roles.differences(session, recorded) == ["role a is a member of pg_read_all_data, but not in the set"]


def test_rights_on_the_server_are_restored_in_a_sandbox_only(fresh_cluster: FreshCluster) -> None:
    """A set may not grant access to programs, files and all rows of a cluster."""
    info = fresh_cluster()
    strong: Recorded = {"roles": {"a": role()}, "members": [["a", "pg_execute_server_program"], ["a", "pg_of_another_major"]]}
    absent = "role a is not a member of pg_of_another_major"
    assert create(server_of(info), strong) == ["role a is not a member of pg_execute_server_program", absent]
    run(server_of(info), "DROP ROLE a")
    assert create(server_of(info), strong, info.superuser) == [absent]


def test_the_superuser_of_a_sandbox_is_not_compared(fresh_cluster: FreshCluster) -> None:
    """On managed servers the database owner, who has the same name, is not a superuser."""
    info = fresh_cluster()
    managed = role(login=True, createdb=True, createrole=True, set=["work_mem=64MB"], connection_limit=50)
    recorded: Recorded = {
        "roles": {info.superuser: managed, "grp": role()},
        "members": [[info.superuser, "grp"], [info.superuser, "pg_monitor"]],
    }
    assert create(server_of(info), recorded, info.superuser) == []
    assert roles.as_recorded(recorded, info.superuser) == (
        f"1 role(s) and 0 membership(s) match the set; {info.superuser} was not compared, because it is the superuser of this sandbox"
    )
    assert roles.as_recorded(recorded, None) == "2 role(s) and 2 membership(s) match the set"
    warnings = create(server_of(info), recorded)
    assert f"role {info.superuser}: superuser is True instead of False" in warnings
    assert f"role {info.superuser} is not a member of pg_monitor" in warnings


HOSTILE = 'x"; CREATE ROLE evil SUPERUSER; --'
HOSTILE_TEXT = "x'; CREATE ROLE evil SUPERUSER; --"


@pytest.mark.mutation
@pytest.mark.parametrize(
    "recorded",
    [
        {"roles": {HOSTILE: role(), HOSTILE_TEXT: role()}, "members": [[HOSTILE, HOSTILE_TEXT]]},
        {"roles": {"a": role(valid_until=HOSTILE_TEXT)}, "members": []},
        {"roles": {"a": role(connection_limit="1; CREATE ROLE evil SUPERUSER")}, "members": []},
        {"roles": {"a": role(set=[f"work_mem={HOSTILE_TEXT}"])}, "members": []},
        {"roles": {"a": role(set=[f"{HOSTILE}={HOSTILE_TEXT}"])}, "members": []},
        {"roles": {"a": role(set=[f'search_path="{HOSTILE_TEXT}", {HOSTILE_TEXT}'])}, "members": []},
        {"roles": {"a": role(set=["work_mem=\\' ; CREATE ROLE evil SUPERUSER; --"])}, "members": []},
        {"roles": {"a": role(login="LOGIN SUPERUSER")}, "members": []},
    ],
)
def test_a_hostile_inventory_makes_no_statement_of_its_own(postgres_server: SandboxInfo, recorded: Recorded) -> None:
    server = server_of(postgres_server)
    before = copy.deepcopy(recorded)
    with Session(server, "postgres") as session:
        session.rows("BEGIN")
        try:
            roles.create_missing(session, recorded)
        except (BackupError, ValueError):
            session.rows("ROLLBACK")
        assert session.rows("SELECT rolname FROM pg_roles WHERE rolname = 'evil' OR (rolsuper AND oid <> 10)") == []
    assert recorded == before


def test_roles_of_two_databases_together() -> None:
    first: Recorded = {"roles": {"a": role(), "b": role()}, "members": [["b", "a"]]}
    second: Recorded = {"roles": {"b": role(), "c": role()}, "members": [["c", "b"], ["b", "a"]]}
    assert roles.merge(first, second) == {"roles": {name: role() for name in "abc"}, "members": [["b", "a"], ["c", "b"]]}
