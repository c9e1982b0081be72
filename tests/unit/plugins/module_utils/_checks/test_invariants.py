# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every rule of state_verify on a twin of every release: it passes on healthy data, and its own damage fails only it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_blocks import Block
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.invariants import audit_query, foreign_keys, table
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.releases import SECRET_STORE, ZONE_KEK
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.source import source_checks
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, WARN, overall
from scenes import state_damages
from scenes.invariant_scene import Twins, bad, broken, twin_of_each
from twin.releases.known import RELEASES

# A healthy twin has these, as a healthy deployment may.
DEAD = {"outboxes.api_dead": WARN, "outboxes.coordinator_dead": WARN}
LEFTOVERS = {"policy_activation.active_set_live": WARN, "policy_activation.one_active_set": WARN}
OWNERS = foreign_keys.OWNERS.id


@pytest.fixture(scope="module")
def twins(server_install: server_binaries.Install) -> t.Iterator[Twins]:
    with twin_of_each(server_install) as found:
        yield found


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("release", sorted(RELEASES))
def test_a_healthy_database_breaks_no_rule(twins: Twins, release: str) -> None:
    family = RELEASES[release].family
    with broken(twins(release)) as database:
        checks = database.verify()
    expected = {**DEAD, **(LEFTOVERS if family == ZONE_KEK else {})}
    assert {name: verdict for name, (verdict, _count) in bad(checks).items()} == expected
    assert overall(checks.values()) == PASS
    absent = {name for name, check in checks.items() if check.verdict == NOT_APPLICABLE}
    assert absent == {*table.NOT_IN_FAMILY[family], *table.NOT_IN_RELEASE.get(release, {})}
    made = {one.id for one in table.rules(family, release, ["caracal"])}
    assert made | absent == checks.keys() | {OWNERS} and not made & absent
    assert {name.partition(".")[0] for name in made | absent} == set(table.GROUPS)


# The rules that a backup checks in its source: those which do not read audit rows.
OF_SOURCE = {
    one.id for release in RELEASES for one in table.invariants(RELEASES[release].family, release) if "audit_events" not in one.tables
}
CASES = [(release, name) for release in sorted(RELEASES) for name in state_damages.of(release)]


@pytest.mark.parametrize("release", sorted(RELEASES))
def test_every_rule_has_its_damage(release: str) -> None:
    rules = {one.id for one in table.rules(RELEASES[release].family, release, ["caracal"])} - {OWNERS}
    assert rules == state_damages.of(release).keys()


@pytest.mark.mutation
@pytest.mark.parametrize(("release", "name"), CASES, ids=[f"{release}-{name}" for release, name in CASES])
def test_damage_breaks_its_rule_and_no_other(twins: Twins, release: str, name: str) -> None:
    damage = state_damages.of(release)[name]
    severity = {one.id: one.severity for one in table.rules(RELEASES[release].family, release)}
    with broken(twins(release)) as database:
        recorded, before = database.record(), bad(database.verify())
        healthy = database.of_source()
        database.run(damage.sql)
        checks = database.verify(recorded if damage.later else None)
        of_source = source_checks.checks([database.of_source()], ())[-1]
        known = frozenset(one["digest"] for one in of_source.details["recorded"])
        acknowledged = database.verify(recorded if damage.later else None, known)
    after = bad(checks)
    after_failed = {rule for rule, (verdict, _count) in after.items() if verdict == FAIL}
    assert {rule for rule, what in after.items() if before.get(rule) != what} == {name} | damage.also
    assert all(verdict == severity[rule] for rule, (verdict, _count) in after.items())
    assert checks[name].required == (severity[name] == FAIL)
    assert "\n" not in checks[name].message and len(checks[name].message) < 400
    assert not healthy.broken and not healthy.unread
    by_backup = {one["object"].removeprefix("state.") for one in of_source.details["broken"]}
    assert by_backup == after_failed & OF_SOURCE
    assert of_source.verdict == (FAIL if by_backup else PASS)
    assert {rule for rule, (verdict, _count) in bad(acknowledged).items() if verdict == FAIL} == after_failed - by_backup


