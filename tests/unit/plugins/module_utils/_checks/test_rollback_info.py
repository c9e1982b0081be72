# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes in the former database since the backup are reported by category, and nothing else is."""

from __future__ import annotations

import contextlib
import json
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import rollback, rollback_compare
from ansible_collections.caracal_ops.backup.plugins.module_utils._checks import rollback_info as use_case
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError, Unreachable, VersionMismatch
from ansible_collections.caracal_ops.backup.plugins.modules import rollback_info
from harness.fixtures import NOW, make_twin
from scenes.twin_database import TwinCluster
from twin.releases.known import RELEASES
from twin.spec import Spec

FREELY = "SET session_replication_role = replica"
FORMER = "former"
FAMILIES = {"secret_store": "v1.0.0", "zone_kek": "v2026.06.21"}
SINCE = "2026-06-17T12:00:00Z"
Result = dict[str, t.Any]
Clusters = t.Callable[[str], TwinCluster]


def one(table: str, change: str, where: str = "true", key: str = "id") -> str:
    """Return a statement that changes one row of the former database."""
    return f"UPDATE {table} SET {change} WHERE {key} = (SELECT min({key}) FROM {table} WHERE {where})"


def renamed(table: str, where: str = "true") -> str:
    """Return a statement that renames a row, so that only the former database has it. Use it if a missing row has no meaning."""
    return one(table, "id = id || '-new'", where)


ENDED = "status = 'active'"
COMMON = {
    "revoked.delegation_edges": one("delegation_edges", "status = 'revoked', revoked_at = now()", ENDED),
    "revoked.grants": one("delegated_grants", "status = 'revoked'", ENDED),
    "revoked.admin_tokens": one("admin_tokens", "revoked_at = now()", "revoked_at IS NULL"),
    "rotated.client_secrets": one("applications", "client_secret_hash = 'other'"),
    "rotated.signing_keys": renamed("secrets", "name = 'zone_signing_key'"),
    "rotated.admin_tokens": renamed("admin_tokens", "revoked_at IS NOT NULL"),
    "back.delegation_epochs": one("delegation_graph_epochs", "epoch = epoch + 2", key="zone_id"),
    "back.edge_versions": one("delegation_edges", "edge_version = edge_version + 1"),
    "back.policy_activations": one("policy_set_bindings", "active_version_id = 'other'", key="policy_set_id"),
    "audit.events": f"{one('audit_events', 'chain_seq = chain_seq + 5', 'chain_seq = (SELECT max(chain_seq) FROM audit_events)')}",
    "again.event_outbox": one("event_outbox", "dispatched_at = now()", "dispatched_at IS NULL AND available_at <> 'infinity'"),
    "again.coordinator_outbox": "DELETE FROM caracal_outbox WHERE id = (SELECT min(id) FROM caracal_outbox WHERE status = 'pending')",
    **{f"created.{table}": renamed(table) for table in ("zones", "applications", "providers", "resources", "policies", "policy_sets")},
}
UNUSED = "consumed_at IS NULL AND expires_at > now()"
SINCE_THEN = {
    "secret_store": {
        **COMMON,
        "reopened.approvals": one("step_up_challenges", "rejected_at = now()", f"{UNUSED} AND rejected_at IS NULL"),
        "revoked.subject_sessions": one("authority_records", "status = 'revoked', revoked_at = now()", ENDED),
        "revoked.agent_sessions": one("sessions", "status = 'terminated', terminated_at = now()", ENDED),
        "revoked.provider_connections": "DELETE FROM provider_connections WHERE id = (SELECT min(id) FROM provider_connections "
        "WHERE status = 'active')",
        "rotated.workload_secrets": one("workloads", "secret_hash = 'other'"),
        "rotated.provider_secrets": one("secret_store", "envelope = envelope || '\\x00'", "ref LIKE '%/providers/%'", key="ref"),
        "rotated.refresh_tokens": one("provider_connections", "refresh_token_version = refresh_token_version + 1"),
        "again.notifications": one("notification_deliveries", "delivered_at = now()", "delivered_at IS NULL AND abandoned_at IS NULL"),
        "created.workloads": renamed("workloads"),
        "created.subject_sessions": renamed("authority_records", "status <> 'active'"),
        "created.agent_sessions": renamed("sessions", "status <> 'active'"),
    },
    "zone_kek": {
        **COMMON,
        "reopened.approvals": one("step_up_challenges", "consumed_at = now()", UNUSED),
        "revoked.subject_sessions": one("sessions", "status = 'revoked'", ENDED),
        "revoked.agent_sessions": one("agent_sessions", "status = 'suspended'", ENDED),
        "revoked.provider_connections": one("provider_grants", "status = 'revoked'", ENDED),
        "rotated.provider_secrets": one("providers", "secret_config_ct = secret_config_ct || '\\x00'", "secret_config_ct IS NOT NULL"),
        "rotated.refresh_tokens": one("provider_grants", "refresh_token_version = refresh_token_version + 1"),
        "back.binding_revision": "UPDATE gateway_binding_revision SET version = version + 1",
        "created.subject_sessions": renamed("sessions", "status <> 'active'"),
        "created.agent_sessions": renamed("agent_sessions", "status <> 'active'"),
    },
}
CASES = [(family, category) for family, changes in SINCE_THEN.items() for category in changes]
# The twin's times are in the past. Make these rows valid today.
RENEWED = ("authority_records", "delegation_edges", "step_up_challenges")


