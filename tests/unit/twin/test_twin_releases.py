# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each release has its own schema, rows that are valid in it, and invariants that find damage."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import typing as t

import pytest

from twin import activity, audit, envelopes, facts, introspect, invariants, keys, load, recompute, schema
from twin.releases.known import RELEASES
from twin.shape import Shape
from twin.spec import Spec
from unit.twin import damages

NOON = dt.datetime(2026, 3, 15, 12, 30, 15, 123457, tzinfo=dt.timezone.utc)
BARE = [name for name, release in RELEASES.items() if release.family == facts.ZONE_KEK]


def _made(spec: Spec) -> list[t.Any]:
    """Return the rows of the product's database as they are loaded, without the rows loaded after the audit events."""
    release = RELEASES[spec.release]
    secrets = keys.for_seed(spec.seed)
    world = load.build(spec, secrets, release)
    lines = [line for _month, months in audit.AuditStream(spec, secrets, world.zones, release).months() for line in months]
    return [Shape(release.databases[0], release.names).rows(world.rows), lines]


@pytest.mark.parametrize(
    ("name", "family", "tables", "migrations", "databases"),
    [
        ("2026-06-04", "zone_kek", 30, 41, ["caracal"]),
        ("v2026.06.21", "zone_kek", 31, 47, ["caracal"]),
        ("v2026.06.25-rc.1", "zone_kek", 31, 2, ["caracal", "caracal_auth"]),
        ("v0.1.0", "secret_store", 45, 1, ["caracal", "caracal_auth"]),
        ("v0.2.1", "secret_store", 45, 2, ["caracal", "caracal_auth"]),
        ("v1.0.0", "secret_store", 45, 3, ["caracal", "caracal_auth"]),
    ],
)
def test_the_facts_have_the_size_of_the_release(name: str, family: str, tables: int, migrations: int, databases: list[str]) -> None:
    release = RELEASES[name]
    product = release.databases[0]
    constraints = [text for table in product.tables.values() for text in table.constraints.values()]
    assert (release.name, release.family) == (name, family)
    assert (len(product.tables), len(release.migrations)) == (tables, migrations)
    assert [database.name for database in release.databases] == databases
    assert sum(text.startswith("FOREIGN KEY") for text in constraints) == (51 if name in BARE else 62)
    assert sum(table.row_security for table in product.tables.values()) == (20 if name in BARE else 28)


def test_a_difference_cannot_drop_what_does_not_exist() -> None:
    table = facts.Table(("id text", "a text"), {"pk": "PRIMARY KEY (id)"}, {"i": "btree (a)"}, grants={"r": "SELECT"})
    found = facts.changed(table, drop=("i", "r"), columns={"a": "b integer", "c": "c text"}, constraints={"k": "CHECK (true)"})
    assert found == facts.Table(("id text", "b integer", "c text"), {"pk": "PRIMARY KEY (id)", "k": "CHECK (true)"})
    with pytest.raises(KeyError, match=r"nothing to drop: \['x'\]"):
        facts.changed(table, drop=("a", "x"))


def test_every_generated_column_exists_in_some_release() -> None:
    kept: dict[str, set[str]] = {}
    for release in RELEASES.values():
        world = load.build(Spec(events=0, now=NOON, release=release.name), keys.for_seed(1), release)
        shape = Shape(release.databases[0], release.names)
        for table, rows in world.rows.items():
            names = release.names.columns.get(table, {})
            kept.setdefault(table, set())
            if shape.has(table):
                kept[table] |= {column for column in rows[0] if names.get(column, column) in shape.row(table, rows[0])}
    assert {table: set(rows[0]) - kept[table] for table, rows in world.rows.items() if set(rows[0]) != kept[table]} == {}


@pytest.mark.parametrize("name", RELEASES)
def test_the_same_spec_gives_the_same_rows(name: str) -> None:
    spec = Spec(events=200, seed=7, now=NOON, release=name)
    assert _made(spec) == _made(Spec(events=200, seed=7, now=NOON, release=name))
    assert _made(spec) != _made(Spec(events=200, seed=8, now=NOON, release=name))


