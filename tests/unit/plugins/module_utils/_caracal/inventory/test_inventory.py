# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import dataclasses
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_blocks import Block
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.inventory import inventory
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.inventory.inventory import Located
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, WARN, Check
from scenes.twin_database import TwinCluster

Inventory = dict[str, t.Any]

RECORDED: Inventory = {
    "database": "caracal",
    "tables": {
        "public.zones": {"rows": 3, "digest": "z"},
        "public.schema_migrations": {"rows": 3, "digest": "m"},
        "public.sessions": {"rows": 0, "digest": "e"},
    },
    "leaves": {"public.audit_events_y2026m06": {"rows": 10, "digest": "l"}},
    "schema": ["relation public.zones kind r"],
    "grants": ["table public.zones caracalapi SELECT"],
    "owners": ["table public.zones caracal"],
    "migrations": ["0001_baseline"],
    "state": {"signing_keys": [["z1", "k1", "1"]], "binding_revision": [["4"]]},
    "sequences": {"public.alerts_id_seq": 7, "public.never_used": None},
    "sequence_floor": {"public.alerts_id_seq": 5},
    "extensions": {"pgcrypto": "1.3", "plpgsql": "1.0"},
    "settings": {
        "encoding": "UTF8",
        "provider": "libc",
        "locale": None,
        "collate": "C.UTF-8",
        "ctype": "C.UTF-8",
        "owner": "caracal",
        "connection_limit": -1,
        "acl": None,
        "set": None,
        "role_sets": {"caracalapi": ["statement_timeout=5s"]},
    },
    "server_version": 170010,
    "large_objects": 0,
    "schema_digest": "s",
}
SECTIONS = (
    "tables",
    "schema",
    "grants",
    "owners",
    "migrations",
    "state",
    "sequences",
    "extensions",
    "settings",
    "schema_dump",
    "large_objects",
    "leaves",
)


def compare(
    change: t.Callable[[Inventory], None] | None = None, expected: Inventory | None = None, located: Located | None = None
) -> dict[str, Check]:
    """Return the checks, by section, of a copy that `change` altered."""
    actual = copy.deepcopy(RECORDED)
    if change:
        change(actual)
    checks = inventory.compare(RECORDED if expected is None else expected, actual, located or Located())
    return {check.id.removeprefix("inventory.caracal."): check for check in checks}


@pytest.mark.no_false_alarm
def test_equal_inventories_pass_in_every_section() -> None:
    checks = compare()
    assert tuple(checks) == SECTIONS
    assert checks.pop("large_objects").verdict == NOT_APPLICABLE
    assert {check.verdict for check in checks.values()} == {PASS}
    assert all(check.required for check in checks.values())


def put(section: str, key: str, value: t.Any) -> t.Callable[[Inventory], None]:
    return lambda one: one[section].__setitem__(key, value)


def drop(section: str, key: str) -> t.Callable[[Inventory], None]:
    return lambda one: one[section].__delitem__(key)