@pytest.fixture(scope="module")
def clusters(server_install: t.Any) -> t.Iterator[Clusters]:
    """Return a function that creates a twin of a release on first use."""
    made: dict[str, TwinCluster] = {}
    with contextlib.ExitStack() as stack:

        def of(release: str) -> TwinCluster:
            if release not in made:
                made[release] = stack.enter_context(make_twin(server_install, Spec(events=300, seed="own", now=NOW, release=release)))
                names = RELEASES[release].names
                tables = [names.tables.get(table, table) for table in RENEWED] if names else RENEWED
                made[release].execute(FREELY, *(f"UPDATE {table} SET expires_at = now() + interval '1 day'" for table in tables))
            return made[release]

        yield of


@pytest.fixture
def former(clusters: Clusters) -> t.Iterator[t.Callable[..., TwinCluster]]:
    """Return a function that creates a former database with these changes since the backup."""
    used = []

    def make(release: str, *statements: str) -> TwinCluster:
        cluster = clusters(release)
        cluster.execute(
            f"DROP DATABASE IF EXISTS {FORMER}", f"CREATE DATABASE {FORMER} TEMPLATE caracal STRATEGY file_copy", database="postgres"
        )
        used.append(cluster)
        cluster.execute(FREELY, *statements, database=FORMER)
        return cluster

    yield make
    for cluster in used:
        cluster.execute(f"DROP DATABASE IF EXISTS {FORMER} WITH (FORCE)", database="postgres")


def info(cluster: TwinCluster, warnings: list[str] | None = None, **own: t.Any) -> Result:
    given = {"login_unix_socket": cluster.info.socket_dir, "login_user": cluster.info.superuser, **own}
    checked = complete(rollback_info.Options, given)
    return use_case.run(Invocation(checked, False, (warnings if warnings is not None else []).append))


def counts(result: Result) -> dict[str, int | None]:
    return {one["id"]: one["count"] for one in result["rollback"] if one["count"] != 0}


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("release", sorted(RELEASES))
def test_unchanged_database_lost_nothing(release: str, former: t.Any) -> None:
    cluster, warnings = former(release), []
    result = info(cluster, warnings, former_database=FORMER)
    assert result["complete"] and not result["problems"] and not warnings and not result["changed"]
    assert counts(result) == {} and {one["id"] for one in result["rollback"]} == SINCE_THEN[RELEASES[release].family].keys()
    assert all(one["words"] and one["remedy"] and one["examples"] == [] for one in result["rollback"])


@pytest.mark.mutation
@pytest.mark.parametrize(("family", "category"), CASES)
def test_only_changes_since_the_backup_are_named(family: str, category: str, former: t.Any) -> None:
    cluster = former(FAMILIES[family], SINCE_THEN[family][category])
    result = info(cluster, former_database=FORMER)
    assert result["complete"] and counts(result) == {category: 5 if category == "audit.events" else 1}
    (found,) = [one for one in result["rollback"] if one["count"]]
    assert len(found["examples"]) == 1 and found["examples"][0]


@pytest.mark.mutation
@pytest.mark.parametrize("release", sorted(set(RELEASES) - set(FAMILIES.values())))
def test_other_releases_of_a_family_are_read_too(release: str, former: t.Any) -> None:
    chosen = ("revoked.agent_sessions", "reopened.approvals", "rotated.client_secrets", "back.delegation_epochs", "created.resources")
    cluster = former(release, *(SINCE_THEN[RELEASES[release].family][category] for category in chosen))
    assert counts(info(cluster, former_database=FORMER)) == dict.fromkeys(chosen, 1)


def test_numbers_show_both_values_and_examples_are_limited(former: t.Any) -> None:
    cluster = former(
        "v1.0.0",
        "UPDATE delegation_graph_epochs SET epoch = epoch + 7",
        "INSERT INTO zones (id, name, slug) SELECT 'z' || n, 'z' || n, 'z' || n FROM generate_series(1000, 1029) n",
    )
    result = {one["id"]: one for one in info(cluster, former_database=FORMER)["rollback"]}
    zones = cluster.execute("SELECT zone_id, epoch FROM delegation_graph_epochs ORDER BY 1")
    assert result["back.delegation_epochs"]["examples"] == [f"{zone}: {epoch}, was {epoch + 7}" for zone, epoch in zones]
    assert result["created.zones"]["count"] == 30 and result["created.zones"]["examples"] == [f"z{n}" for n in range(1000, 1020)]


