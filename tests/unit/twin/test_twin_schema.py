# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The created databases match the recorded facts exactly, also after a dump, and work."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import pathlib
import subprocess
import typing as t

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import pytest

from twin import introspect, keys, load, schema
from twin.releases.known import RELEASES
from twin.spec import Spec

RELEASE = RELEASES["v1.0.0"]
CARACAL, AUTH = RELEASE.databases


@pytest.mark.parametrize("facts", RELEASE.databases, ids=lambda facts: facts.name)
def test_a_created_database_equals_its_facts(twin: dict[str, t.Any], facts: t.Any) -> None:
    with contextlib.closing(load.open_database(twin, facts.name)) as connection:
        made = introspect.read(connection)
    for name, table in facts.tables.items():
        assert made.tables[name] == table, name
    assert made == facts


def test_the_facts_have_the_size_of_the_release() -> None:
    constraints = [text for table in CARACAL.tables.values() for text in table.constraints.values()]
    assert len(CARACAL.tables) == 45
    assert sum(text.startswith("FOREIGN KEY") for text in constraints) == 62
    assert sum(text.endswith("NOT VALID") for text in constraints) == 3
    assert sum(table.row_security for table in CARACAL.tables.values()) == 28
    assert sum(len(table.triggers) for table in CARACAL.tables.values()) == 2
    assert sorted(AUTH.tables) == ["account", "rateLimit", "session", "user", "verification"]


@pytest.mark.mutation
@pytest.mark.parametrize(
    "damage",
    [
        "ALTER TABLE zones ADD COLUMN extra text",
        "ALTER TABLE zones ALTER COLUMN slug DROP NOT NULL",
        "ALTER TABLE zones ALTER COLUMN dcr_enabled SET DEFAULT true",
        "ALTER TABLE sessions DROP CONSTRAINT sessions_zone_parent_fk",
        "ALTER TABLE sessions DROP CONSTRAINT sessions_lifecycle_check",
        "ALTER TABLE operator_message_runs VALIDATE CONSTRAINT operator_message_runs_input_tokens_check",
        "DROP INDEX sessions_terminal_retention_idx",
        "DROP TRIGGER policy_versions_immutable ON policy_versions",
        "ALTER TABLE policy_versions DISABLE TRIGGER policy_versions_immutable",
        "ALTER TABLE secrets DISABLE ROW LEVEL SECURITY",
        "DROP POLICY zone_isolation ON secrets",
        "ALTER POLICY zone_isolation ON secrets USING (true)",
        "ALTER POLICY zone_isolation ON secrets TO caracalapi",
        "GRANT DELETE ON delegation_edges TO caracalcoordinator",
        "REVOKE SELECT ON zones FROM caracalsts",
        "GRANT EXECUTE ON FUNCTION audit_partition_drop(text) TO PUBLIC",
        "ALTER FUNCTION audit_partition_drop(text) SECURITY INVOKER",
        "ALTER FUNCTION audit_partition_drop(text) RESET search_path",
        "REVOKE ALL ON SEQUENCE audit_ingest_alerts_id_seq FROM caracalaudit",
        "DROP TABLE audit_events_default",
        "DROP EXTENSION pgcrypto",
    ],
)
def test_a_changed_schema_differs_from_the_facts(database: t.Any, damage: str) -> None:
    with database.cursor() as cursor:
        cursor.execute(damage)
    assert introspect.read(database) != CARACAL


@pytest.mark.mutation
def test_a_foreign_owner_is_refused(database: t.Any) -> None:
    with database.cursor() as cursor:
        cursor.execute("ALTER TABLE zones OWNER TO caracalapi")
    with pytest.raises(ValueError, match="table zones: owner caracalapi"):
        introspect.read(database)


def test_roles_have_their_attributes_and_no_memberships(database: t.Any) -> None:
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT rolname, rolcanlogin, rolcreatedb, rolsuper OR rolbypassrls OR rolcreaterole OR rolreplication"
            "  FROM pg_roles WHERE rolname LIKE 'caracal_%'"
        )
        found = {name: rest for name, *rest in cursor.fetchall()}
        cursor.execute("SELECT count(*) FROM pg_auth_members WHERE member::regrole::text LIKE 'caracal%'")
        memberships = cursor.fetchone()[0]
    assert found == {role: [True, attributes == "LOGIN CREATEDB", False] for role, attributes in RELEASE.roles.items()}
    assert memberships == 0


