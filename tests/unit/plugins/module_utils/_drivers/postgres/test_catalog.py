# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
import uuid

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import catalog
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Session
from scenes.twin_database import TwinCluster

LISTS = {"schema": catalog.schema, "grants": catalog.grants, "owners": catalog.owners}
ROLE = "catalog_reader"


@pytest.fixture(scope="module")
def copy(caracal_database: TwinCluster) -> t.Iterator[str]:
    """Return a copy for tests that roll back, and a role that owns nothing."""
    name = f"catalog_{uuid.uuid4().hex[:12]}"
    caracal_database.execute(
        f"CREATE DATABASE {name} TEMPLATE caracal OWNER caracal STRATEGY file_copy", f"CREATE ROLE {ROLE}", database="postgres"
    )
    yield name
    caracal_database.execute(f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {ROLE}", database="postgres")


@pytest.fixture
def session(caracal_database: TwinCluster, copy: str) -> t.Iterator[Session]:
    """Yield a session with a transaction that is rolled back."""
    with Session(caracal_database.server, copy) as session:
        session.rows("BEGIN")
        yield session


def read(session: Session) -> dict[str, set[str]]:
    return {name: set(function(session)) for name, function in LISTS.items()}


FUNCTION = "CREATE FUNCTION public.f(a int) RETURNS int LANGUAGE sql AS 'SELECT {}'"

# A first statement (may be empty), the change, the list that shows it, and a part of a line that appears or disappears.
CHANGES: list[tuple[str, str, str, str]] = [
    ("", "ALTER TABLE public.zones ALTER COLUMN name TYPE varchar(300)", "schema", "column public.zones.name at "),
    ("", "ALTER TABLE public.zones ALTER COLUMN name SET DEFAULT 'x'", "schema", " default 'x'::text"),
    ("", "ALTER TABLE public.zones ALTER COLUMN name DROP NOT NULL", "schema", "column public.zones.name at "),
    ("", "ALTER TABLE public.zones ADD COLUMN new int", "schema", "column public.zones.new at "),
    ("", "ALTER TABLE public.zones RENAME COLUMN name TO title", "schema", "column public.zones.title at "),
    ("", "CREATE TABLE public.new (id int GENERATED ALWAYS AS IDENTITY)", "schema", "column public.new.id at 1 integer not null a"),
    (
        "",
        "CREATE TABLE public.new (a int, b int GENERATED ALWAYS AS (a + 1) STORED)",
        "schema",
        "column public.new.b at 2 integer default (a + 1) s",
    ),
    (
        "",
        "ALTER TABLE public.zones ADD CONSTRAINT c CHECK (name <> '')",
        "schema",
        "constraint public.zones.c CHECK ((name <> ''::text)) validated true",
    ),
    ("", "ALTER TABLE public.zones ADD CONSTRAINT c CHECK (name <> '') NOT VALID", "schema", "validated false"),
    (
        "",
        "ALTER TABLE public.delegation_edges DROP CONSTRAINT delegation_edges_zone_parent_fk",
        "schema",
        "delegation_edges_zone_parent_fk FOREIGN KEY",
    ),
    (
        "",
        "CREATE INDEX new_idx ON public.zones (name)",
        "schema",
        "index CREATE INDEX new_idx ON public.zones USING btree (name) valid true",
    ),
    ("", "DROP INDEX public.zones_active_idx", "schema", "zones_active_idx"),
    (
        "",
        "UPDATE pg_catalog.pg_index SET indisvalid = false WHERE indexrelid = 'public.zones_active_idx'::regclass",
        "schema",
        "zones_active_idx",
    ),
    ("", "ALTER TABLE public.policy_versions DISABLE TRIGGER policy_versions_immutable", "schema", "enabled D"),
    ("", "DROP TRIGGER policy_versions_immutable ON public.policy_versions", "schema", "TRIGGER policy_versions_immutable"),
    ("", "DROP POLICY zone_isolation ON public.secrets", "schema", "policy public.secrets.zone_isolation"),
    ("", "ALTER POLICY zone_isolation ON public.secrets USING (true)", "schema", "using true"),
    ("", "ALTER POLICY zone_isolation ON public.secrets WITH CHECK (true)", "schema", "check true"),
    ("", f"ALTER POLICY zone_isolation ON public.secrets TO {ROLE}", "schema", f" to {ROLE}"),
    ("", "ALTER TABLE public.secrets DISABLE ROW LEVEL SECURITY", "schema", "relation public.secrets kind r rls false"),
    ("", "ALTER TABLE public.secrets FORCE ROW LEVEL SECURITY", "schema", "forced true"),
    (FUNCTION.format(1), FUNCTION.format(2).replace("CREATE", "CREATE OR REPLACE"), "schema", "function public.f(a integer) "),
    (FUNCTION.format(1), "ALTER FUNCTION public.f SECURITY DEFINER", "schema", "function public.f(a integer) "),
    (FUNCTION.format(1), "ALTER FUNCTION public.f SET search_path = public", "schema", "function public.f(a integer) "),
    ("", "CREATE VIEW public.v AS SELECT 1 AS one", "schema", "view public.v "),
    ("CREATE VIEW public.v AS SELECT 1 AS one", "CREATE OR REPLACE VIEW public.v AS SELECT 2 AS one", "schema", "view public.v "),
    ("CREATE TYPE public.e AS ENUM ('a')", "ALTER TYPE public.e RENAME VALUE 'a' TO 'b'", "schema", "type public.e e b"),
    ("", "CREATE SEQUENCE public.s", "schema", "relation public.s kind S"),
    (
        "",
        "ALTER TABLE public.audit_events DETACH PARTITION public.audit_events_default",
        "schema",
        "relation public.audit_events_default kind r",
    ),
    ("", f"GRANT SELECT ON public.zones TO {ROLE}", "grants", f"table public.zones {ROLE} SELECT"),
    ("", f"GRANT SELECT ON public.zones TO {ROLE} WITH GRANT OPTION", "grants", f"table public.zones {ROLE} SELECT with grant option"),
    ("", "REVOKE SELECT ON public.zones FROM caracalapi", "grants", "table public.zones caracalapi SELECT"),
    ("", "GRANT INSERT ON public.zones TO PUBLIC", "grants", "table public.zones PUBLIC INSERT"),
    ("", f"GRANT UPDATE (name) ON public.zones TO {ROLE}", "grants", f"column public.zones.name {ROLE} UPDATE"),
    (
        "",
        f"GRANT USAGE ON SEQUENCE public.audit_ingest_alerts_id_seq TO {ROLE}",
        "grants",
        f"sequence public.audit_ingest_alerts_id_seq {ROLE} USAGE",
    ),
    ("", "GRANT EXECUTE ON FUNCTION public.audit_partition_drop TO PUBLIC", "grants", "function public.audit_partition_drop("),
    (FUNCTION.format(1), "REVOKE EXECUTE ON FUNCTION public.f FROM PUBLIC", "grants", "function public.f(a integer) PUBLIC EXECUTE"),
    ("", f"GRANT CREATE ON SCHEMA public TO {ROLE}", "grants", f"schema public {ROLE} CREATE"),
    ("", "REVOKE USAGE ON SCHEMA public FROM PUBLIC", "grants", "schema public PUBLIC USAGE"),
    ("", f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {ROLE}", "grants", "default caracal public r "),
    ("", f"ALTER TABLE public.zones OWNER TO {ROLE}", "owners", f"table public.zones {ROLE}"),
    (FUNCTION.format(1), f"ALTER FUNCTION public.f OWNER TO {ROLE}", "owners", f"function public.f(a integer) {ROLE}"),
    ("CREATE SEQUENCE public.s", f"ALTER SEQUENCE public.s OWNER TO {ROLE}", "owners", f"sequence public.s {ROLE}"),
    ("", f"ALTER SCHEMA public OWNER TO {ROLE}", "owners", f"schema public {ROLE}"),
]


@pytest.mark.mutation
@pytest.mark.parametrize(("first", "change", "where", "part"), CHANGES, ids=[one[1][:60] for one in CHANGES])
def test_a_change_is_seen(session: Session, first: str, change: str, where: str, part: str) -> None:
    if first:
        session.rows(first)
    before = read(session)
    session.rows(change)
    after = read(session)
    lines = before[where] ^ after[where]
    assert any(part in line for line in lines), lines
    # Only the changed object differs, in this list and in the others.
    assert len(lines) <= 15
    if where == "schema" and not change.startswith("CREATE"):
        assert before["owners"] == after["owners"]


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", "database PUBLIC CONNECT"),
        (f"GRANT CREATE ON DATABASE {{}} TO {ROLE}", f"database {ROLE} CREATE"),
    ],
)
def test_rights_on_the_database_are_seen(session: Session, copy: str, change: str, part: str) -> None:
    before = set(catalog.grants(session))
    session.rows(change.format(copy))
    assert before ^ set(catalog.grants(session)) == {part}


