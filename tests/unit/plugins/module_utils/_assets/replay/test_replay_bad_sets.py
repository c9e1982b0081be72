# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replay files from tampered sets or onto full disks, and killed restores: all files are restored or none."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import tarfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.replay import replay_reading
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import recipients
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.sealing import Opener
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.volume import target
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupError,
    NoRoom,
    StorageError,
    TamperedData,
    VerificationFailed,
    WrongIdentity,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import objects
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import tar
from scenes import scene as scenes
from scenes.replay_folders import ReplayFolder, event, folder
from scenes.scene import Scene
from system.hosts.test_full_disks import no_room
from unit.plugins.module_utils._assets.replay.test_replay_volumes import A, B, archive, commit, restore

SEED = 20261125
KILLS = 25


@pytest.fixture
def source(tmp_path: Path) -> ReplayFolder:
    made = folder(tmp_path / "source")
    made.file(A, event("a-1") + event("a-2"))
    made.file(B, event("b-1", 300_000))
    return made


@pytest.fixture
def copy(tmp_path: Path) -> ReplayFolder:
    return folder(tmp_path / "copy")


def refused(scene: Scene, copy: ReplayFolder, kind: type[BackupError], *words: str, **given: t.Any) -> None:
    """Run with and without check mode. No file exists afterwards, not even a partial one."""
    for check_mode in (True, False):
        with pytest.raises(BackupError) as raised:
            restore(scene, copy, check_mode=check_mode, **given)
        assert raised.type is kind and not [word for word in words if word not in raised.value.msg], raised.value.msg
        assert "\n" not in raised.value.msg
        scene.is_clean(raised.value.msg)
        assert copy.content() == {} and os.listdir(copy.volume) == ["audit-replay"]


def archived(scene: Scene, source: ReplayFolder) -> Path:
    """Commit a set and return the directory of its sealed archives."""
    archive(scene, 1, source)
    source.append(A, event("a-3"))
    archive(scene, 2, source)
    return scene.repository / "sets" / commit(scene) / "replay"


@pytest.mark.mutation
def test_refuses_the_wrong_identity(dumped: Scene, source: ReplayFolder, copy: ReplayFolder, tmp_path: Path) -> None:
    archived(dumped, source)
    scenes.new_identity(tmp_path / "other")
    refused(dumped, copy, WrongIdentity, ".json.zst.age: ", identity_files=[str(tmp_path / "other")])


@pytest.mark.mutation
def test_refuses_a_set_that_is_too_old(dumped: Scene, source: ReplayFolder, copy: ReplayFolder) -> None:
    archived(dumped, source)
    refused(dumped, copy, VerificationFailed, "hours old", max_age=-1)


@pytest.mark.mutation
@pytest.mark.parametrize("name", ["sts-1.1.tar.zst.age", "sts-1.2.tar.zst.age", "sts-1.1.json.zst.age", "sts-1.2.json.zst.age"])
def test_refuses_an_artifact_with_one_altered_byte(dumped: Scene, source: ReplayFolder, copy: ReplayFolder, name: str) -> None:
    path = archived(dumped, source) / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    refused(dumped, copy, TamperedData, name)


@pytest.mark.mutation
@pytest.mark.parametrize("name", ["sts-1.1.tar.zst.age", "sts-1.2.json.zst.age"])
def test_refuses_content_sealed_again_by_an_attacker(dumped: Scene, source: ReplayFolder, copy: ReplayFolder, name: str) -> None:
    """An attacker who knows the recipient can seal any content. Only the signed SHA-256 shows it."""
    path = archived(dumped, source) / name
    size = path.stat().st_size
    with Opener(path.open("rb"), recipients.load_identities([str(dumped.identity)]), name) as opened:
        plain = opened.read_all(1 << 24)
    store, to = LocalStore(str(path.parent)), recipients.load([], [str(dumped.recipients)])
    path.unlink()
    while not path.exists() or path.stat().st_size != size:  # an age header has a random length
        path.unlink(missing_ok=True)
        with objects.sealed(store, "", to) as (sealer, publish):
            sealer.write(plain)
            publish(name)
    refused(dumped, copy, TamperedData, name, "was altered")


def link(member: tar.Member) -> bytes:
    info = tarfile.TarInfo(member.name)
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/cron.d/x"
    return info.tobuf(tarfile.PAX_FORMAT)


HOSTILE: dict[str, t.Callable[[tar.Member], bytes]] = {
    "a link": link,
    "a path that leads out": lambda one: tar_header(dataclasses.replace(one, name="../pending-1-1.ndjson")),
    "a path from the root": lambda one: tar_header(dataclasses.replace(one, name="/tmp/pending-1-1.ndjson")),
    "a name that the inventory does not know": lambda one: tar_header(dataclasses.replace(one, name="pending-1-1.ndjson")),
    "a name twice": lambda one: tar_header(dataclasses.replace(one, name=A)),
}
tar_header = tar._header


