# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Violated constraints of a source, found on a server, and healthy databases that look odd."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.source import source_checks
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StageFailed
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import Check
from scenes.invariant_scene import Broken, broken
from scenes.source_damages import FREELY, OLD_LIBRARY, ORPHAN, duplicated, of_old_library, reversed_index
from scenes.twin_database import TwinCluster

FOREIGN_KEY, UNIQUE, COLLATION, STATE = source_checks.IDS
CONSTRAINTS = (FOREIGN_KEY, UNIQUE, COLLATION)
LEAF = "audit_events_y2026m03"


@pytest.fixture
def own(caracal_database: TwinCluster) -> t.Iterator[Broken]:
    with broken(caracal_database) as made:
        yield made


def scan(database: Broken, acknowledged: t.Collection[str] = (), structure: bool = True) -> dict[str, Check]:
    session = database.session
    source_checks.prepare(session)
    scans = [source_checks.foreign_keys(session, database.database), source_checks.collations(session, database.database)]
    scans.append(source_checks.unique_indexes(session, database.database, source_checks.indexes(session), structure))
    return {one.id: one for one in source_checks.checks(scans, acknowledged)}


def verdicts(found: t.Mapping[str, Check]) -> dict[str, str]:
    return {name: one.verdict for name, one in found.items() if one.verdict not in ("pass", "not_applicable")}


def objects(check: Check, field: str = "broken") -> set[str]:
    return {one["object"] for one in check.details[field]}


BROKEN: dict[str, tuple[list[str], str, str]] = {
    "row without parent": ([FREELY, ORPHAN], FOREIGN_KEY, "public.delegated_grants delegated_grants_zone_id_fkey"),
    "primary key twice": (duplicated("zones", "zones_pkey", "zones_slug_key"), UNIQUE, "public.zones zones_pkey"),
    "partial index": (
        duplicated("policies", "policies_zone_id_name_key", "policies_pkey"),
        UNIQUE,
        "public.policies policies_zone_id_name_key",
    ),
    "audit row twice": (duplicated(LEAF, f"{LEAF}_pkey"), UNIQUE, f"public.{LEAF} {LEAF}_pkey"),
    "index out of order": (["CREATE EXTENSION amcheck SCHEMA public", reversed_index("zones_pkey")], UNIQUE, "public.zones zones_pkey"),
    "library of the database": ([OLD_LIBRARY], COLLATION, "the database's default"),
    "library of a column": (of_old_library("zones", "slug"), COLLATION, "public.older"),
}


@pytest.mark.mutation
@pytest.mark.parametrize("name", BROKEN)
def test_broken_constraints_are_found_and_named(own: Broken, name: str) -> None:
    statements, check_id, thing = BROKEN[name]
    for statement in statements:
        own.session.rows(statement)
    found = scan(own)
    assert verdicts(found) == {check_id: "fail"}, found
    assert thing in objects(found[check_id]) and found[check_id].required
    recorded = found[check_id].details["recorded"]
    assert all(len(one["digest"]) == 64 for one in recorded) and recorded[0]["digest"][:16] in found[check_id].message
    accepted = scan(own, {one["digest"] for one in recorded})
    assert verdicts(accepted) == {check_id: "warn"} and accepted[check_id].details["recorded"] == recorded
    assert scan(own)[check_id].details["recorded"] == recorded, "what did not change has another digest"


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("database", ["caracal", "caracal_auth"])
def test_a_healthy_database_passes(caracal_database: TwinCluster, database: str) -> None:
    with broken(caracal_database, database) as made:
        made.session.rows("CREATE EXTENSION amcheck SCHEMA public")
        found = scan(made)
    assert verdicts(found) == {} and not any(found[name].details["not_read"] for name in CONSTRAINTS)
    assert found[FOREIGN_KEY].details["read"] and found[UNIQUE].details["read"] > found[COLLATION].details["read"]