def test_the_owner_of_the_database_is_seen(session: Session, copy: str) -> None:
    assert "database caracal" in catalog.owners(session)
    session.rows(f"ALTER DATABASE {copy} OWNER TO {ROLE}")
    assert f"database {ROLE}" in catalog.owners(session)
    assert catalog.settings(session)["owner"] == ROLE


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    "change",
    [
        "GRANT SELECT ON public.zones TO pg_monitor",
        "GRANT SELECT ON public.zones TO caracal",
        "ANALYZE public.zones",
        "COMMENT ON TABLE public.zones IS 'x'",
        "CREATE TABLE pg_temp.mine (a int)",
        "DELETE FROM public.caracal_outbox",
    ],
)
def test_changes_unrelated_to_schema_are_ignored(session: Session, change: str) -> None:
    before = read(session)
    session.rows(change)
    assert read(session) == before


def test_dropped_column_does_not_change_schema(session: Session) -> None:
    session.rows("CREATE TABLE public.t (a int, gone int, b int)")
    session.rows("ALTER TABLE public.t DROP COLUMN gone")
    dropped = [line for line in catalog.schema(session) if line.startswith("column public.t.")]
    session.rows("DROP TABLE public.t")
    session.rows("CREATE TABLE public.t (a int, b int)")
    assert [line for line in catalog.schema(session) if line.startswith("column public.t.")] == dropped