@pytest.mark.mutation
@pytest.mark.parametrize("release", ["v2026.06.25-rc.1", "v1.0.0"])
def test_a_broken_key_of_the_other_database_is_found(twins: Twins, release: str) -> None:
    with broken(twins(release), "caracal_auth") as database:
        assert not bad(database.verify())
        database.run("""UPDATE session SET "userId" = 'gone'""")
        check = database.verify()["foreign_keys.caracal_auth"]
    assert check.verdict == FAIL and check.message.startswith("1 of 2 foreign keys have rows that reference a missing row; first: ")


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    "statements",
    [
        # A deleted agent's delegations are deleted too.
        [
            f"DELETE FROM sessions WHERE id = (SELECT target_session_id FROM delegation_edges WHERE id = {state_damages.LONE_EDGE})",
            f"DELETE FROM delegation_edges WHERE id = {state_damages.LONE_EDGE}",
        ],
        # retention_verify recommends this grant; with it the cleaner deletes delegations that ended long ago.
        ["GRANT DELETE ON delegation_edges TO caracalcoordinator", "DELETE FROM delegation_edges WHERE status <> 'active'"],
        # A cleaner that logs in as the owner needs no grant.
        ["""WITH old AS (UPDATE caracal_outbox SET created_at = created_at - interval '91 days' WHERE dedupe_key LIKE 'edge%'
                          RETURNING substr(dedupe_key, 13) AS id) DELETE FROM delegation_edges d USING old WHERE d.id = old.id"""],
    ],
    ids=["agents", "granted", "old"],
)  # fmt: skip
def test_delegations_deleted_by_the_product_are_not_findings(twins: Twins, statements: list[str]) -> None:
    with broken(twins("v1.0.0")) as database:
        assert database.verify()["delegations.announced"].verdict == PASS
        database.run(*statements)
        assert database.verify()["delegations.announced"].verdict in (PASS, NOT_APPLICABLE)


@pytest.mark.no_false_alarm
def test_the_products_own_zone_needs_no_policy(twins: Twins) -> None:
    """The API creates this zone at its first start, without a policy. Its slug is reserved."""
    with broken(twins("v1.0.0")) as database:
        before = database.verify()["policy_activation.zone_has_active_set"]
        database.run("INSERT INTO zones (id, name, slug) VALUES ('own', 'caracal.sys/system', 'caracal-sys-internal')")
        after = database.verify()["policy_activation.zone_has_active_set"]
        database.run("INSERT INTO zones (id, name, slug) VALUES ('other', 'Other', 'caracal-system')")
        other = database.verify()["policy_activation.zone_has_active_set"]
    assert before.verdict == after.verdict == PASS
    assert before.message == after.message
    assert (other.verdict, other.details["broken"]) == (WARN, 1)


LLM = "caracal-sys://operator-llm-one"
REMOVED_AI = [
    "INSERT INTO zones (id, name, slug) VALUES ('own', 'caracal.sys/system', 'caracal-sys-internal')",
    """INSERT INTO providers SELECT (jsonb_populate_record(p, '{"id": "gone-ai", "zone_id": "own", "archived_at": "2026-11-01",
         "identifier": "provider://caracal-sys-operator-llm-one"}')).* FROM providers p LIMIT 1""",
    f"""INSERT INTO resources SELECT (jsonb_populate_record(r, '{{"id": "left-ai", "zone_id": "own", "archived_at": null,
         "identifier": "{LLM}", "credential_provider_id": "gone-ai"}}')).* FROM resources r LIMIT 1""",
]


@pytest.mark.no_false_alarm
def test_leftovers_of_a_removed_ai_provider_pass(twins: Twins) -> None:
    """The API archives the provider and leaves its resource."""
    with broken(twins("v1.0.0")) as database:
        before = bad(database.verify())
        database.run(*REMOVED_AI)
        assert bad(database.verify()) == before


