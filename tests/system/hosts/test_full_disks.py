# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The disk is full or read-only, at one location after the other. One line reports where and what to do, and the run succeeds with space.

At most locations the kernel refuses because the limit on a file's size is temporarily 0, which needs no root. The error
of a really full file system is tested once for each kind of location, on a small one.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.databases import dump_set
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, NoRoom, StageFailed, StorageError
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.mark import HighWaterMark
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxSpec
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import process
from harness.fixtures import sandbox_path
from scenes import drill_reports
from scenes import scene as scenes
from scenes.scene import Result, Scene
from scenes.twin_database import TwinCluster

ID = "20260102T030405Z-abcd"
ROOT = os.geteuid() == 0


@contextlib.contextmanager
def no_room(size: int = 0) -> t.Iterator[None]:
    """Refuse writes of more than `size` bytes to any file, in this process and in the processes that it starts."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture
def full_at(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[t.Callable[[str], contextlib.AbstractContextManager[None]]]:
    """Return a context manager: in `with full_at("manifest.json"):`, no object with a key that ends so can be written."""
    put = LocalStore.put

    @contextlib.contextmanager
    def full(ending: str) -> t.Iterator[None]:
        def refusing(self: LocalStore, key: str, data: bytes) -> t.Any:
            with no_room() if key.endswith(ending) else contextlib.nullcontext():
                return put(self, key, data)

        with monkeypatch.context() as patch:
            patch.setattr(LocalStore, "put", refusing)
            yield

    yield full


FullAt = t.Callable[[str], contextlib.AbstractContextManager[None]]


def refusal(act: t.Callable[[], object], scene: Scene, *words: str, error: type[BackupError] = StorageError) -> str:
    """Return the message of the error. A limit on file sizes is a StorageError; only a full disk is its subclass NoRoom."""
    with pytest.raises(BackupError) as raised:
        act()
    assert raised.type is error, raised.value.msg
    assert "\n" not in raised.value.msg and not [word for word in words if word not in raised.value.msg], raised.value.msg
    scene.is_clean(raised.value.msg)
    return raised.value.msg


def unfinished(scene: Scene) -> list[str]:
    return [path for path in scene.files() if path.rpartition("/")[2].startswith(".")]


@pytest.mark.mutation
@pytest.mark.parametrize("key", ["repository.json", "repository.json.sig", ".sig", "0000000001.json"])
def test_full_disk_while_a_repository_is_created(empty_scene: Scene, full_at: FullAt, key: str) -> None:
    opening: dict[str, t.Any] = {"state": "open", "create_repository": True, "set_id": ID}
    with full_at(key):
        refusal(
            lambda: empty_scene.call("backup_set", **opening), empty_scene, str(empty_scene.repository), "the file size limit is reached"
        )
    assert unfinished(empty_scene) == [] and "journal/0000000001.json" not in empty_scene.files()
    assert empty_scene.call("backup_set", **opening)["journal_head"].startswith("1-")
    assert empty_scene.backup(set_id=ID)["bytes"] > 0 and empty_scene.sets() == [ID]


@pytest.mark.mutation
@pytest.mark.parametrize("key", ["audit-blocks.tsv.zst", "parts/postgres.json"])
def test_full_disk_while_a_set_is_dumped(scene: Scene, full_at: FullAt, key: str) -> None:
    before = scene.sets()
    with full_at(key):
        refusal(lambda: scene.call("pg_encrypted_dump", set_id=ID), scene, f"{scene.repository}/sets/{ID}", "raise it (ulimit -f)")
    assert unfinished(scene) == [] and not scene.files("sets/*/parts/*") and scene.sets() == before
    scene.call("backup_set", state="aborted", set_id=ID)
    scene.backup(set_id=ID)
    assert scene.sets() == [*before, ID]


@pytest.mark.mutation
def test_full_disk_while_the_inventory_is_encrypted(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    seal = dump_set._seal_inventory

    def refusing(*arguments: t.Any) -> t.Any:
        with no_room():
            return seal(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(dump_set, "_seal_inventory", refusing)
        refusal(lambda: scene.call("pg_encrypted_dump", set_id=ID), scene, f"{scene.repository}/sets/{ID}", "raise it (ulimit -f)")
    assert unfinished(scene) == [] and not scene.files("sets/*/inventory*/**/*")
    scene.call("backup_set", state="aborted", set_id=ID)
    assert scene.call("pg_encrypted_dump", set_id=ID)["changed"]


@pytest.mark.mutation
@pytest.mark.parametrize("key", ["RECOVERY.md", "backup.sig", "manifest.json", ".sig", "0000000004.json"])
def test_full_disk_while_a_set_is_committed(dumped: Scene, full_at: FullAt, key: str) -> None:
    before = dumped.sets()
    (part,) = dumped.files("sets/*/parts/postgres.json")
    committing: dict[str, t.Any] = {"state": "committed", "set_id": part.split("/")[1]}
    with full_at(key):
        refusal(lambda: dumped.call("backup_set", **committing), dumped, str(dumped.repository), "the file size limit is reached")
    assert unfinished(dumped) == [] and dumped.sets() == before and part in dumped.files()
    assert dumped.call("backup_set", **committing)["changed"] and len(dumped.sets()) == len(before) + 1
    assert dumped.call("backup_set_verify")["verdict"] == "pass"


@pytest.mark.mutation
def test_full_disk_of_the_high_water_mark(dumped: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """By then the set exists, and the message reports that. Another run finds the set and catches up."""
    (part,) = dumped.files("sets/*/parts/postgres.json")
    set_id, write, mark = part.split("/")[1], HighWaterMark._write, dumped.mark("backup")
    before = mark.read_bytes()

    def refusing(self: HighWaterMark, marks: t.Any) -> None:
        with no_room():
            write(self, marks)

    with monkeypatch.context() as patch:
        patch.setattr(HighWaterMark, "_write", refusing)
        words = (f"set {set_id} is committed, but high-water mark {mark}", "make room there")
        refusal(lambda: dumped.call("backup_set", state="committed", set_id=set_id), dumped, *words)
        refusal(lambda: dumped.call("backup_set", state="open"), dumped, f"high-water mark {mark}", "make room there")
    assert mark.read_bytes() == before and [name for name in os.listdir(mark.parent) if name.endswith(".new")] == []
    assert dumped.sets()[-1] == set_id
    assert not dumped.call("backup_set", state="committed", set_id=set_id)["changed"] and mark.read_bytes() != before
    assert dumped.call("backup_set_verify")["checks"][1]["verdict"] == "pass"


@pytest.mark.mutation
@pytest.mark.parametrize("key", ["report.json", "junit.xml", "report.json.sig", "0000000004.json"])
def test_full_disk_while_a_report_is_written(scene: Scene, full_at: FullAt, key: str) -> None:
    head = access.open_repository(scene.access()).head
    with full_at(key):
        refusal(lambda: _report(scene), scene, str(scene.repository), "the file size limit is reached")
    assert unfinished(scene) == [] and access.open_repository(scene.access()).head == head
    assert _report(scene)["journal_head"].startswith("4-") and scene.call("backup_set_verify")["verdict"] == "pass"


def _report(scene: Scene) -> Result:
    return drill_reports.of_scene(scene, drill_reports.found(scene.sets()[-1]))


@pytest.mark.mutation
def test_full_or_missing_directory_for_temporary_files(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
        process.Child(["true"]).finish()  # this needs no free space
        for act in (lambda: process.run(["true"]), lambda: scene.call("backup_set", state="open")):
            refusal(act, scene, f"temporary files in {tmp_path / 'gone'}", "set TMPDIR to another directory")
    with no_room():
        refusal(lambda: process.run(["cat"], data=b"signed"), scene, "temporary files in ", "make room there")
    assert process.run(["cat"], data=b"x" * 300_000) == b"x" * 300_000
    assert scene.call("backup_set", state="open")["changed"]


# ---- real file systems


class Disk:
    """A small file system, if root may mount one; else a folder, and a limit on the size of its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.error: type[BackupError] = NoRoom if ROOT else StorageError
        self.words = "the disk is full; make room" if ROOT else "the file size limit is reached; raise it (ulimit -f)"
        folder.mkdir(mode=0o755)
        if ROOT:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=0755", "tmpfs", str(folder)], check=True)

    def free(self) -> int:
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    @contextlib.contextmanager
    def almost_full(self, left: int) -> t.Iterator[None]:
        """Leave `left` bytes of free space, or limit each file to a small part of them."""
        if not ROOT:
            with no_room(left >> 4):
                yield
            return
        filler = self.folder / "filler"
        with open(filler, "wb") as out:
            os.posix_fallocate(out.fileno(), 0, self.free() - left)
        try:
            yield
        finally:
            filler.unlink()

    @contextlib.contextmanager
    def read_only(self, repository: Path) -> t.Iterator[None]:
        """Make the whole file system read-only, or only that folder."""
        if ROOT:
            subprocess.run(["mount", "-o", "remount,ro", str(self.folder)], check=True)
        else:
            repository.chmod(0o555)
        try:
            yield
        finally:
            if ROOT:
                subprocess.run(["mount", "-o", "remount,rw", str(self.folder)], check=True)
            else:
                repository.chmod(0o700)

    def close(self) -> None:
        if ROOT:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> t.Iterator[Disk]:
    made = Disk(tmp_path / "disk")
    yield made
    made.close()