def by_index(database: Broken, name: str, rows: int | None = None) -> bool:
    """Return whether the index alone proves that its keys are unique."""
    session = database.session
    (index,) = (one for one in source_checks.indexes(session) if one.name == name)
    counted = session.value(f"SELECT count(*) FROM {index.table.qualified}")
    return source_checks.is_whole(session, index, counted if rows is None else rows)


@pytest.mark.no_false_alarm
def test_a_whole_index_proves_that_its_keys_are_unique(own: Broken) -> None:
    assert by_index(own, f"{LEAF}_pkey") and by_index(own, "zones_pkey")
    settings = own.session.rows("SELECT current_setting('enable_seqscan'), current_setting('enable_indexscan')")
    assert settings == [("on", "off")], "after it, rows are read without indexes again"


IN_DOUBT: dict[str, tuple[list[str], str]] = {
    "row that the index lacks": (duplicated(LEAF, f"{LEAF}_pkey"), f"{LEAF}_pkey"),
    "entries out of order": ([reversed_index("zones_pkey")], "zones_pkey"),
    "key that is NULL": (["CREATE TABLE public.mine (a int UNIQUE)", "INSERT INTO public.mine VALUES (NULL), (NULL)"], "mine_a_key"),
    "rows that are not in it": (
        ["CREATE TABLE public.mine (a int NOT NULL)", "CREATE UNIQUE INDEX part ON public.mine (a) WHERE a > 0"],
        "part",
    ),
    "an expression": (["CREATE TABLE public.mine (a text NOT NULL)", "CREATE UNIQUE INDEX lower ON public.mine (lower(a))"], "lower"),
}


@pytest.mark.mutation
@pytest.mark.parametrize("name", IN_DOUBT)
def test_doubtful_index_does_not_prove_unique_keys(own: Broken, name: str) -> None:
    statements, index = IN_DOUBT[name]
    for statement in statements:
        own.session.rows(statement)
    assert not by_index(own, index)


@pytest.mark.mutation
def test_an_index_with_another_number_of_entries_proves_nothing(own: Broken) -> None:
    assert not by_index(own, f"{LEAF}_pkey", rows=1)


@pytest.mark.mutation
def test_an_acknowledgement_covers_no_other_row(own: Broken) -> None:
    for statement in (FREELY, ORPHAN):
        own.session.rows(statement)
    known = {one["digest"] for one in scan(own)[FOREIGN_KEY].details["recorded"]}
    own.session.rows(ORPHAN.replace("min(", "max("))
    assert scan(own, known)[FOREIGN_KEY].verdict == "fail"
    own.session.rows("UPDATE public.delegated_grants SET zone_id = (SELECT min(id) FROM public.zones) WHERE zone_id = 'gone'")
    own.session.rows(ORPHAN.replace("min(", "max("))
    assert scan(own, known)[FOREIGN_KEY].verdict == "fail", "as many rows as before, and another one"


def test_no_value_of_a_row_is_in_a_message(own: Broken) -> None:
    for statement in (FREELY, ORPHAN.replace("'gone'", "'topsecret'"), *duplicated("zones", "zones_pkey", "zones_slug_key")):
        own.session.rows(statement)
    ((zone,),) = own.session.rows("SELECT id FROM public.zones WHERE ctid = (SELECT min(ctid) FROM public.zones)")
    printed = repr(scan(own))
    assert "topsecret" not in printed and zone not in printed