@pytest.mark.mutation
@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM providers WHERE id = 'gone-ai'",
        "UPDATE providers SET zone_id = (SELECT min(id) FROM zones WHERE id <> 'own') WHERE id = 'gone-ai'",
        "UPDATE resources SET identifier = 'caracal-control' WHERE id = 'left-ai'",
        "UPDATE zones SET slug = 'mine' WHERE id = 'own'",
    ],
)
def test_damage_in_the_products_own_zone_is_found(twins: Twins, damage: str) -> None:
    with broken(twins("v1.0.0")) as database:
        database.run(*REMOVED_AI, damage)
        check = database.verify()["gateway_bindings.provider_live"]
    assert (check.verdict, check.details["first"]) == (FAIL, ["left-ai"])


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("statement", "broken_ones", "population"),
    [("SELECT 1", 0, 3), ("UPDATE zones SET owner_account_id = 'gone'", 1, 1), ("UPDATE zones SET owner_account_id = NULL", 0, 0)],
)
def test_owners_are_resolved_in_other_database(twins: Twins, statement: str, broken_ones: int, population: int) -> None:
    with broken(twins("v1.0.0")) as database, broken(twins("v1.0.0"), "caracal_auth") as accounts:
        database.run(statement)
        seen = foreign_keys.owners(database.session, accounts.session, confirmed=False)
    assert (seen.population, seen.broken, seen.problem) == (population, broken_ones, "")


EMPTY = """
    DO $$ DECLARE name text; BEGIN
      FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
       AND relname NOT IN ('schema_migrations', 'zones') LOOP EXECUTE format('DELETE FROM public.%I', name); END LOOP;
    END $$"""
# These rules cover objects that always exist.
ALWAYS = {"policy_activation.zone_has_active_set", "gateway_bindings.revision", "foreign_keys.caracal"}


@pytest.mark.mutation
@pytest.mark.parametrize("release", ["2026-06-04", "v1.0.0"])
def test_zero_rows_are_not_a_pass_unless_the_set_has_none(twins: Twins, release: str) -> None:
    rules = table.rules(RELEASES[release].family, release, ["caracal"])
    with broken(twins(release)) as database:
        recorded = database.record()
        database.run(EMPTY)
        lost, never = database.verify(recorded), database.verify()
    for one in rules:
        if one.id in {*ALWAYS, OWNERS}:
            continue
        expected = FAIL if one.id.startswith("revocations.") or one.id == "audit_query.search" else UNPROVEN
        if one.id != "audit_query.zones_known":
            assert lost[one.id].verdict == expected, lost[one.id]
        assert (never[one.id].verdict, never[one.id].required) == (NOT_APPLICABLE, False), never[one.id]


TABLES = [
    (release, name)
    for release in ("2026-06-04", "v1.0.0")
    for name in sorted({name for one in table.invariants(RELEASES[release].family, release) for name in one.tables} - {"zones"})
]


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(("release", "name"), TABLES, ids=[f"{release}-{name}" for release, name in TABLES])
def test_empty_table_makes_no_rule_unproven(twins: Twins, release: str, name: str) -> None:
    """A deployment that never used a part of Caracal, and its set records that."""
    with broken(twins(release)) as database:
        database.run(f"DELETE FROM public.{name}")
        checks = database.verify()
    assert {one for one, check in checks.items() if check.verdict == UNPROVEN} == set()
    about = {one.id for one in table.invariants(RELEASES[release].family, release) if one.subject == name}
    assert {checks[one].verdict for one in about} <= {NOT_APPLICABLE}


@pytest.mark.mutation
def test_zero_rows_are_unproven_without_zones_in_the_inventory(twins: Twins) -> None:
    with broken(twins("v1.0.0")) as database:
        database.run(EMPTY, "DELETE FROM zones")
        checks = database.verify()
    assert checks["sessions.zone"].verdict == checks["policy_activation.set_of_zone"].verdict == UNPROVEN