@pytest.mark.mutation
@pytest.mark.parametrize("what", HOSTILE)
def test_a_signed_archive_that_holds(
    dumped: Scene, source: ReplayFolder, copy: ReplayFolder, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A compromised signer signs this too. The first file is valid and is still not restored."""
    with monkeypatch.context() as patch:
        patch.setattr(tar, "_header", lambda member: HOSTILE[what](member) if member.name == B else tar_header(member))
        archive(dumped, 1, source)
    commit(dumped, source)
    refused(dumped, copy, TamperedData, "sts-1.1.tar.zst.age")


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sha256": "0" * 64}, "does not match its inventory"),
        ({"size": 1}, "does not match its inventory"),
        ({"name": "pending-1-1.ndjson"}, "which is not in its inventory"),
        ({"name": "../pending-1-1.ndjson"}, "has a wrong name"),
        ({"name": ".restoring-x"}, "has a wrong name"),
        ({"mtime_ns": -1}, "has a negative mtime_ns"),
    ],
)
def test_refuses_a_signed_inventory_that_does_not_match(
    dumped: Scene, source: ReplayFolder, copy: ReplayFolder, monkeypatch: pytest.MonkeyPatch, change: dict[str, t.Any], words: str
) -> None:
    add = replay_reading.Reading._add

    def lying(self: replay_reading.Reading, *given: t.Any) -> None:
        add(self, *given)
        if len(self.found.files) == 2:
            self.found.files[-1] = dataclasses.replace(self.found.files[-1], **change)

    with monkeypatch.context() as patch:
        patch.setattr(replay_reading.Reading, "_add", lying)
        archive(dumped, 1, source)
    commit(dumped, source)
    refused(dumped, copy, TamperedData, words)


@pytest.mark.mutation
def test_full_disk_restores_no_files(dumped: Scene, source: ReplayFolder, copy: ReplayFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    archived(dumped, source)
    with no_room(100_000), pytest.raises(StorageError, match=r"the file size limit is reached; raise it"):
        restore(dumped, copy)
    assert copy.content() == {} and list(copy.path.iterdir()) == []
    none_left = os.statvfs_result((4096, 4096, 10, 1, 1, 10, 10, 10, 0, 255))
    with monkeypatch.context() as patch:
        patch.setattr(target.os, "fstatvfs", lambda _fd: none_left)
        refused(dumped, copy, NoRoom, f"{copy.path} has 0 MiB free, but the files need 1 MiB; free disk space")
    restore(dumped, copy)
    assert copy.content() == source.content()


@pytest.mark.mutation
def test_a_file_that_appears_meanwhile_is_not_overwritten(
    dumped: Scene, source: ReplayFolder, copy: ReplayFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    archived(dumped, source)
    publish = target.Target.publish

    def late(self: target.Target, name: str) -> None:
        copy.file(name, event("live"))
        publish(self, name)

    with monkeypatch.context() as patch:
        patch.setattr(target.Target, "publish", late)
        with pytest.raises(StorageError, match=r"during the restore; stop the service"):
            restore(dumped, copy)
    assert set(copy.content().values()) == {event("live")}
    restore(dumped, copy)
    assert set(source.content().values()) < set(copy.content().values())


@pytest.mark.mutation
def test_refuses_a_quarantine_path_that_is_a_link(dumped: Scene, source: ReplayFolder, copy: ReplayFolder, tmp_path: Path) -> None:
    """The owner of the volume must not redirect us to another directory."""
    source.append(A, b'{"torn')
    archived(dumped, source)
    source.append(A, b'{"torn')
    (tmp_path / "elsewhere").mkdir()
    Path(f"{copy.volume}.quarantine").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="it is a symbolic link"):
        restore(dumped, copy)
    assert copy.content() == {} and list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.mutation
def test_killed_restore_writes_only_whole_files_and_can_be_repeated(dumped: Scene, tmp_path: Path) -> None:
    """Every .ndjson file is complete at any time, and the next run needs no help."""
    source = folder(tmp_path / "source")
    for number in range(30):
        source.file(f"pending-1-{number}.ndjson", b"".join(event(f"{number}-{line}", 2000) for line in range(100)))
    archive(dumped, 1, source)
    commit(dumped, source)
    dice, killed, some = random.Random(SEED), 0, 0
    for number in range(KILLS):
        copy = folder(tmp_path / f"copy-{number}")
        child = os.fork()
        if child == 0:
            restore(dumped, copy)
            os._exit(0)
        prefix, wanted = (target.TEMPORARY, "pending-")[number % 2], dice.randrange(1, 30)
        while not (ended := os.waitpid(child, os.WNOHANG))[0] and len(list(copy.path.glob(f"{prefix}*"))) < wanted:
            continue
        if not ended[0]:
            os.kill(child, signal.SIGKILL)
            ended = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(ended[1])
        found = {name: content for name, content in copy.content().items() if not name.startswith(target.TEMPORARY)}
        assert found.items() <= source.content().items()
        some += 0 < len(found) < 30
        restore(dumped, copy)
        assert copy.content() == source.content()
    # Otherwise this test would prove nothing.
    assert killed >= KILLS // 2 and some > 0