HEALTHY = {
    "own tables": [
        "CREATE TABLE public.mine (a int PRIMARY KEY, b int REFERENCES public.mine, c text UNIQUE)",
        "INSERT INTO public.mine VALUES (1, 1, NULL), (2, NULL, NULL)",
    ],
    "no NULL is another": ["CREATE TABLE public.mine (a int, UNIQUE NULLS NOT DISTINCT (a))", "INSERT INTO public.mine VALUES (NULL), (1)"],
    "partitions and a deep schema": [
        'CREATE SCHEMA "Deep Down"',
        'CREATE TABLE "Deep Down"."a table" ("Key" int PRIMARY KEY) PARTITION BY LIST ("Key")',
        'CREATE TABLE "Deep Down".one PARTITION OF "Deep Down"."a table" DEFAULT',
        'CREATE TABLE public.mine (a int REFERENCES "Deep Down"."a table")',
        'INSERT INTO "Deep Down"."a table" VALUES (1)',
        "INSERT INTO public.mine VALUES (1)",
    ],
    "parts of a key": [
        "CREATE TABLE public.two (a int, b int, PRIMARY KEY (a, b))",
        "CREATE TABLE public.mine (a int, b int, FOREIGN KEY (a, b) REFERENCES public.two)",
        "INSERT INTO public.mine VALUES (7, NULL)",
    ],
    "constraint that was never validated": [
        "INSERT INTO public.delegated_grants SELECT * FROM public.delegated_grants WHERE false",
        "CREATE TABLE public.mine (a text)",
        "INSERT INTO public.mine VALUES ('gone')",
        "ALTER TABLE public.mine ADD FOREIGN KEY (a) REFERENCES public.zones NOT VALID",
    ],
    "invalid index": [
        "CREATE TABLE public.mine (a int)",
        "CREATE UNIQUE INDEX mine_a ON public.mine (a)",
        "UPDATE pg_catalog.pg_index SET indisvalid = false, indisready = false WHERE indexrelid = 'public.mine_a'::pg_catalog.regclass",
        "INSERT INTO public.mine VALUES (1), (1)",
    ],
    "expression and INCLUDE": [
        "CREATE TABLE public.mine (a text, b int)",
        "CREATE UNIQUE INDEX ON public.mine (lower(a)) INCLUDE (b) WHERE b > 1",
        "INSERT INTO public.mine VALUES ('A', 1), ('a', 1), ('a', 2)",
    ],
    "inheritance": [
        "CREATE TABLE public.elder (a int PRIMARY KEY)",
        "CREATE TABLE public.younger () INHERITS (public.elder)",
        "INSERT INTO public.elder VALUES (1)",
        "INSERT INTO public.younger VALUES (1)",
    ],
    "collation of this version": ["CREATE COLLATION public.fine (provider = builtin, locale = 'C.UTF-8')"],
}


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("name", HEALTHY)
def test_unusual_healthy_databases_pass(own: Broken, name: str) -> None:
    for statement in HEALTHY[name]:
        own.session.rows(statement)
    assert verdicts(scan(own)) == {}


@pytest.mark.no_false_alarm
def test_the_operators_own_tables_only_warn(own: Broken) -> None:
    for statement in (
        'CREATE TABLE public.mine (a int PRIMARY KEY, b text REFERENCES public.zones, c text COLLATE "C")',
        FREELY,
        "INSERT INTO public.mine VALUES (1, 'gone', 'x')",
        *duplicated("mine", "mine_pkey"),
        *of_old_library("mine", "c"),
    ):
        own.session.rows(statement)
    found = scan(own)
    assert verdicts(found) == dict.fromkeys(CONSTRAINTS, "warn")
    assert not any(found[name].required or found[name].details["recorded"] for name in CONSTRAINTS)


@pytest.mark.mutation
def test_a_function_of_the_owner_is_not_run(own: Broken) -> None:
    for statement in (
        "CREATE FUNCTION public.f(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END'",
        "CREATE UNIQUE INDEX f_of_slug ON public.zones (public.f(slug))",
        "CREATE TABLE public.mine (a text)",
        "CREATE UNIQUE INDEX f_of_mine ON public.mine (public.f(a))",
        "CREATE OR REPLACE FUNCTION public.f(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RAISE EXCEPTION ''run''; END'",
    ):
        own.session.rows(statement)
    found = scan(own)
    assert verdicts(found) == {UNIQUE: "unproven"}, "of Caracal's own table it leaves a doubt"
    assert objects(found[UNIQUE], "not_read") == {"public.zones f_of_slug", "public.mine f_of_mine"}


