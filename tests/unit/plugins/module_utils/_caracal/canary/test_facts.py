# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts read from a copy before requests: the keys that the product serves, remembered revoked sessions, chains."""

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary import dialect, facts
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.releases import SECRET_STORE, ZONE_KEK
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Session
from scenes.twin_database import Copier, TwinCluster, TwinFactory
from twin.releases.known import RELEASES

FREELY = "SET session_replication_role = replica"


@pytest.mark.parametrize(
    ("release", "contract", "bindings", "one_shot"),
    [("v1.0.0", True, False, True), ("v2026.06.25-rc.1", True, True, False), ("2026-06-04", False, True, False)],
)
def test_detects_the_dialect_of_a_release(
    twin_cluster: TwinFactory, monkeypatch: pytest.MonkeyPatch, release: str, contract: bool, bindings: bool, one_shot: bool
) -> None:
    cluster = twin_cluster(events=100, release=release)
    family = RELEASES[release].family
    with Session(cluster.server, "caracal") as session:
        found = dialect.detect(session, family)
        assert (found.contract, found.bindings, found.one_shot) == (contract, bindings, one_shot)
        # Every query must be valid in this release.
        zones = facts.zones(session)
        assert {key.zone for key in facts.served_keys(session, family)} == set(zones)
        assert {one.zone for one in facts.active_sets(session)} <= set(zones)
        assert facts.newest_events(session, zones).keys() == set(zones)
        assert facts.revoked(session, family) is None
        head = facts.head(session, zones[0])
        (last,) = facts.rows_after(session, type(head)(head.zone, head.seq - 1, ""))
        assert (last.seq, last.content) == (head.seq, head.content)
        assert facts.rows_after(session, head) == []
        monkeypatch.setattr(facts, "_PAGE", 3)
        several = facts.rows_after(session, type(head)(head.zone, head.seq - 7, ""))
        assert [one.seq for one in several] == list(range(head.seq - 6, head.seq + 1))
        assert facts.head(session, "no zone").seq == 0


def kids(cluster: TwinCluster, name: str, zone: str) -> list[str]:
    with Session(cluster.server, name) as session:
        return [key.kid for key in facts.served_keys(session, SECRET_STORE) if key.zone == zone]


def test_finds_zones_of_the_product(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()
    with Session(caracal_database.server, name) as session:
        zone = facts.zones(session)[0]
        assert facts.own_zones(session) == set()
        session.rows("UPDATE public.zones SET slug = 'caracal-sys-internal' WHERE id = %s", (zone,))
        assert facts.own_zones(session) == {zone}


def test_finds_the_keys_that_the_sts_serves(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()
    with Session(caracal_database.server, name) as session:
        zone, kid = next((key.zone, key.kid) for key in facts.served_keys(session, SECRET_STORE))

    def change(*statements: str) -> None:
        caracal_database.execute(FREELY, *statements, database=name)

    insert = """INSERT INTO secrets SELECT '{id}', zone_id, entity_id, name, type, envelope, {version}, now() - interval '{age}', now()
                  FROM secrets WHERE id = '{kid}'"""
    change(f"DELETE FROM secrets WHERE zone_id = '{zone}' AND id <> '{kid}'")
    change(insert.format(id="k-young", version=101, age="23 hours", kid=kid))
    assert kids(caracal_database, name, zone) == ["k-young", kid]
    change(insert.format(id="k-younger", version=102, age="1 hour", kid=kid))
    assert kids(caracal_database, name, zone) == ["k-younger", "k-young"]
    change("UPDATE secrets SET created_at = now() - interval '25 hours' WHERE id = 'k-younger'")
    assert kids(caracal_database, name, zone) == ["k-younger"]
    change(f"UPDATE zones SET archived_at = now() WHERE id = '{zone}'")
    assert kids(caracal_database, name, zone) == []


def test_finds_a_revoked_session_for_the_request(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()

    def found() -> facts.Revoked | None:
        with Session(caracal_database.server, name) as session:
            return facts.revoked(session, SECRET_STORE)

    def change(statement: str) -> None:
        caracal_database.execute(FREELY, statement, database=name)

    assert found() is None
    change("UPDATE delegation_edges SET status = 'revoked', revoked_at = now() WHERE id = (SELECT min(id) FROM delegation_edges)")
    edge = found()
    assert edge is not None and (edge.kind, edge.claim) == ("delegation", "delegation_edge_id")
    change("UPDATE sessions SET updated_at = now() WHERE id = (SELECT min(id) FROM sessions WHERE status = 'terminated')")
    session = found()
    assert session is not None and (session.kind, session.claim) == ("agent session", "agent_session_id")
    change("""UPDATE authority_records SET status = 'revoked', revoked_at = now(), expires_at = now() + interval '1 hour'
               WHERE id = (SELECT min(id) FROM authority_records)""")
    record = found()
    assert record is not None and (record.kind, record.claim) == ("session", "sid")
    change(f"DELETE FROM secrets WHERE zone_id = '{record.zone}'")
    other = found()
    assert other is None or other.zone != record.zone


def test_revoked_session_of_the_older_family_has_a_binding(twin_cluster: TwinFactory) -> None:
    cluster = twin_cluster(events=100, release="v2026.06.21")
    cluster.execute(FREELY, "UPDATE sessions SET status = 'revoked', expires_at = now() + interval '1 hour'")
    with Session(cluster.server, "caracal") as session:
        found = facts.revoked(session, ZONE_KEK)
        bound = session.rows("SELECT zone_id, resource_identifier FROM public.gateway_resource_bindings")
    assert found is not None and (found.zone, found.resource) in bound and found.claim == "sid"


def test_changes_the_upstream_of_one_resource(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()
    with Session(caracal_database.server, name) as session:
        zone, resource, total = session.rows("""SELECT zone_id, identifier, count(*) OVER () FROM public.resources
                                                 WHERE archived_at IS NULL ORDER BY id LIMIT 1""")[0]
        facts.point(session, zone, resource, "http://127.0.0.1:1/")
        assert session.rows("SELECT zone_id, identifier FROM public.resources WHERE upstream_url = 'http://127.0.0.1:1/'") == [
            (zone, resource)
        ]
        assert total > 1