def test_role_passwords_match_the_seed(database: t.Any, spec: Spec) -> None:
    with database.cursor() as cursor:
        cursor.execute("SELECT rolname, rolpassword FROM pg_authid WHERE rolname LIKE 'caracal_%'")
        stored = dict(cursor.fetchall())
    assert sorted(stored) == sorted(RELEASE.roles)
    for role, password in keys.for_seed(spec.seed).role_passwords.items():
        assert stored[role].startswith("SCRAM-SHA-256$4096:")
        assert stored[role] == _verifier_with_salt_of(stored[role], password)


def _verifier_with_salt_of(verifier: str, password: str) -> str:
    return keys.scram_verifier(password, base64.b64decode(verifier.split(":")[1].split("$")[0]))


def test_scram_verifier_matches_libpq(database: t.Any) -> None:
    made = psycopg2.extensions.encrypt_password("s3cret", "caracalapi", scope=database, algorithm="scram-sha-256")
    assert _verifier_with_salt_of(made, "s3cret") == made


def test_partitions_cover_the_months_and_three_more(database: t.Any, spec: Spec) -> None:
    with database.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY 1")
        leaves = [name for (name,) in cursor.fetchall()]
    expected = [month.strftime("audit_events_y%Ym%m") for month in spec.partitions]
    assert leaves == ["audit_events_default", *expected]
    assert len(expected) == 16


def test_a_dump_and_restore_keeps_every_fact(twin: dict[str, t.Any], binaries: pathlib.Path) -> None:
    at = ["-h", twin["host"], "-U", "caracal"]
    subprocess.run([binaries / "createdb", *at, "-T", "template0", "copy"], check=True)
    try:
        archive = subprocess.run([binaries / "pg_dump", *at, "-Fc", "-Z0", "caracal"], check=True, capture_output=True).stdout
        subprocess.run([binaries / "pg_restore", *at, "--exit-on-error", "-d", "copy"], input=archive, check=True)
        dumps = [
            subprocess.run([binaries / "pg_dump", *at, "--restrict-key=x", name], check=True, capture_output=True).stdout
            for name in ("caracal", "copy")
        ]
        assert dumps[0] == dumps[1]
        with contextlib.closing(load.open_database(twin, "copy")) as connection:
            assert introspect.read(connection) == dataclasses.replace(CARACAL, name="copy")
    finally:
        subprocess.run([binaries / "dropdb", *at, "copy"], check=True)


@pytest.mark.parametrize("table", ["policy_versions", "policy_set_versions"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET created_by = 'x'", "DELETE FROM {}"])
def test_versions_are_immutable(database: t.Any, table: str, statement: str) -> None:
    with database.cursor() as cursor, pytest.raises(psycopg2.errors.RaiseException, match=f"rows of {table} are immutable"):
        cursor.execute(statement.format(table))


def test_row_security_hides_events_until_a_zone_is_set(database: t.Any) -> None:
    counts = []
    with database.cursor() as cursor:
        cursor.execute("SET ROLE caracalaudit")
        for zone in ("", "*"):
            cursor.execute("SELECT set_config('caracal.zone_id', %s, true)", [zone])
            cursor.execute("SELECT count(*) FROM audit_events")
            counts.append(cursor.fetchone()[0])
    assert counts == [0, 3000]


@pytest.mark.parametrize("statement", ["UPDATE audit_events SET decision = 'x'", "DELETE FROM audit_events", "TRUNCATE audit_events"])
def test_the_audit_role_cannot_change_events(database: t.Any, statement: str) -> None:
    with database.cursor() as cursor:
        cursor.execute("SET ROLE caracalaudit")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(statement)


def test_the_audit_role_manages_partitions_by_function_only(database: t.Any, spec: Spec) -> None:
    far = spec.month(40)
    leaf = far.strftime("audit_events_y%Ym%m")
    with database.cursor() as cursor:
        cursor.execute("SET ROLE caracalaudit")
        for _turn in range(2):
            cursor.execute("SELECT audit_partition_ensure(%s)", [far.date()])
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [leaf])
        assert cursor.fetchone() == (True,)
        cursor.execute("SELECT audit_partition_drop(%s)", [leaf])
        cursor.execute("SELECT to_regclass(%s) IS NULL", [leaf])
        assert cursor.fetchone() == (True,)
        with pytest.raises(psycopg2.errors.RaiseException, match="not a monthly audit partition: zones"):
            cursor.execute("SELECT audit_partition_drop('zones')")


def test_names_and_strings_are_quoted() -> None:
    assert schema.quote('a"b') == '"a""b"'
    assert schema.literal("it's") == "'it''s'"