CHANGES: list[tuple[str, t.Callable[[Inventory], None], str]] = [
    (
        "tables",
        put("tables", "public.zones", {"rows": 2, "digest": "z"}),
        "1 table(s) differ from the set; first: public.zones: 2 rows instead of 3",
    ),
    ("tables", put("tables", "public.zones", {"rows": 3, "digest": "?"}), "first: public.zones: the content of rows differs"),
    ("tables", put("tables", "public.extra", {"rows": 0, "digest": "e"}), "first: public.extra is not in the set"),
    ("tables", drop("tables", "public.sessions"), "first: public.sessions is missing"),
    (
        "leaves",
        drop("leaves", "public.audit_events_y2026m06"),
        "1 audit partition(s) differ from the set; first: public.audit_events_y2026m06 is missing",
    ),
    ("schema", lambda one: one["schema"].append("index x"), "first: not in the set: index x"),
    ("schema", lambda one: one["schema"].clear(), "first: missing relation public.zones kind r"),
    ("grants", lambda one: one["grants"].clear(), "first: missing table public.zones caracalapi SELECT"),
    (
        "owners",
        lambda one: one.update(owners=["table public.zones mallory"]),
        "2 owner(s) differ from the set; first: missing table public.zones caracal",
    ),
    ("migrations", lambda one: one["migrations"].append("0002_x"), "first: not in the set: 0002_x"),
    ("state", put("state", "signing_keys", []), "1 fact(s) differ from the set; first: signing_keys differs"),
    ("state", drop("state", "binding_revision"), "first: binding_revision differs"),
    ("sequences", put("sequences", "public.alerts_id_seq", 4), "first: sequence public.alerts_id_seq is at 4, expected 5 to 7"),
    ("sequences", put("sequences", "public.alerts_id_seq", 8), "first: sequence public.alerts_id_seq is at 8, expected 5 to 7"),
    ("sequences", put("sequences", "public.alerts_id_seq", None), "first: sequence public.alerts_id_seq is at 0, expected 5 to 7"),
    ("sequences", drop("sequences", "public.never_used"), "first: sequence public.never_used is missing"),
    ("extensions", drop("extensions", "pgcrypto"), "extension pgcrypto is missing"),
    ("settings", put("settings", "owner", "mallory"), "owner is mallory instead of caracal"),
    ("settings", put("settings", "encoding", "SQL_ASCII"), "encoding is SQL_ASCII instead of UTF8"),
    ("settings", put("settings", "set", ["work_mem=1GB"]), "the settings of the database differ from the set: work_mem"),
    ("settings", put("settings", "role_sets", {}), "the settings of role caracalapi differ from the set: statement_timeout"),
    ("settings", put("settings", "role_sets", {"caracalapi": ["statement_timeout=5s"], "x": ["a.b=c"]}), "of role x differ"),
    ("settings", put("settings", "connection_limit", 3), "connection_limit is 3 instead of -1"),
    ("schema_dump", lambda one: one.update(schema_digest="?"), "the output of pg_dump --schema-only differs from the source"),
]


@pytest.mark.mutation
def test_a_difference_names_its_row_and_its_definition() -> None:
    located = Located({"public.zones": "id z2"}, ["FUNCTION public.f() differs"])
    other = {"rows": 3, "digest": "?"}
    checks = compare(lambda one: one.update(schema_digest="?", tables={**one["tables"], "public.zones": other}), located=located)
    assert "id z2" in checks["tables"].message and "public.f()" in checks["schema_dump"].message
    assert checks["schema_dump"].details == {"differences": located.objects}


@pytest.mark.mutation
@pytest.mark.parametrize(("section", "change", "words"), CHANGES)
def test_a_difference_fails_its_section_and_only_that(section: str, change: t.Callable[[Inventory], None], words: str) -> None:
    checks = compare(change)
    assert checks[section].verdict == FAIL
    assert words in checks[section].message
    assert {name for name, check in checks.items() if check.verdict not in (PASS, NOT_APPLICABLE)} == {section}


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("section", "change", "words"),
    [
        ("extensions", put("extensions", "pgcrypto", "1.4"), "the version of an extension differs: pgcrypto 1.4 instead of 1.3"),
        ("settings", put("settings", "collate", "C"), "collate is C instead of C.UTF-8; text sorts differently in indexes"),
        ("settings", put("settings", "ctype", "C"), "ctype is C instead of C.UTF-8"),
        ("settings", put("settings", "provider", "icu"), "provider is icu instead of libc"),
        ("settings", put("settings", "locale", "en-US"), "locale is en-US instead of None"),
    ],
)
def test_changes_by_a_newer_server_are_a_warning(section: str, change: t.Callable[[Inventory], None], words: str) -> None:
    check = compare(change)[section]
    assert check.verdict == WARN
    assert words in check.message