@pytest.fixture
def on_disk(disk: Disk, caracal_database: TwinCluster) -> Scene:
    """Return a scene with its folders on the small disk, and an empty repository."""
    made = scenes.make(disk.folder / "scene", caracal_database.info.socket_dir)
    made.call("backup_set", state="open", create_repository=True)
    return made


@pytest.mark.mutation
def test_dump_to_disk_that_fills_up_creates_no_set(on_disk: Scene, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalStore, "free_bytes", lambda _self: None)  # otherwise the preflight would report it
    with disk.almost_full(128 << 10):
        refusal(lambda: on_disk.call("pg_encrypted_dump", set_id=ID), on_disk, str(on_disk.repository), disk.words, error=disk.error)
    assert not on_disk.files("sets/*/parts/*") and on_disk.sets() == []
    # The parallel workers were killed when one found the disk full. They may leave unfinished objects.
    on_disk.call("backup_set", state="aborted", set_id=ID)
    assert on_disk.files("sets/**/*") == [] and [path for path in unfinished(on_disk) if not path.startswith("objects/")] == []
    assert on_disk.backup(set_id=ID)["bytes"] > 256 << 10 and on_disk.sets() == [ID]


@pytest.mark.mutation
def test_read_only_repository_is_reported_with_a_remedy(on_disk: Scene, disk: Disk, tmp_path: Path) -> None:
    elsewhere = {"high_water_mark": str(tmp_path / "mark")}
    on_disk.backup(**elsewhere)
    remedy = "mount it writable" if ROOT else "run as the owner"
    with disk.read_only(on_disk.repository):
        for check_mode in (True, False):
            refusal(lambda mode=check_mode: on_disk.call("backup_set", check_mode=mode, state="open", **elsewhere), on_disk, remedy)
            refusal(lambda mode=check_mode: on_disk.call("pg_encrypted_dump", check_mode=mode, set_id=ID, **elsewhere), on_disk, remedy)
        assert on_disk.call("backup_set_verify", **elsewhere)["verdict"] == "pass"
    on_disk.backup(set_id=ID, **elsewhere)
    assert len(on_disk.sets()) == 2


@pytest.mark.mutation
def test_failed_sandbox_on_full_disk_removes_its_files(server_install: server_binaries.Install, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(Path(sandbox_path()))
    spec = SandboxSpec(str(disk.folder / "box"), server_install)
    try:
        with disk.almost_full(4 << 20), pytest.raises((StorageError, StageFailed)) as raised:
            lifecycle.create(spec)
        assert spec.directory in raised.value.msg and "\n" not in raised.value.msg
        assert os.listdir(disk.folder) == []
    finally:
        disk.close()
        disk.folder.rmdir()
