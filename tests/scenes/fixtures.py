# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two committed sets of a twin, copies of their repository, and a cluster with the restored data."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import typing as t
import uuid
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries, target
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxSpec
from harness.fixtures import NOW, make_twin, sandbox_path
from scenes import engine_stand_in
from scenes import scene as scenes
from scenes.by_hand import Recover, recoverer
from scenes.old_repository import OldRepository
from scenes.scene import Scene
from scenes.twin_database import TwinCluster
from twin.spec import Spec
from unit.plugins.module_utils._repository.conftest import ROLES


@pytest.fixture(scope="session", autouse=True)
def no_home(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[None]:
    """Hide the user's own keys from these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        before = os.umask(0o022)  # so that only the code makes files private
        yield
        os.umask(before)


@pytest.fixture
def engine() -> t.Iterator[engine_stand_in.Engine]:
    """Yield a container engine with a short socket path."""
    with tempfile.TemporaryDirectory(prefix="caracal-test-", dir="/var/tmp") as folder, engine_stand_in.start(Path(folder)) as started:
        yield started


@pytest.fixture
def recover(server_install: server_binaries.Install) -> Recover:
    """Return a function that runs the commands of a set's RECOVERY.md."""
    return recoverer(server_install)


@dataclasses.dataclass(frozen=True)
class Committed:
    """A repository with two sets of one unchanged source, and the results of the two dumps."""

    scene: Scene
    first: scenes.Result
    second: scenes.Result


@pytest.fixture(scope="session")
def committed(tmp_path_factory: pytest.TempPathFactory, caracal_database: TwinCluster) -> Committed:
    """Return the repository. It is read-only; `scene` is a copy to work with."""
    made = scenes.make(tmp_path_factory.mktemp("committed") / "scene", caracal_database.info.socket_dir)
    return Committed(made, made.backup(), made.backup())


@pytest.fixture
def scene(committed: Committed, tmp_path: Path) -> Scene:
    """Return a copy of the repository with two sets, and of all hosts."""
    return committed.scene.copy(tmp_path / "scene")


@pytest.fixture(scope="session")
def _dumped(committed: Committed, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    scene = committed.scene.copy(tmp_path_factory.mktemp("dumped") / "scene")
    scene.call("pg_encrypted_dump", set_id=scene.new_id())
    return scene


@pytest.fixture
def dumped(_dumped: Scene, tmp_path: Path) -> Scene:
    """Return such a copy with a third set that is dumped and not committed."""
    return _dumped.copy(tmp_path / "dumped")


@pytest.fixture
def empty_scene(tmp_path: Path, caracal_database: TwinCluster) -> Scene:
    """Return hosts with keys, without a repository."""
    return scenes.make(tmp_path / "empty", caracal_database.info.socket_dir)


@dataclasses.dataclass(frozen=True)
class Copy(TwinCluster):
    """A cluster with the restored newest set. `settings` are the recorded settings of each database."""

    settings: dict[str, dict[str, t.Any]]

    def keep(self) -> None:
        """Save this state, for `reset`."""
        for name in self.settings:
            self.execute(f"CREATE DATABASE pristine_{name} TEMPLATE {name} STRATEGY file_copy", database="postgres")

    def reset(self, *databases: str) -> None:
        """Reset databases to that state, also dropped ones."""
        for name in databases:
            owner = self.settings[name]["owner"]
            self.execute(f"CREATE DATABASE again TEMPLATE pristine_{name} OWNER {owner} STRATEGY file_copy", database="postgres")
            for one in target.publish(self.server, [("again", name, self.settings[name])]):
                self.execute(f'DROP DATABASE "{one["kept_as"]}" WITH (FORCE)', database="postgres")


@pytest.fixture(scope="session")
def restored(committed: Committed, server_install: server_binaries.Install, caracal_database: TwinCluster) -> t.Iterator[Copy]:
    """Yield the restored newest set. A test that changes it calls `reset` afterwards."""
    directory = sandbox_path()
    try:
        info = lifecycle.create(SandboxSpec(directory, server_install)).info
        committed.scene.call("pg_encrypted_restore", sandbox=directory)
        recorded = committed.scene.inventory()["databases"]
        made = Copy(info, caracal_database.spec, {one["database"]: one["settings"] for one in recorded})
        made.keep()
        yield made
    finally:
        lifecycle.destroy(directory)


@pytest.fixture(scope="session")
def role_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("role_keys")
    for role in ROLES:
        scenes.new_ssh_key(folder / role)
    return folder


@pytest.fixture
def old(role_keys: Path, tmp_path: Path) -> OldRepository:
    """Return six nightly sets, the newest an hour old; the fifth passed a drill."""
    made = OldRepository(tmp_path, role_keys, 145)
    for _night in range(5):
        made.add()
    made.drill(made.made[-1])
    made.add()
    return made


@pytest.fixture(scope="session")
def archive_twin(server_install: server_binaries.Install) -> t.Iterator[TwinCluster]:
    """Yield a twin with few events, so that an archive of its exports is filled quickly.

    It is read-only; `caracal_archive_copy` is a copy.
    """
    with make_twin(server_install, Spec(events=36, zones=2, months=2, seed="archive", now=NOW)) as made:
        yield made


@pytest.fixture
def caracal_archive_copy(archive_twin: TwinCluster) -> t.Iterator[str]:
    """Yield a copy of `caracal` as another database of that cluster."""
    name = f"copy_{uuid.uuid4().hex[:12]}"
    archive_twin.execute(f"CREATE DATABASE {name} TEMPLATE caracal OWNER caracal STRATEGY file_copy", database="postgres")
    yield name
    archive_twin.execute(f"DROP DATABASE {name} WITH (FORCE)", database="postgres")