CALLS = "CREATE FUNCTION public.f(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''ran''; END'"
ADDED = "ALTER DOMAIN public.d ADD CHECK (public.f(VALUE)) NOT VALID"
VALUE = "JSON_VALUE(a, '$.x' RETURNING public.d ERROR ON ERROR)"
UNRECORDED = {
    "key": f"CREATE UNIQUE INDEX odd ON public.mine (({VALUE}))",
    "key with a cast": f"CREATE UNIQUE INDEX odd ON public.mine ((CAST({VALUE} AS text)))",
    "predicate": f"CREATE UNIQUE INDEX odd ON public.mine (b) WHERE {VALUE} IS NOT NULL",
    "query in a predicate": f"CREATE UNIQUE INDEX odd ON public.mine (b) WHERE {VALUE.replace('VALUE', 'QUERY')} IS NOT NULL",
}


@pytest.mark.mutation
@pytest.mark.parametrize("name", UNRECORDED)
def test_a_function_behind_a_type_that_the_server_does_not_record_is_not_run(own: Broken, name: str) -> None:
    for statement in (CALLS, "CREATE DOMAIN public.d AS text", "CREATE TABLE public.mine (a jsonb, b int)", UNRECORDED[name]):
        own.session.rows(statement)
    own.session.rows("INSERT INTO public.mine VALUES (jsonb_build_object('x', 'v'), 1)")
    own.session.rows(ADDED)
    found = scan(own)
    assert verdicts(found) == {} and objects(found[UNIQUE], "not_read") == {"public.mine odd"}


@pytest.mark.mutation
def test_one_more_row_of_an_acknowledged_key_is_another_finding(own: Broken) -> None:
    again = duplicated("zones", "zones_pkey", "zones_slug_key")
    for statement in again:
        own.session.rows(statement)
    known = {one["digest"] for one in scan(own)[UNIQUE].details["recorded"]}
    assert scan(own, known)[UNIQUE].verdict == "warn"
    for statement in again:
        own.session.rows(statement)
    assert scan(own, known)[UNIQUE].verdict == "fail"


class Full:
    """A server without memory for a digest of all keys, with one foreign key and three rows that violate it."""

    def rows(self, sql: str, _parameters: t.Sequence[t.Any] = ()) -> list[tuple[t.Any, ...]]:
        if "string_agg(k" in sql:
            raise StageFailed("out of memory", sqlstate="54000")
        if "pg_constraint" in sql:
            return [("public", "zones", "zones", "zones_fkey", "SELECT", False, True)]
        return [(3,)] if "count(*)" in sql else []


@pytest.mark.mutation
def test_keys_that_the_server_cannot_put_together_are_counted() -> None:
    (found, *_others) = source_checks.checks([source_checks.foreign_keys(Full(), "caracal")], ())
    assert found.verdict == "fail" and len(found.details["recorded"]) == 1
    known = {one["digest"] for one in found.details["recorded"]}
    again = source_checks.checks([source_checks.foreign_keys(Full(), "caracal")], known)[0]
    assert again.verdict == "fail", "no acknowledgement covers rows that are not known exactly"


@pytest.mark.mutation
def test_reason_contains_no_value_of_a_row(own: Broken) -> None:
    for statement in (
        "CREATE TABLE public.mine (a text)",
        "INSERT INTO public.mine VALUES ('topsecret')",
        "CREATE UNIQUE INDEX odd ON public.mine (a) WHERE CASE WHEN a = 'topsecret' THEN false ELSE a::int > 0 END",
        "UPDATE pg_catalog.pg_index SET indisready = false WHERE indexrelid = 'public.odd'::pg_catalog.regclass",
        "INSERT INTO public.mine VALUES ('hidden')",
        "UPDATE pg_catalog.pg_index SET indisready = true WHERE indexrelid = 'public.odd'::pg_catalog.regclass",
    ):
        own.session.rows(statement)
    found = scan(own)
    assert objects(found[UNIQUE], "not_read") == {"public.mine odd"} and "hidden" not in repr(found)