@pytest.mark.no_false_alarm
def test_sequence_passes_between_floor_and_recorded_value() -> None:
    for value in (5, 6, 7):
        assert compare(put("sequences", "public.alerts_id_seq", value))["sequences"].verdict == PASS


def test_schema_text_is_not_applicable_for_another_major() -> None:
    check = compare(lambda one: one.update(schema_digest="?", server_version=180001))["schema_dump"]
    assert (check.verdict, check.required) == (NOT_APPLICABLE, False)


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("section", "empty", "verdict"),
    [
        ("tables", {}, UNPROVEN),
        ("schema", [], UNPROVEN),
        ("grants", [], UNPROVEN),
        ("owners", [], UNPROVEN),
        ("leaves", {}, NOT_APPLICABLE),
        ("migrations", [], NOT_APPLICABLE),
        ("state", {}, NOT_APPLICABLE),
        ("sequences", {}, NOT_APPLICABLE),
    ],
)
def test_empty_section_of_the_set_is_not_a_pass(section: str, empty: t.Any, verdict: str) -> None:
    checks = compare(lambda one: one.update({section: empty}), {**RECORDED, section: empty})
    assert checks[section].verdict == verdict
    assert checks[section].required == (verdict == UNPROVEN)


@pytest.mark.mutation
@pytest.mark.parametrize(("section", "empty"), [("tables", {}), ("leaves", {}), ("schema", []), ("migrations", [])])
def test_unrecorded_objects_fail(section: str, empty: t.Any) -> None:
    assert compare(expected={**RECORDED, section: empty})[section].verdict == FAIL


@pytest.mark.mutation
@pytest.mark.parametrize("table", ["public.zones", "public.schema_migrations"])
def test_zero_rows_need_migrations_and_zones_in_the_inventory(table: str) -> None:
    assert inventory.believable(RECORDED)
    for tables in ({**RECORDED["tables"], table: {"rows": 0, "digest": "e"}}, {k: v for k, v in RECORDED["tables"].items() if k != table}):
        assert not inventory.believable({**RECORDED, "tables": tables})


BLOCKS = [Block("audit", zone, "leaf", "0", 5, "1", "5", "content", "chain") for zone in ("a", "b")]


@pytest.mark.no_false_alarm
def test_equal_blocks_pass_in_any_order() -> None:
    check = inventory.compare_blocks(BLOCKS, BLOCKS[::-1])
    assert (check.verdict, check.message) == (PASS, "2 audit blocks with 10 rows match the set")


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("actual", "words"),
    [
        (BLOCKS[:1], "1 audit block(s) differ; first: audit chain of zone b, partition leaf, block 0: missing (5 rows)"),
        ([*BLOCKS, dataclasses.replace(BLOCKS[0], zone="c")], "audit chain of zone c, partition leaf, block 0: not in the set (5 rows)"),
        ([BLOCKS[0], dataclasses.replace(BLOCKS[1], rows=4)], "zone b, partition leaf, block 0: 4 rows instead of 5"),
        ([BLOCKS[0], dataclasses.replace(BLOCKS[1], content="x")], "zone b, partition leaf, block 0: the content differs"),
        ([BLOCKS[0], dataclasses.replace(BLOCKS[1], chain_digest="x")], "zone b, partition leaf, block 0: the chain columns differ"),
        ([], "2 audit block(s) differ; first: audit chain of zone a"),
    ],
)
def test_a_block_that_differs_is_named(actual: list[Block], words: str) -> None:
    check = inventory.compare_blocks(BLOCKS, actual)
    assert (check.id, check.verdict) == ("inventory.audit_blocks", FAIL)
    assert words in check.message


@pytest.mark.mutation
@pytest.mark.parametrize("actual", [[], BLOCKS])
def test_set_without_blocks_is_unproven(actual: list[Block]) -> None:
    assert inventory.compare_blocks([], actual).verdict == UNPROVEN


