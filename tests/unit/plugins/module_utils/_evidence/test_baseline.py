# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The journal's record of the audit chains after sets, checkpoints, restores and damage."""

from __future__ import annotations

import contextlib
import datetime as dt
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import block_history
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_blocks import Block
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.signing import Signer
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access, baseline
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import journal as journals
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout, records
from harness.fixtures import FreshCluster
from scenes import scene as scenes
from scenes.scene import DEPLOYMENT, OPERATOR_HOST, Scene
from scenes.twin_database import Copier, TwinCluster, TwinFactory
from twin import keys, load
from twin.append import append
from twin.releases.known import RELEASES

MODULE = "audit_checkpoint"


def opened(scene: Scene) -> access.Opened:
    return access.open_repository(scene.access())


def add(cluster: TwinCluster, zone: str, count: int, minutes: float) -> int:
    with contextlib.closing(load.open_database(cluster.target, "caracal")) as connection:
        later = cluster.spec.now + dt.timedelta(minutes=minutes)
        return append(connection, keys.for_seed(cluster.spec.seed), RELEASES[cluster.spec.release], zone, count, later)


def busiest(cluster: TwinCluster) -> tuple[str, int]:
    zone, head = cluster.execute("SELECT zone_id, max(chain_seq) FROM audit_events GROUP BY 1 ORDER BY 2 DESC LIMIT 1")[0]
    return zone, head


def operator(scene: Scene, cluster: TwinCluster, **given: t.Any) -> dict[str, t.Any]:
    """Return the options of a real restore."""
    mark = str(scene.mark(OPERATOR_HOST))
    target = {"login_unix_socket": cluster.info.socket_dir, "signing_key": str(scene.key(OPERATOR_HOST)), "high_water_mark": mark}
    return {**target, **given}


def identifier(cluster: TwinCluster) -> str:
    return str(cluster.execute("SELECT system_identifier::text FROM pg_control_system()")[0][0])


def check_of(result: scenes.Result) -> scenes.Result:
    (check,) = (one for one in result["checks"] if one["id"] == "blocks.journal")
    return dict(check)


@pytest.mark.mutation
def test_a_restore_cuts_the_chains_and_starts_a_new_line(twin_cluster: TwinFactory, fresh_cluster: FreshCluster, tmp_path: Path) -> None:
    """A checkpoint covers some rows added after the set, and no entry covers later rows. Then the set is restored over all of them."""
    lost = twin_cluster(seed="lost")
    scene = scenes.make(tmp_path / "scene", lost.info.socket_dir)
    scene.backup()
    zone, restored_head = busiest(lost)
    add(lost, zone, 20, 5)
    checkpoint = scene.call(MODULE)
    top = add(lost, zone, 7, 10)
    confirm = [f"{name}@{identifier(lost)}" for name in ("caracal", "caracal_auth")]
    scene.call("pg_encrypted_restore", **operator(scene, lost, confirm=confirm))

    (cut,) = baseline.cuts(opened(scene))
    assert (cut.set_id, cut.system_identifier) == (scene.sets()[0], identifier(lost))
    assert (cut.before["audit", zone], cut.after["audit", zone]) == (top, restored_head) and top == restored_head + 27
    known = baseline.load(opened(scene), identifier(lost))
    assert (known.name, known.sequence) == (f"set {scene.sets()[0]}, which entry {cut.sequence} restored", cut.sequence)
    assert block_history.heads(known.blocks) == cut.after

    assert scene.call(MODULE)["verdict"] == "pass"
    add(lost, zone, 3, 15)
    after = scene.call(MODULE)
    assert (after["verdict"], after["changed"], after["base"]) == ("pass", True, cut.sequence), after["checks"]
    assert check_of(scene.call("pg_encrypted_dump", set_id=scene.new_id()))["verdict"] == "pass"
    # Another cluster has its own line, which continues unchanged.
    elsewhere = baseline.load(opened(scene), "another")
    assert elsewhere.name.startswith("checkpoint ") and checkpoint["checkpoint"] is not None
    lost.execute("SET session_replication_role = replica", f"DELETE FROM audit_events WHERE zone_id = '{zone}' AND chain_seq = 4")
    assert scene.call(MODULE)["verdict"] == "fail"


