# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A store that returns the right bytes for verification, and for later reads other bytes of the same size and recipients."""

from __future__ import annotations

import collections
import typing as t
from pathlib import Path

import pyrage
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from harness.fixtures import FreshCluster
from scenes import redis_server, secrets_scene
from scenes.fixtures import Copy
from scenes.replay_folders import event, folder
from scenes.scene import Scene
from scenes.twin_database import TwinCluster
from unit.plugins.module_utils._assets.databases.test_pg_encrypted_restore import state
from unit.plugins.module_utils._assets.replay.test_replay_volumes import A, open_id

TRIES = 5000


def resealed(sealed: bytes, identity: Path) -> bytes:
    """Encrypt the same content again as an attacker, with the same size. age pads its header at random."""
    mine = pyrage.x25519.Identity.from_str(identity.read_text().split()[-1])
    content = pyrage.decrypt(sealed, [mine])
    for _try in range(TRIES):
        made: bytes = pyrage.encrypt(content, [mine.to_public()])
        if len(made) == len(sealed):
            return made
    raise AssertionError(f"no other age file of {len(sealed)} bytes in {TRIES} tries")


def swapped(scene: Scene, pattern: str, monkeypatch: pytest.MonkeyPatch, *, after: int, identity: Path | None = None) -> Path:
    """Replace the one object with this pattern, starting after this number of openings."""
    (path,) = scene.repository.glob(pattern)
    other = resealed(path.read_bytes(), identity or scene.identity)
    opened: collections.Counter[str] = collections.Counter()
    real = LocalStore.open

    def opening(store: LocalStore, key: str) -> t.BinaryIO:
        if Path(store.path(key)) == path:
            if opened[key] == after:
                path.chmod(0o600)
                path.write_bytes(other)
            opened[key] += 1
        return real(store, key)

    monkeypatch.setattr(LocalStore, "open", opening)
    return path


def altered(path: Path) -> str:
    return f"{path.name} was altered; use another copy of the set"


def of_set(scene: Scene, rest: str) -> str:
    return f"sets/{scene.sets()[-1]}/{rest}"


@pytest.mark.mutation
@pytest.mark.parametrize("which", ["inventory.json.zst.age", "postgres/caracal.dump.zst.age", "postgres/caracal.schema.zst.age", "leaf"])
def test_a_swapped_artifact_is_not_restored(
    scene: Scene, which: str, monkeypatch: pytest.MonkeyPatch, fresh_cluster: FreshCluster, caracal_database: TwinCluster
) -> None:
    target = TwinCluster(fresh_cluster(), caracal_database.spec)
    pattern = "objects/audit/audit_events_y2026m03/*" if which == "leaf" else of_set(scene, which)
    path = swapped(scene, pattern, monkeypatch, after=1)
    with pytest.raises(TamperedData, match=altered(path)):
        scene.call("pg_encrypted_restore", sandbox=target.info.directory)
    databases, _relations, _roles = state(target)
    assert databases == ["postgres", "template1"]
    assert scene.call("backup_set_verify", require_valid=False)["verdict"] == "fail"


@pytest.mark.mutation
def test_a_copy_is_not_compared_with_a_swapped_inventory(scene: Scene, restored: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    path = swapped(scene, of_set(scene, "inventory.json.zst.age"), monkeypatch, after=0)
    with pytest.raises(TamperedData, match=altered(path)):
        scene.call("state_verify", sandbox=restored.info.directory)


@pytest.mark.mutation
@pytest.mark.parametrize("which", ["streams.1.resp.zst.age", "streams.2.resp.zst.age", "streams.1.json.zst.age", "streams.2.json.zst.age"])
def test_no_stream_of_a_swapped_artifact_stays(dumped: Scene, which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with redis_server.start(8) as source, redis_server.start(8) as target:
        redis_server.fill(source)
        set_id = open_id(dumped)
        for reading in (1, 2):
            dumped.call("redis_stream_snapshot", set_id=set_id, reading=reading, **source.login)
        dumped.call("backup_set", state="committed", set_id=set_id)
        path = swapped(dumped, f"sets/{set_id}/redis/{which}", monkeypatch, after=1)
        with pytest.raises(TamperedData, match=altered(path)):
            dumped.call("redis_stream_restore", set_id=set_id, **target.login, confirm=[target.confirmation])
        assert target.run("DBSIZE") == 0


@pytest.mark.mutation
@pytest.mark.parametrize("which", ["sts-1.1.tar.zst.age", "sts-1.2.tar.zst.age", "sts-1.1.json.zst.age"])
def test_no_replay_file_of_a_swapped_archive_is_restored(
    dumped: Scene, which: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source, target, set_id = folder(tmp_path / "source"), folder(tmp_path / "target"), open_id(dumped)
    for reading in (1, 2):
        source.file(A, event("a-1") * reading)
        volumes = [{"service": "sts", "path": str(source.volume)}]
        dumped.call("replay_volume_archive", set_id=set_id, reading=reading, volumes=volumes)
    dumped.call("backup_set", state="committed", set_id=set_id)
    path = swapped(dumped, f"sets/{set_id}/replay/{which}", monkeypatch, after=0)
    volumes = [{"service": "sts", "replica": "1", "path": str(target.volume)}]
    with pytest.raises(TamperedData, match=altered(path)):
        dumped.call("replay_volume_restore", set_id=set_id, volumes=volumes)
    assert target.content() == {}


@pytest.mark.mutation
def test_no_secret_of_a_swapped_bundle_is_written(tmp_path: Path, caracal_database: TwinCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    made = secrets_scene.make(tmp_path / "scene", caracal_database)
    made.backup()
    path = swapped(made.scene, "objects/secrets/*.age", monkeypatch, after=0, identity=made.identity)
    with pytest.raises(TamperedData, match=altered(path)):
        made.restore()
    assert not made.target.exists()