def test_the_state_of_the_twin_is_read(caracal_database: TwinCluster) -> None:
    tables = [row[0] for row in caracal_database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    with Session(caracal_database.server, "caracal") as session:
        found = inventory.state(session, tables)
    zones = [row[0] for row in caracal_database.execute('SELECT id FROM zones ORDER BY id COLLATE "C"')]
    assert len(zones) == caracal_database.spec.zones
    assert [epoch[0] for epoch in found["delegation_epochs"]] == zones
    assert [policy[0] for policy in found["active_policies"]] == zones
    assert {"event_outbox", "caracal_outbox", "export_watermark", "signing_keys"} <= found.keys()
    assert {kind for kind, _count in found["event_outbox"]} == {"dispatched", "pending", "dead"}
    pending = caracal_database.execute("SELECT count(*) FROM caracal_outbox WHERE status = 'pending'")[0][0]
    assert dict(found["caracal_outbox"])["pending"] == str(pending) != "0"


STATE_CHANGES = {
    "active_policies": "UPDATE policy_set_bindings SET active_version_id = NULL",
    "delegation_epochs": "UPDATE delegation_graph_epochs SET epoch = epoch + 1",
    "export_watermark": "UPDATE audit_export_watermark SET last_exported_hour = last_exported_hour + interval '1 hour'",
    "event_outbox": "UPDATE event_outbox SET available_at = 'infinity' WHERE dispatched_at IS NULL",
    "caracal_outbox": "DELETE FROM caracal_outbox WHERE status = 'pending'",
    "signing_keys": "UPDATE secrets SET version = version + 1 WHERE name = 'zone_signing_key'",
    "authority_records_by_status": "UPDATE authority_records SET status = 'expired' WHERE status = 'revoked'",
    "delegated_grants_by_status": "UPDATE delegated_grants SET status = 'expired' WHERE status = 'revoked'",
    "admin_tokens_by_status": "UPDATE admin_tokens SET revoked_at = now()",
    "admin_tokens": "UPDATE admin_tokens SET token_sha256 = sha256(token_sha256)",
}


@pytest.mark.no_false_alarm
def test_a_set_that_records_fewer_facts_is_still_compared() -> None:
    assert compare(put("state", "a_newer_fact", [["x"]]))["state"].verdict == PASS


@pytest.mark.mutation
@pytest.mark.parametrize("fact", STATE_CHANGES)
def test_a_changed_fact_is_seen(fact: str, caracal_database: TwinCluster) -> None:
    tables = [row[0] for row in caracal_database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    with Session(caracal_database.server, "caracal") as session:
        before = inventory.state(session, tables)
        session.rows("BEGIN")
        session.rows("SET LOCAL search_path = public")
        session.rows(STATE_CHANGES[fact])
        after = inventory.state(session, tables)
        session.rows("ROLLBACK")
    assert {name for name in before if before[name] != after[name]} == {fact}


def test_database_without_state_tables_has_no_facts(caracal_database: TwinCluster) -> None:
    with Session(caracal_database.server, "caracal_auth") as session:
        assert inventory.state(session, ["user", "session"]) == {}


@pytest.mark.mutation
@pytest.mark.parametrize(("actual", "verdict"), [({"public.v": True}, PASS), ({"public.v": False}, UNPROVEN), ({}, UNPROVEN)])
def test_uncomputed_materialized_view_is_unproven(actual: dict[str, bool], verdict: str) -> None:
    recorded = {**RECORDED, "materialized_views": {"public.v": True, "public.later": False}}
    check = compare(lambda one: one.__setitem__("materialized_views", actual), recorded)["materialized_views"]
    assert (check.verdict, check.required) == (verdict, True)


@pytest.mark.mutation
def test_different_number_of_large_objects_fails() -> None:
    assert compare(lambda one: one.__setitem__("large_objects", 1))["large_objects"].verdict == FAIL