def test_lists_are_sorted_without_duplicates_and_without_extensions(session: Session) -> None:
    for name, function in LISTS.items():
        lines = function(session)
        assert lines == sorted(set(lines)), name
        assert len(lines) > 50
        assert not any("gen_salt" in line or "pgp_sym" in line for line in lines), name
    assert not any(line.startswith("constraint") and line.split(" validated")[0].endswith("_not_null") for line in catalog.schema(session))


def test_plain_facts(session: Session, copy: str) -> None:
    assert catalog.extensions(session).keys() == {"plpgsql", "pgcrypto"}
    assert catalog.server_version(session) // 10000 >= 17
    assert catalog.large_objects(session) == 0
    session.rows("SELECT lo_create(0)")
    assert catalog.large_objects(session) == 1
    assert catalog.settings(session) == {
        "encoding": "UTF8",
        "provider": "libc",
        "locale": None,
        "collate": "C.UTF-8",
        "ctype": "C.UTF-8",
        "owner": "caracal",
        "connection_limit": -1,
        "acl": None,
        "set": None,
        "role_sets": {},
    }
    session.rows(f"ALTER DATABASE {copy} SET work_mem = '64MB'")
    session.rows(f"ALTER DATABASE {copy} CONNECTION LIMIT 7")
    session.rows(f"ALTER ROLE {ROLE} IN DATABASE {copy} SET work_mem = '65MB'")
    session.rows(f"GRANT CONNECT ON DATABASE {copy} TO {ROLE}")
    found = catalog.settings(session)
    assert (found["set"], found["connection_limit"]) == (["work_mem=64MB"], 7)
    assert found["role_sets"] == {ROLE: ["work_mem=65MB"]}
    assert f"{ROLE}=c/caracal" in found["acl"]


def test_sequences_and_the_least_that_they_may_be(session: Session) -> None:
    session.rows('CREATE TABLE public."Odd" ("Id" serial, other int GENERATED ALWAYS AS IDENTITY)')
    session.rows("CREATE SEQUENCE public.lonely")
    assert catalog.sequences(session)["public.Odd_Id_seq"] is None
    assert catalog.sequence_floors(session)["public.Odd_Id_seq"] == 0
    session.rows('INSERT INTO public."Odd" DEFAULT VALUES')
    session.rows('INSERT INTO public."Odd" ("Id") VALUES (41)')
    found, floors = catalog.sequences(session), catalog.sequence_floors(session)
    assert (found["public.Odd_Id_seq"], floors["public.Odd_Id_seq"]) == (1, 41)
    assert (found["public.Odd_other_seq"], floors["public.Odd_other_seq"]) == (2, 2)
    assert found["public.lonely"] is None
    assert "public.lonely" not in floors
