# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores of secrets, streams and replay files in the journal: one entry each, none without a change, none in a sandbox."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupError,
    KeyProblem,
    ObjectMissing,
    OptionError,
    StorageError,
    TargetRefused,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access, baseline, restore_entry
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import marker
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import Layout
from harness.fixtures import sandbox_path
from scenes import redis_server, replay_folders, secrets_scene
from scenes import scene as scenes
from scenes.redis_server import RedisServer
from scenes.replay_folders import event
from scenes.scene import OPERATOR_HOST, Result
from scenes.secrets_scene import Deployment
from scenes.twin_database import TwinCluster

ASSETS = ("secrets", "replay", "redis")
MODULES = {"secrets": "secrets_restore", "replay": "replay_volume_restore", "redis": "redis_stream_restore"}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, caracal_database: TwinCluster) -> t.Iterator[Deployment]:
    """Yield one committed set with every asset. It is read-only."""
    root = tmp_path_factory.mktemp("stored")
    made = secrets_scene.make(root / "scene", caracal_database)
    replay = replay_folders.folder(root / "sts")
    replay.file("pending-7-1.ndjson", event("one"))
    volumes = [{"service": "sts", "path": str(replay.volume)}]
    with redis_server.start() as redis:
        redis_server.fill(redis)
        redis.run("XACK", "caracal.audit.events", "audit-ingestor", "1795564600000-96")
        set_id = made.opened()
        made.bundle(set_id, 1)
        made.scene.call("replay_volume_archive", set_id=set_id, reading=1, volumes=volumes)
        made.scene.call("redis_stream_snapshot", set_id=set_id, reading=1, **redis.login)
        made.scene.call("pg_encrypted_dump", set_id=set_id)
        made.scene.call("redis_stream_snapshot", set_id=set_id, reading=2, **redis.login)
        made.scene.call("replay_volume_archive", set_id=set_id, reading=2, volumes=volumes)
        made.bundle(set_id, 2)
    made.commit(set_id)
    yield made


@dataclasses.dataclass(frozen=True)
class Case:
    """Paths below `root` for every asset, and the options that restore there."""

    deployment: Deployment
    root: Path
    redis: RedisServer

    def given(self, asset: str, **own: t.Any) -> dict[str, t.Any]:
        scene = self.deployment.scene
        usual: dict[str, dict[str, t.Any]] = {
            "secrets": {"directory": str(self.root / "secrets"), "identity_files": [str(self.deployment.identity)]},
            "replay": {
                "volumes": [{"service": "sts", "path": str(self.root / "sts")}],
                "owner": os.geteuid(),
                "group": os.getegid(),
                "identity_files": [str(scene.identity)],
            },
            "redis": {**self.redis.login, "confirm": [self.redis.confirmation], "identity_files": [str(scene.identity)]},
        }
        return {**usual[asset], **own}

    def restore(self, asset: str, check_mode: bool = False, **own: t.Any) -> Result:
        return self.deployment.scene.call(MODULES[asset], check_mode=check_mode, **self.given(asset, **own))

    def refused(self, asset: str, kind: type[BackupError], *words: str, **own: t.Any) -> None:
        self.deployment.scene.refused(MODULES[asset], kind, *words, **self.given(asset, **own))
        assert not (self.root / "secrets").exists() and not list((self.root / "sts" / "audit-replay").iterdir())
        assert not self.redis.run("DBSIZE")

    def target(self, asset: str) -> str:
        return {"secrets": str(self.root / "secrets"), "replay": str(self.root / "sts" / "audit-replay"), "redis": self.redis.confirmation}[
            asset
        ]

    def opened(self) -> access.Opened:
        return access.open_repository(self.deployment.scene.access())

    def entries(self) -> list[tuple[str, dict[str, t.Any]]]:
        """Return the signer and the body of each restore entry."""
        return [(one.principal, one.body) for one in self.opened().journal.of_kind("restore")]


@pytest.fixture
def case(stored: Deployment, tmp_path: Path) -> t.Iterator[Case]:
    (tmp_path / "new" / "sts" / "audit-replay").mkdir(parents=True)
    with redis_server.start() as redis:
        yield Case(Deployment(stored.scene.copy(tmp_path / "scene"), stored.cluster), tmp_path / "new", redis)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("asset", ASSETS)
def test_a_restore_is_recorded_once_in_the_journal(case: Case, asset: str) -> None:
    predicted = case.restore(asset, check_mode=True)
    assert predicted["changed"] and case.entries() == []
    made = case.restore(asset)
    [set_id] = case.deployment.scene.sets()
    assert case.entries() == [("operator@prod", {"set": set_id, "asset": asset, "targets": [case.target(asset)]})]
    assert made["journal_head"] == case.opened().head != predicted["journal_head"]
    if asset != "redis":  # a second restore into the same Redis is refused
        again = case.restore(asset)
        assert not again["changed"] and len(case.entries()) == 1
    assert case.deployment.scene.call("backup_set_verify")["verdict"] == "pass"