@pytest.mark.no_false_alarm
def test_restore_into_another_cluster_keeps_source_bound_to_checkpoint(
    twin_cluster: TwinFactory, fresh_cluster: FreshCluster, tmp_path: Path
) -> None:
    source = twin_cluster(seed="source")
    scene = scenes.make(tmp_path / "scene", source.info.socket_dir)
    scene.backup()
    zone, _head = busiest(source)
    head = add(source, zone, 20, 5)
    checkpoint = scene.call(MODULE)["checkpoint"]
    copy = TwinCluster(fresh_cluster(), source.spec)
    scene.call("pg_encrypted_restore", **operator(scene, copy))
    assert baseline.load(opened(scene), identifier(source)).name == f"checkpoint {checkpoint}"
    assert baseline.load(opened(scene), identifier(copy)).name.startswith("set ")
    assert baseline.cuts(opened(scene))[0].before["audit", zone] == head
    source.execute("SET session_replication_role = replica", f"DELETE FROM audit_events WHERE zone_id = '{zone}' AND chain_seq = {head}")
    assert "truncated" in scene.call(MODULE)["msg"]
    copied = Scene(scene.root, copy.info.socket_dir)
    add(copy, zone, 2, 20)
    (compared,) = (one["verdict"] for one in copied.call(MODULE)["checks"] if one["id"] == "blocks.journal")
    assert compared == "pass"


def enter(scene: Scene, host: str, kind: str, subjects: list[dict[str, t.Any]], body: dict[str, t.Any]) -> None:
    it = opened(scene)
    signer = Signer(str(scene.key(host)), layout.principal(host, DEPLOYMENT))
    journals.append(it.repository, it.journal, signer, kind, subjects, body, time=access.times(), machine="m")


def test_a_restore_that_recorded_no_heads_gets_them_from_the_journal(scene: Scene) -> None:
    first = scene.sets()[0]
    record = opened(scene).catalog.get(first)
    subjects = [entries.subject(layout.manifest_key(first), record.manifest_sha256)]
    body = {"set": first, "target": {"system_identifier": "7", "databases": ["caracal"]}, "blocks_sha256": "0" * 64}
    enter(scene, OPERATOR_HOST, entries.RESTORE, subjects, body)
    enter(scene, OPERATOR_HOST, entries.RESTORE, subjects, {**body, "target": {"system_identifier": "7", "databases": ["caracal_auth"]}})
    none = {**body, "heads": records.heads_body({}, {})}
    enter(scene, OPERATOR_HOST, entries.RESTORE, subjects, none)
    (cut,) = baseline.cuts(opened(scene))
    assert cut.before == cut.after == block_history.heads(baseline.load(opened(scene)).blocks) != {}
    assert (cut.set_id, cut.system_identifier) == (first, "7")


@pytest.mark.mutation
@pytest.mark.parametrize(
    "heads",
    [
        {"before": []},
        {"before": [], "after": [["audit", "z"]]},
        {"before": [], "after": [["audit", "z", True]]},
        {"before": [], "after": [["audit", "z", 1], ["audit", "z", 2]]},
        {"before": 1, "after": []},
        {"before": [], "after": [], "more": []},
    ],
)
def test_malformed_heads_are_refused(scene: Scene, heads: dict[str, t.Any]) -> None:
    first = scene.sets()[0]
    subjects = [entries.subject(layout.manifest_key(first), opened(scene).catalog.get(first).manifest_sha256)]
    body = {"set": first, "target": {"system_identifier": "7", "databases": ["caracal"]}, "heads": heads}
    enter(scene, OPERATOR_HOST, entries.RESTORE, subjects, body)
    with pytest.raises(TamperedData):
        baseline.load(opened(scene))