def test_each_database_equals_its_facts(release_twin: dict[str, t.Any], release_spec: Spec) -> None:
    for database in RELEASES[release_spec.release].databases:
        with contextlib.closing(load.open_database(release_twin, database.name)) as connection, connection.cursor() as cursor:
            made = introspect.read(connection)
            assert {name: table for name, table in made.tables.items() if table != database.tables.get(name)} == {}
            assert made == database
            cursor.execute(" UNION ALL ".join(f"(SELECT '{name}' FROM public.{schema.quote(name)} LIMIT 1)" for name in database.tables))
            assert {name for (name,) in cursor.fetchall()} == set(database.tables)


def test_the_cluster_has_no_other_database(release_twin: dict[str, t.Any], release_spec: Spec) -> None:
    with contextlib.closing(load.open_database(release_twin, "postgres")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'")
        assert {name for (name,) in cursor.fetchall()} == {database.name for database in RELEASES[release_spec.release].databases}


def test_roles_can_log_in_only_if_services_use_them(release_database: t.Any, release_spec: Spec) -> None:
    roles = RELEASES[release_spec.release].roles
    with release_database.cursor() as cursor:
        cursor.execute("SELECT rolname, rolcanlogin, rolpassword IS NOT NULL FROM pg_authid WHERE rolname = ANY(%s)", [list(roles)])
        found = {name: (login, password) for name, login, password in cursor.fetchall()}
    login = release_spec.release not in BARE
    assert found == dict.fromkeys(roles, (login, login))


def test_the_migrations_are_recorded(release_database: t.Any, release_spec: Spec) -> None:
    with release_database.cursor() as cursor:
        cursor.execute("SELECT version FROM schema_migrations ORDER BY 1")
        assert tuple(version for (version,) in cursor.fetchall()) == RELEASES[release_spec.release].migrations


@pytest.mark.no_false_alarm
def test_data_satisfies_invariants_and_has_valid_hashes(release_database: t.Any, release_spec: Spec) -> None:
    assert invariants.violations(release_database, release_spec.release) == {}
    assert invariants.orphans(release_database) == {}
    count, faults = recompute.faults(release_database, keys.for_seed("unit"), release_spec.release)
    assert faults == []
    assert count > release_spec.events


@pytest.mark.mutation
def test_each_damage_is_reported_by_its_invariant(release_database: t.Any, release_spec: Spec) -> None:
    release = release_spec.release
    assert set(damages.of(release)) == set(invariants.of(release))
    wrong = {}
    for name, statement in damages.of(release).items():
        with release_database.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(statement)
        found = set(invariants.violations(release_database, release))
        release_database.rollback()
        if found != damages.found_by(release, name):
            wrong[name] = found
    assert wrong == {}


@pytest.mark.mutation
def test_finds_damage_that_only_the_keys_reveal(release_database: t.Any, release_spec: Spec) -> None:
    statements = [f"UPDATE audit_events SET chain_hmac = repeat('0', 64) {damages.ANY_EVENT}"]
    if release_spec.release in BARE:
        flip = "set_byte({0}, 5, 1 + get_byte({0}, 5) % 255)"
        statements += [
            f"UPDATE secrets SET ciphertext = {flip.format('ciphertext')} WHERE version = 2",
            f"UPDATE providers SET secret_config_nonce = {flip.format('secret_config_nonce')} WHERE id = "
            "(SELECT min(id) FROM providers WHERE secret_config_keys <> '{}')",
            f"UPDATE provider_grants SET refresh_token_ct = {flip.format('refresh_token_ct')} WHERE id = "
            "(SELECT min(id) FROM provider_grants WHERE status = 'active')",
        ]
    for statement in statements:
        with release_database.cursor() as cursor:
            cursor.execute(statement)
            assert cursor.rowcount == 1
        _count, faults = recompute.faults(release_database, keys.for_seed("unit"), release_spec.release)
        assert len(faults) == 1
        release_database.rollback()


@pytest.mark.mutation
def test_another_seeds_keys_open_nothing(release_database: t.Any, release_spec: Spec) -> None:
    count, faults = recompute.faults(release_database, keys.for_seed("other"), release_spec.release)
    unsigned = 0
    if RELEASES[release_spec.release].has("admin_audit_events.chain_hmac"):
        with release_database.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM admin_audit_events WHERE chain_hmac IS NULL")
            unsigned = cursor.fetchone()[0]
    assert len(faults) == count - unsigned


def test_content_hashes_come_from_the_row_or_from_the_wire(release_database: t.Any, release_spec: Spec) -> None:
    with release_database.cursor() as cursor:
        cursor.execute(recompute.EVENTS)
        agree = [recompute.content_agrees(row) for row in cursor.fetchall()]
    assert agree == [not RELEASES[release_spec.release].hashes_wire] * 600


def test_active_policy_sets_match_the_family(release_database: t.Any, release_spec: Spec) -> None:
    with release_database.cursor() as cursor:
        cursor.execute(
            "SELECT count(active_version_id), count(s.archived_at) FILTER (WHERE active_version_id IS NOT NULL)"
            "  FROM policy_set_bindings b JOIN policy_sets s ON s.id = policy_set_id GROUP BY b.zone_id ORDER BY 1 DESC"
        )
        found = cursor.fetchall()
    assert found == ([(3, 1), (1, 0), (1, 0)] if release_spec.release in BARE else [(1, 0)] * 3)


def test_first_releases_with_chains_have_no_rows_without_a_zone(release_database: t.Any, release_spec: Spec) -> None:
    with release_database.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FILTER (WHERE zone_id IS NULL) > 0, count(payload_json -> 'rls_bypass') > 0 FROM admin_audit_events"
        )
        found = cursor.fetchone()
    assert found == (release_spec.release not in ("v2026.06.21", "v2026.06.25-rc.1"), release_spec.release == "2026-06-04")