def test_creating_only_groups_is_not_recorded_as_a_restore(case: Case) -> None:
    assert case.deployment.scene.call("redis_stream_restore", groups_only=True, **case.redis.login)["changed"]
    assert case.entries() == []


def test_restores_of_other_assets_cut_no_audit_chain(case: Case) -> None:
    before = baseline.load(case.opened())
    for asset in ASSETS:
        case.restore(asset)
    opened = case.opened()
    assert len(opened.journal.of_kind("restore")) == 3
    assert baseline.cuts(opened) == [] and baseline.load(opened) == before and before.blocks
    assert case.deployment.scene.call("audit_checkpoint", database="caracal")["verdict"] == "pass"
    assert case.deployment.scene.call("audit_chain_verify", audit_retention_days=3650, require_valid=False)["checks"]


@pytest.mark.mutation
@pytest.mark.parametrize("asset", ASSETS)
def test_an_untrusted_signer_restores_nothing(case: Case, asset: str) -> None:
    unknown = case.deployment.scene.root / OPERATOR_HOST / "another"
    scenes.new_ssh_key(unknown)
    case.refused(asset, KeyProblem, "the trial signature of", str(unknown), signing_key=str(unknown))
    case.refused(asset, KeyProblem, signing_key=str(case.deployment.scene.key("backup")))
    nowhere = str(case.root / "no" / "such" / "mark")
    case.refused(asset, StorageError, nowhere, "folder that exists", high_water_mark=nowhere)


@pytest.mark.mutation
@pytest.mark.parametrize("asset", ASSETS)
def test_a_restore_needs_a_signing_key(case: Case, asset: str) -> None:
    given = case.deployment.scene.given(MODULES[asset], **case.given(asset))
    del given["signing_key"]
    with pytest.raises(OptionError, match="sandbox, signing_key"):
        complete(scenes.MODULES[MODULES[asset]][0].Options, given)


# ---- sandboxes


def mark(directory: Path) -> None:
    """Write the marker of a sandbox, which is all that these modules check."""
    marker.write(Layout.of(str(directory)), marker.Marker(os.geteuid(), False, "another boot"))


@pytest.fixture
def box() -> t.Iterator[Path]:
    directory = Path(sandbox_path())
    directory.mkdir(mode=0o700)
    mark(directory)
    yield directory
    shutil.rmtree(directory)


@pytest.mark.parametrize("asset", ["secrets", "replay"])
def test_a_restore_into_a_sandbox_is_not_recorded(case: Case, box: Path, asset: str) -> None:
    (box / "sts" / "audit-replay").mkdir(parents=True)
    inside = dataclasses.replace(case, root=box)
    assert inside.restore(asset, sandbox=str(box), signing_key=None)["changed"]
    assert case.entries() == []


def test_a_redis_restore_into_a_sandbox_is_not_recorded(case: Case) -> None:
    mark(case.redis.folder)
    assert case.restore("redis", sandbox=str(case.redis.folder), signing_key=None)["changed"]
    assert case.redis.run("DBSIZE") and case.entries() == []


@pytest.mark.mutation
@pytest.mark.parametrize("asset", ASSETS)
def test_a_sandbox_restore_refuses_targets_outside_it(case: Case, box: Path, asset: str) -> None:
    case.refused(asset, TargetRefused, "is not inside the sandbox", sandbox=str(box))
    (box / "way-out").symlink_to(case.root)
    if asset == "secrets":
        case.refused(asset, TargetRefused, "is not inside", sandbox=str(box), directory=str(box / "way-out" / "secrets"))
        inside = {"sandbox": str(box), "directory": str(box / "secrets")}
        case.refused(asset, TargetRefused, "caracal.env", environment_file=str(case.root / "caracal.env"), **inside)
    if asset == "replay":
        volumes = [{"service": "sts", "path": str(box / "sts"), "quarantine": str(case.root / "torn")}]
        case.refused(asset, TargetRefused, "torn", sandbox=str(box), volumes=volumes)
    case.refused(asset, ObjectMissing, "contains no sandbox", sandbox=str(case.root / "none"))


def test_a_replay_restore_without_volumes_is_refused(case: Case) -> None:
    case.refused("replay", OptionError, "volumes is empty", volumes=[])
    assert json.dumps(case.entries()) == "[]"


@pytest.mark.mutation
@pytest.mark.parametrize("asset", ASSETS)
def test_a_failed_journal_entry_reports_the_completed_restore(case: Case, asset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example, the disk of the repository is full by then."""

    def full(*_arguments: t.Any, **_named: t.Any) -> None:
        raise StorageError("the journal: No space left on device; make room")

    monkeypatch.setattr(restore_entry.journals, "append", full)
    [set_id] = case.deployment.scene.sets()
    with pytest.raises(
        StorageError, match=f"set {set_id} is restored, but the restore was not entered into the journal: the journal: No space left"
    ):
        case.restore(asset)
    assert case.entries() == []