CHECKPOINT = {
    "checkpoint": "20261125T020000Z-k3f9",
    "base": 0,
    "database": "caracal",
    "system_identifier": "7",
    "family": None,
    "release": None,
    "snapshot_time": "2026-11-25T02:00:01.000000Z",
    "lsn": "0/1",
    "standby": False,
}


@pytest.mark.mutation
@pytest.mark.parametrize(
    "change", [{"base": 99}, {"checkpoint": "../x"}, {"standby": None}, {"more": 1}, {"checkpoint": "20261125T020000Z-xxxx"}]
)
def test_a_malformed_checkpoint_is_refused(scene: Scene, change: dict[str, t.Any]) -> None:
    subjects = [entries.subject(layout.checkpoint_key("20261125T020000Z-k3f9"), "0" * 64)]
    enter(scene, scenes.BACKUP_HOST, entries.CHECKPOINT, subjects, {**CHECKPOINT, **change})
    with pytest.raises(TamperedData):
        baseline.load(opened(scene))


def test_a_cluster_that_only_checkpoints_know_is_a_source_too(scene: Scene) -> None:
    subjects = [entries.subject(layout.checkpoint_key("20261125T020000Z-k3f9"), "0" * 64)]
    before = opened(scene).journal.system_identifiers()
    enter(scene, scenes.BACKUP_HOST, entries.CHECKPOINT, subjects, CHECKPOINT)
    assert opened(scene).journal.system_identifiers() == before | {"7"}


def spoil(scene: Scene, set_id: str) -> None:
    path = scene.repository / "sets" / set_id / "audit-blocks.tsv.zst"
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.mutation
def test_previous_set_is_baseline_if_newest_set_is_damaged(scene: Scene) -> None:
    first, second = scene.sets()
    blocks = baseline.load(opened(scene)).blocks
    spoil(scene, second)
    known = baseline.load(opened(scene))
    assert (known.name, known.blocks) == (f"set {first}", blocks) and second in known.problem
    spoil(scene, first)
    assert baseline.load(opened(scene)).blocks == () and second in baseline.load(opened(scene)).problem


@pytest.mark.mutation
def test_nothing_older_than_a_restore_serves_for_it(scene: Scene) -> None:
    _first, second = scene.sets()
    subjects = [entries.subject(layout.manifest_key(second), opened(scene).catalog.get(second).manifest_sha256)]
    body = {"set": second, "target": {"system_identifier": "7", "databases": ["caracal"]}, "blocks_sha256": "0" * 64}
    enter(scene, OPERATOR_HOST, entries.RESTORE, subjects, body)
    spoil(scene, second)
    known = baseline.load(opened(scene))
    assert known.blocks == () and second in known.problem


def test_blocks_of_dropped_partitions_are_found_in_older_entries(scene: Scene, caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()
    leaves = r"SELECT relname FROM pg_class WHERE relname ~ '^audit_events_y....m..$' AND relkind = 'r' ORDER BY 1 LIMIT 2"
    first, second = (leaf for (leaf,) in caracal_database.execute(leaves))
    whole = {block for block in baseline.load(opened(scene)).blocks if block.leaf in (first, second)}
    for leaf in (first, second):
        caracal_database.execute(f"DROP TABLE {leaf}", database=name)
        scene.backup(databases=[name], set_id=scene.new_id())
    asked: list[set[str]] = []

    def wanted(found: t.Sequence[Block]) -> bool:
        asked.append({block.leaf for block in found})
        return first not in asked[-1]

    assert set(baseline.dropped(opened(scene), wanted)) == whole != set()
    assert asked == [set(), set(), {second}, {first, second}]
    assert baseline.dropped(opened(scene), lambda _found: False) == []
