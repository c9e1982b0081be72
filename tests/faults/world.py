# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A deployment with two sets of everything, the copy that faults happen to, and what must stay true of it."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import hashlib
import json
import os
import shutil
import stat
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.artifact import Artifact
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.fields import timestamp
from faults.tally import LEAKED, LOST, Outcome
from harness.fixtures import NOW, make_twin
from scenes import redis_server, replay_folders, secrets_scene
from scenes.redis_server import RedisServer
from scenes.replay_folders import ReplayFolder, event
from scenes.scene import HOSTS, Scene
from scenes.secrets_scene import Deployment
from twin.spec import Spec

Step = tuple[str, dict[str, t.Any]]
Truth = dict[str, dict[str, str]]
# Between the two sets, so that a prune may delete the older one.
AGE = dt.timedelta(days=5)


@dataclasses.dataclass(frozen=True)
class World:
    """`deployment.scene` is what faults happen to; `kept` is how it was."""

    deployment: Deployment
    replay: ReplayFolder
    redis: RedisServer
    kept: Path
    truth: Truth
    secrets: tuple[str, ...]

    @property
    def scene(self) -> Scene:
        return self.deployment.scene

    @property
    def repository(self) -> Path:
        return self.scene.repository

    @property
    def identities(self) -> list[str]:
        return [str(self.scene.identity), str(self.deployment.identity)]

    def steps(self, set_id: str) -> list[Step]:
        """A backup of everything, in its order."""
        return steps(self.deployment, self.replay, self.redis, set_id)

    def mend(self) -> None:
        """Restore repository and marks to their former state. Untouched files are kept."""
        _mend(self.kept / "repository", self.repository)
        for host in HOSTS:
            mark = self.kept / host / "high_water_mark"
            self.scene.mark(host).unlink(missing_ok=True)
            if mark.exists():
                shutil.copy2(mark, self.scene.mark(host))

    def judge(self) -> Outcome:
        """Compare the results of the verifiers, up to the first that notices, with what a restore would read now."""
        if outcome := self.noticed():
            return outcome
        same = truth_of(self.scene, self.truth) == self.truth
        return Outcome() if same else Outcome(LOST, "no verifier noticed that something else would be restored")

    def noticed(self, **place: t.Any) -> Outcome | None:
        """Run the verifiers until one notices the fault, breaks or leaks a secret. Return None if all pass.

        `place`: another copy of the repository.
        """
        calls: list[Step] = [("repository_verify", {"identity_files": self.identities})]
        calls += [("backup_set_verify", {"set_id": set_id}) for set_id in self.truth]
        for module, options in calls:
            try:
                result = self.scene.call(module, require_valid=False, **options, **place)
                noticed, text = result["verdict"] != "pass", json.dumps(result)
            except BackupError as exc:
                noticed, text = True, exc.msg + json.dumps(exc.details)
            except Exception as exc:  # noqa: BLE001 - a traceback is a finding
                return Outcome(LOST, f"{module} ended in a traceback: {type(exc).__name__}: {exc}")
            if leaked := self.leaked(text):
                return Outcome(LEAKED, f"{module} told {leaked}")
            if noticed:
                return Outcome()
        return None

    def leaked(self, text: str) -> str:
        """The beginning of a secret that is in `text`."""
        return next((f"{secret[:6]}…" for secret in self.secrets if secret in text), "")


def _mend(kept: Path, folder: Path) -> None:
    """Each write to a file changes its times. A restored copy has the times of the kept file."""
    wanted, found = _about(kept), _about(folder)
    for name in sorted((name for name, about in found.items() if wanted.get(name) != about), reverse=True):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for name in sorted(name for name in wanted if not os.path.lexists(folder / name)):
        if (kept / name).is_dir():
            (folder / name).mkdir()
        else:
            shutil.copy2(kept / name, folder / name)


def _about(root: Path) -> dict[str, tuple[int, ...]]:
    """Kind, mode, size and time of all files and kinds of all folders below."""
    found: dict[str, tuple[int, ...]] = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            about = os.lstat(path)
            is_folder = stat.S_ISDIR(about.st_mode)
            found[os.path.relpath(path, root)] = (1,) if is_folder else (0, about.st_mode, about.st_size, about.st_mtime_ns)
    return found


def truth_of(scene: Scene, sets: t.Iterable[str]) -> Truth:
    """The data that a restore of each set would read: keys and the SHA-256 of what the store gives for them now."""
    opened = access.open_repository(scene.access())
    found: Truth = {}
    for set_id in sets:
        manifest = opened.catalog.read(set_id).manifest
        found[set_id] = {one.path: hashlib.sha256(opened.store.read(one.path)).hexdigest() for one in manifest.artifacts}
    return found


def artifacts_of(scene: Scene, sets: t.Iterable[str]) -> dict[str, Artifact]:
    opened = access.open_repository(scene.access())
    return {one.path: one for set_id in sets for one in opened.catalog.read(set_id).manifest.artifacts}


def steps(deployment: Deployment, replay: ReplayFolder, redis: RedisServer, set_id: str) -> list[Step]:
    own: list[Step] = [
        ("secrets_bundle", deployment.sources()),
        ("replay_volume_archive", {"volumes": [{"service": "sts", "path": str(replay.volume)}]}),
        ("redis_stream_snapshot", redis.login),
    ]
    first = [(module, {**given, "reading": 1}) for module, given in own]
    second = [(module, {**given, "reading": 2}) for module, given in reversed(own)]
    middle = [*first, ("pg_encrypted_dump", {}), *second]
    made = [(module, {**given, "set_id": set_id}) for module, given in middle]
    opening = {"state": "open", "create_repository": True, "set_id": set_id}
    return [("backup_set", opening), *made, ("backup_set", {"state": "committed", "set_id": set_id})]


@contextlib.contextmanager
def _days_ago() -> t.Iterator[None]:
    """Writers of entries use this time. The clock of the database has the present time."""
    then = access.now() - AGE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "now", lambda: then)
        patch.setattr(access, "times", lambda _manifest=None: {"host": timestamp(then), "database": None, "store": None})
        yield


@contextlib.contextmanager
def make(folder: Path) -> t.Iterator[World]:
    """Two committed sets, a checkpoint and a hold."""
    install = server_binaries.find(None, minimum_major=17)
    with make_twin(install, Spec(events=120, zones=2, months=2, seed="faults", now=NOW)) as cluster, redis_server.start() as redis:
        redis_server.fill(redis)
        deployment = secrets_scene.make(folder / "scene", cluster)
        replay = replay_folders.folder(folder / "sts")
        replay.file("pending-7-1.ndjson", event("one"))
        scene = deployment.scene
        for number in (1, 2):
            for module, given in steps(deployment, replay, redis, f"20261101T00000{number}Z-flts"):
                with _days_ago() if module == "backup_set" else contextlib.nullcontext():
                    scene.call(module, **given)
            cluster.execute("UPDATE zones SET updated_at = now()")
        scene.call("audit_checkpoint")
        for state in ("present", "absent"):
            scene.call("backup_hold", hold="faults", set_id=scene.sets()[0], reason="kept for the faults", state=state)
        for host in HOSTS:
            scene.call("backup_set_info", high_water_mark=str(scene.mark(host)))
        kept = folder / "kept"
        shutil.copytree(scene.root, kept, symlinks=True)
        secrets = [*scene.secrets(), *(path.read_text() for path in deployment.directory.rglob("*") if path.is_file())]
        yield World(deployment, replay, redis, kept, truth_of(scene, scene.sets()), tuple(one for one in secrets if len(one) > 12))