def test_live_writes_keep_all_invariants(other_cluster: dict[str, t.Any], release_twin: dict[str, t.Any], release_spec: Spec) -> None:
    with contextlib.closing(load.open_database(release_twin, "postgres")) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE original TEMPLATE caracal")
    try:
        assert activity.write_some(release_twin, release_spec, 12, threading.Event()) == 12
        with contextlib.closing(load.open_database(release_twin, "caracal")) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM audit_events")
            assert cursor.fetchone() == (612,)
            assert invariants.violations(connection, release_spec.release) == {}
            assert invariants.orphans(connection) == {}
            assert recompute.faults(connection, keys.for_seed("unit"), release_spec.release)[1] == []
    finally:
        with contextlib.closing(load.open_database(release_twin, "postgres")) as connection, connection.cursor() as cursor:
            cursor.execute("DROP DATABASE caracal WITH (FORCE)")
            cursor.execute("ALTER DATABASE original RENAME TO caracal")


def test_a_bare_seal_is_bound_to_its_key_only() -> None:
    kek, nonce = keys.for_seed(1).zone_kek, bytes(range(12))
    packed = nonce + envelopes.seal_bare(kek, nonce, b"value")
    assert envelopes.unseal_bare(kek, packed) == b"value"
    assert len(packed) == 12 + 5 + 16
    with pytest.raises(ValueError, match="shorter than nonce and tag"):
        envelopes.unseal_bare(kek, packed[:27])


def test_each_family_has_its_own_secret_files() -> None:
    made = keys.for_seed(1)
    bare, enveloped = made.as_files(facts.ZONE_KEK), made.as_files()
    assert sorted(set(bare) - set(enveloped)) == ["zoneKek"]
    assert {"secretStoreKek", "idempotencyHmacKey", "apiDbPassword"} <= set(enveloped) - set(bare)
    assert bare["zoneKek"] == made.zone_kek.hex()