@pytest.mark.mutation
def test_changes_no_database_and_prints_no_secret(former: t.Any) -> None:
    cluster = former("v1.0.0", "UPDATE applications SET client_secret_hash = 'precious'", "UPDATE workloads SET secret_hash = 'precious'")
    read_only = "ALTER DATABASE {} {} default_transaction_read_only {}"
    cluster.execute(*(read_only.format(name, "SET", "= on") for name in (FORMER, "caracal")), database="postgres")
    result = info(cluster, former_database=FORMER)
    cluster.execute(read_only.format("caracal", "RESET", ""), database="postgres")
    hashes = cluster.execute("SELECT client_secret_hash FROM applications WHERE client_secret_hash IS NOT NULL")
    assert hashes and counts(result).keys() == {"rotated.client_secrets", "rotated.workload_secrets"}
    text = json.dumps(result)
    assert "precious" not in text and not [one for (one,) in hashes if one in text]


def test_without_a_former_database_only_the_time_is_reported(clusters: Clusters) -> None:
    warnings: list[str] = []
    result = info(clusters("v1.0.0"), warnings, since="2026-06-17T14:00:00+02:00")
    assert not result["complete"] and result["problems"] == ["no former database was given, so nothing was compared"] and not warnings
    assert all(one["count"] is None and one["words"].startswith("unknown since 2026-06-17T12:00:00Z: ") for one in result["rollback"])


@pytest.mark.mutation
def test_unreadable_former_database_is_incomplete(clusters: Clusters, former: t.Any) -> None:
    cluster = clusters("v1.0.0")
    gone = info(cluster, former_database="nothing", since=SINCE)
    assert not gone["complete"] and "database nothing does not exist" in gone["problems"][0]
    assert all(one["count"] is None and SINCE in one["words"] for one in gone["rollback"])
    away = info(cluster, former_database="caracal", former_login_host="/nowhere")
    assert not away["complete"] and "cannot connect to database caracal as caracal@/nowhere:5432" in away["problems"][0]
    assert all(one["count"] is None and one["words"].startswith("unknown: ") for one in away["rollback"])
    auth = info(cluster, former_database="caracal_auth")
    assert not auth["complete"] and "caracal_auth" in auth["problems"][0]


@pytest.mark.mutation
def test_the_other_family_is_not_compared(clusters: Clusters) -> None:
    other = clusters(FAMILIES["zone_kek"])
    where = {"former_login_unix_socket": other.info.socket_dir, "former_login_port": other.info.port}
    result = info(clusters("v1.0.0"), former_database="caracal", former_login_user=other.info.superuser, **where)
    assert not result["complete"] and "to release family zone_kek" in result["problems"][0]
    assert {one["count"] for one in result["rollback"]} == {None}


@pytest.mark.mutation
def test_missing_table_is_named_and_others_are_compared(former: t.Any) -> None:
    cluster = former("v1.0.0", "DROP TABLE notification_deliveries", SINCE_THEN["secret_store"]["revoked.grants"])
    result = info(cluster, former_database=FORMER)
    assert not result["complete"] and result["problems"] == ["again.notifications: former has no table notification_deliveries"]
    assert counts(result) == {"again.notifications": None, "revoked.grants": 1}


def test_a_restored_database_that_cannot_be_read_is_an_error(clusters: Clusters) -> None:
    cluster = clusters("v1.0.0")
    with pytest.raises(Unreachable, match="database nothing does not exist"):
        info(cluster, database="nothing", since=SINCE)
    with pytest.raises(VersionMismatch, match="caracal_auth"):
        info(cluster, database="caracal_auth", since=SINCE)
    with pytest.raises(OptionError, match="since 'noon' is not a time with a time zone"):
        info(cluster, since="noon")


def test_ids_keep_their_byte_order_across_pages(former: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is by bytes, in any collation of the database. A page has two rows."""
    monkeypatch.setattr(rollback_compare, "PAGE", 2)
    ids = ["Z", "a", "b-", "b_", "é", "€", "\U0001f600"]
    cluster = former("v1.0.0", *(f"INSERT INTO zones (id, name, slug) VALUES ('{one}', '{one}', '{one}')" for one in ids))
    result = {one["id"]: one for one in info(cluster, former_database=FORMER)["rollback"]}
    assert result["created.zones"]["examples"] == ids
    assert sum(one["count"] for one in result.values()) == len(ids)


def test_every_pair_of_rows_is_compared_once() -> None:
    former, restored = [("a", "1"), ("b", ""), ("d", "3")], [("b", "2"), ("c", None), ("d", "3"), ("e", "5")]
    assert list(rollback_compare.merged(iter(former), iter(restored))) == [
        ("a", "1", None),
        ("b", "", "2"),
        ("c", None, ""),
        ("d", "3", "3"),
        ("e", None, "5"),
    ]
    assert [rollback.cut("7", None), rollback.cut("", "3"), rollback.lower("7", "7"), rollback.lower(None, "1")] == [7, 0, 0, 0]