def test_each_query_has_a_limit_of_time(own: Broken) -> None:
    source_checks.prepare(own.session)
    assert own.session.value("SELECT current_setting('statement_timeout')") == "20min"


@pytest.mark.no_false_alarm
def test_indexes_of_one_table_match_the_list_of_all_indexes(own: Broken) -> None:
    every = source_checks.indexes(own.session)
    assert source_checks.indexes(own.session, ("public", LEAF)) == [one for one in every if one.table.name == LEAF] != []


@pytest.mark.mutation
@pytest.mark.parametrize("count", [1, 2, 9])
def test_message_names_the_object_of_each_finding(count: int) -> None:
    broken = tuple(source_checks.Broken(f"public.zones k{number}", "1 row(s)", str(number)) for number in range(count))
    (found, *_others) = source_checks.checks([source_checks.Scan(FOREIGN_KEY, "caracal", count, broken)], ())
    for number, one in enumerate(found.details["recorded"]):
        named = number < source_checks.NAMED
        assert (f"public.zones k{number}:" in found.message) is (one["digest"][:16] in found.message) is named


@pytest.mark.mutation
def test_many_findings_are_recorded_by_one_digest_for_the_rest() -> None:
    broken = tuple(source_checks.Broken(f"public.zones k{number:03}", "1 row(s)", str(number)) for number in range(60))
    (found, *_others) = source_checks.checks([source_checks.Scan(FOREIGN_KEY, "caracal", 60, broken)], ())
    assert len(found.details["recorded"]) == 51
    known = {one["digest"] for one in found.details["recorded"]}
    assert source_checks.checks([source_checks.Scan(FOREIGN_KEY, "caracal", 60, broken)], known)[0].verdict == "warn"
    more = (*broken, source_checks.Broken("public.zones k999", "1 row(s)", "999"))
    assert source_checks.checks([source_checks.Scan(FOREIGN_KEY, "caracal", 61, more)], known)[0].verdict == "fail"


def test_unreadable_parts_are_unproven_with_the_reason(own: Broken) -> None:
    for statement in (
        "CREATE ROLE reader",
        "REVOKE EXECUTE ON FUNCTION pg_catalog.pg_database_collation_actual_version FROM PUBLIC",
        "SET LOCAL ROLE reader",
    ):
        own.session.rows(statement)
    found = scan(own)
    assert verdicts(found) == dict.fromkeys(CONSTRAINTS, "unproven")
    reasons = ("permission denied", "row-level security")
    constraints = [found[name] for name in CONSTRAINTS]
    others = [one.message for one in constraints if one.required or not any(why in one.message for why in reasons)]
    assert not others


def test_amcheck_is_skipped_if_the_role_may_not_call_it(own: Broken) -> None:
    for statement in (
        "CREATE EXTENSION amcheck SCHEMA public",
        reversed_index("zones_pkey"),
        "CREATE ROLE reader IN ROLE pg_read_all_data BYPASSRLS",
        "SET LOCAL ROLE reader",
    ):
        own.session.rows(statement)
    assert scan(own)[UNIQUE].verdict == "pass"


def test_rules_that_cannot_be_read_are_unproven(own: Broken) -> None:
    own.session.rows("DROP TABLE public.admin_tokens CASCADE")
    (found,) = (one for one in source_checks.checks([own.of_source()], ()) if one.id == STATE)
    assert found.verdict == "unproven" and not found.required and found.details["read"]
    assert "state.admin_log.tokens" in objects(found, "not_read")


def test_a_database_that_could_not_be_read_is_unproven() -> None:
    found = source_checks.checks(source_checks.unread("caracal", "the connection was lost"), ())
    assert [(one.id, one.verdict) for one in found] == [(name, "unproven") for name in source_checks.IDS]