@pytest.mark.mutation
def test_missing_table_is_unproven_and_other_rules_run(twins: Twins) -> None:
    with broken(twins("v1.0.0")) as database:
        recorded = database.record()
        database.run("DROP TABLE agent_topology", "ALTER TABLE policy_versions DROP COLUMN content", "DROP TABLE audit_chain_rehash")
        checks = database.verify(recorded)
    unproven = {name: check.message for name, check in checks.items() if check.verdict == UNPROVEN}
    assert unproven.keys() == {
        "agents.topology", "agents.topology_true", "policy_activation.content_digest", "audit_query.rehash_marker", "foreign_keys.caracal",
    }  # fmt: skip
    assert "table agent_topology is missing" in unproven["agents.topology"]
    assert "42703" in unproven["policy_activation.content_digest"]
    assert "the copy has 60, but the set records 62" in unproven["foreign_keys.caracal"]


@pytest.mark.mutation
def test_code_in_the_database_is_not_run(twins: Twins) -> None:
    """A view replaces a table, and functions and operators have the names that the queries use."""
    body = "LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''was run''; END'"
    with broken(twins("v1.0.0")) as database:
        database.run(
            f"CREATE FUNCTION public.trap() RETURNS text {body}",
            f"CREATE FUNCTION public.sha256(bytea) RETURNS bytea {body}",
            f"CREATE FUNCTION public.coalesce_trap(text, text) RETURNS boolean {body}",
            "CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.coalesce_trap)",
            "ALTER TABLE agent_topology RENAME TO was_topology",
            "CREATE VIEW agent_topology AS SELECT public.trap() AS parent_id, public.trap() AS child_id",
        )
        checks = database.verify()
    assert not [check for check in checks.values() if "was run" in check.message]
    assert {name for name, check in checks.items() if check.verdict == UNPROVEN} == {"agents.topology", "agents.topology_true"}


def test_no_rule_reads_the_audit_log(twins: Twins) -> None:
    """It reads at most the first row of a partition, and one row that an index finds in each partition, for each zone and webhook."""
    cluster = twins("v1.0.0")
    with broken(cluster) as database:
        recorded, blocks = database.record()
    wanted = audit_query.searches(blocks)
    most = len(recorded["leaves"]) * (len(wanted) + recorded["tables"]["public.notification_sinks"]["rows"])
    assert most < cluster.spec.events
    read = """SELECT coalesce(sum(seq_tup_read), 0), coalesce(sum(idx_tup_fetch), 0) FROM pg_catalog.pg_stat_xact_user_tables
               WHERE relname LIKE 'audit_events%'"""
    with Session(cluster.server, "caracal") as session:
        session.rows("BEGIN")
        session.rows("SET LOCAL enable_seqscan = off")
        for one in table.invariants(SECRET_STORE, "v1.0.0"):
            session.rows(one.query)
        assert session.rows(read)[0][0] <= 2
        found = audit_query.look(session, wanted)
        by_sequence, by_index = session.rows(read)[0]
    assert by_sequence <= 2 and 0 < by_index <= most
    assert [(seen.population, seen.broken) for _rule, seen in found] == [(3, 0), (3, 0)]


@pytest.mark.no_false_alarm
def test_a_zone_with_an_odd_name_is_searched_for(twins: Twins) -> None:
    names = ["tab\there", "line\nend", "back\\slash", "\\N", "q'uo\"te", "%s", "ä\u2028"]
    escaped = [name.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n") for name in names]
    with broken(twins("v1.0.0")) as database:
        rows = database.session.rows("SELECT e.ctid, c.relname FROM public.audit_events e JOIN pg_catalog.pg_class c ON c.oid = e.tableoid")
        for name, (ctid, leaf) in zip(names, rows, strict=False):
            database.session.rows(f"UPDATE public.{leaf} SET zone_id = %s WHERE ctid = %s", (name, ctid))
        blocks = [Block("audit", zone, leaf, "0", 1, "1", "1", "", "") for zone, (_ctid, leaf) in zip(escaped, rows, strict=False)]
        (_search, seen), (_known, strange) = audit_query.look(database.session, audit_query.searches(blocks))
    assert (seen.population, seen.broken) == (len(names), 0)
    assert set(strange.first) == set(names)
