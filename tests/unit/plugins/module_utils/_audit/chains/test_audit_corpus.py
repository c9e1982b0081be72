# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every damage of the corpus is reported as exactly its own finding at its own position, without other findings."""

from __future__ import annotations

import datetime as dt
import typing as t
import uuid
from pathlib import Path

import pytest

from scenes import scene as scenes
from scenes.audit_damages import DAMAGES, EVERYWHERE, Found, World
from scenes.fixtures import Committed
from scenes.scene import Scene
from scenes.twin_database import TwinCluster, TwinFactory
from twin import keys
from twin.releases.known import RELEASES

# Retention keeps every month of 2026, independent of today's date.
RETENTION_DAYS = (dt.datetime.now(dt.timezone.utc) - dt.datetime(2026, 1, 15, tzinfo=dt.timezone.utc)).days


def world_of(cluster: TwinCluster, database: str) -> World:
    query = "SELECT zone_id, max(chain_seq) FROM audit_events GROUP BY 1 ORDER BY 2 DESC LIMIT 1"
    zone, head = cluster.execute(query, database=database)[0]
    return World(cluster, database, zone, head)


def verify(scene: Scene, world: World, **given: t.Any) -> scenes.Result:
    key = keys.for_seed(world.cluster.spec.seed).audit_hmac_key.hex()
    files = keys.files(scene.root, key)
    options = {"audit_hmac_key_files": files, "audit_retention_days": RETENTION_DAYS, "require_valid": False, **given}
    return scene.call("audit_chain_verify", database=world.database, **options)


def found(result: scenes.Result) -> set[Found]:
    """Return all findings of all checks."""
    positions = [(check["id"], one) for check in result["checks"] for one in check["details"].get("positions", [])]
    return {(check, one["kind"], one["zone"], one["low"], one["high"], one["leaf"]) for check, one in positions}


@pytest.mark.mutation
@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_is_found_at_its_position(
    name: str, committed: Committed, caracal_database: TwinCluster, caracal_copy: t.Callable[[], str]
) -> None:
    world = world_of(caracal_database, caracal_copy())
    expected = DAMAGES[name](world)
    result = verify(committed.scene, world)
    assert found(result) == expected, result["checks"]


@pytest.mark.no_false_alarm
def test_untouched_and_growing_chains_pass(committed: Committed, caracal_database: TwinCluster, caracal_copy: t.Callable[[], str]) -> None:
    world = world_of(caracal_database, caracal_copy())
    result = verify(committed.scene, world)
    assert (result["verdict"], found(result)) == ("pass", set())
    assert result["coverage"]["chains"]["audit"]["rows"] == caracal_database.spec.events
    world.append(100)
    result = verify(committed.scene, world)
    assert (result["verdict"], found(result)) == ("pass", set())
    tail = next(check for check in result["checks"] if check["id"] == "audit.tail")
    assert (tail["verdict"], tail["details"]["rows"]) == ("unproven", 100)


@pytest.mark.no_false_alarm
def test_since_verifies_only_rows_added_after_the_set(
    committed: Committed, caracal_database: TwinCluster, caracal_copy: t.Callable[[], str]
) -> None:
    world = world_of(caracal_database, caracal_copy())
    world.append(50)
    first = committed.first["set_id"]
    result = verify(committed.scene, world, since=first)
    assert (result["verdict"], found(result)) == ("pass", set())
    zone = result["coverage"]["chains"]["audit"]
    assert zone["rows"] == 50 + 3  # the head of each zone's chain is read again
    assert result["coverage"]["asked"] == f"rows after set {first}; rows before it: not verified again"


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("damage", "kinds"),
    [
        ("UPDATE audit_events SET decision = 'x' WHERE zone_id = '{zone}' AND chain_seq = {new}", {"edited"}),
        ("DELETE FROM audit_events WHERE zone_id = '{zone}' AND chain_seq = {new}", {"hole"}),
        ("UPDATE audit_events SET chain_hmac = 'x' WHERE zone_id = '{zone}' AND chain_seq = {new}", {"hmac"}),
        (
            "UPDATE audit_events SET content_sha256 = 'x' WHERE zone_id = '{zone}' AND chain_seq = {head}",
            {"edited", "hmac", "broken_link", "block"},
        ),
        ("DELETE FROM audit_events WHERE zone_id = '{zone}' AND chain_seq >= {head}", {"truncated"}),
    ],
)
def test_since_finds_damage_after_the_set_and_at_its_head(
    damage: str, kinds: set[str], committed: Committed, caracal_database: TwinCluster, caracal_copy: t.Callable[[], str]
) -> None:
    world = world_of(caracal_database, caracal_copy())
    world.append(50)
    world.execute(damage.format(zone=world.zone, new=world.head + 20, head=world.head))
    result = verify(committed.scene, world, since=committed.first["set_id"])
    assert {"block" if one[1].startswith("block_") else one[1] for one in found(result)} == kinds, result["checks"]
    assert result["verdict"] == "fail"


@pytest.fixture(scope="module", params=sorted(set(RELEASES) - {"v1.0.0"}))
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def copied(cluster: TwinCluster) -> str:
    name = f"copy_{uuid.uuid4().hex[:12]}"
    cluster.execute(f"CREATE DATABASE {name} TEMPLATE caracal OWNER caracal STRATEGY file_copy", database="postgres")
    return name


@pytest.mark.mutation
@pytest.mark.no_false_alarm
def test_finds_damage_in_every_release(release: str, twin_cluster: TwinFactory, tmp_path: Path) -> None:
    cluster = twin_cluster(events=600, release=release)
    scene = scenes.make(tmp_path / "scene", cluster.info.socket_dir)
    scene.backup()
    whole = verify(scene, world_of(cluster, "caracal"))
    assert (whole["verdict"], found(whole)) == ("pass", set()), whole["checks"]
    for name in EVERYWHERE:
        world = world_of(cluster, copied(cluster))
        expected = DAMAGES[name](world)
        assert found(verify(scene, world)) == expected, name


@pytest.mark.mutation
@pytest.mark.no_false_alarm
@pytest.mark.parametrize(("release", "required", "verdict"), [("v2026.06.21", False, "pass"), ("v1.0.0", True, "unproven")])
def test_missing_admin_hmacs_are_unproven(release: str, required: bool, verdict: str, twin_cluster: TwinFactory, tmp_path: Path) -> None:
    """In the Compose file of the older family the API has no key.

    If rows that were committed to with HMACs lose them later, they were tampered with.
    """
    cluster = twin_cluster(events=600, release=release)
    kept = copied(cluster)
    world = world_of(cluster, "caracal")
    world.execute(emptied := "UPDATE admin_audit_events SET chain_hmac = NULL")
    scene = scenes.make(tmp_path / "scene", cluster.info.socket_dir)
    scene.backup()
    result = verify(scene, world)
    check = next(one for one in result["checks"] if one["id"] == "admin.hmac")
    assert (result["verdict"], check["verdict"], check["required"]) == (verdict, "unproven", required)
    cluster.execute("DROP DATABASE caracal", f"ALTER DATABASE {kept} RENAME TO caracal", database="postgres")
    another = scenes.make(tmp_path / "another", cluster.info.socket_dir)
    another.backup()
    world.execute(emptied)
    assert verify(another, world)["verdict"] == "fail"
