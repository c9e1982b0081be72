# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replay directories with invalid entries: each is archived or named, no link is followed, and none stops the others."""

from __future__ import annotations

import json
import os
import socket
import typing as t
from pathlib import Path

import pyrage
import pytest
import zstandard

from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.replay import replay_reading, replay_union
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import replay
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.volume import live
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.volume.live import Directory, LiveFile
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError, PermissionMissing, StageFailed
from scenes.replay_folders import ReplayFolder, event, folder
from scenes.scene import Scene
from unit.plugins.module_utils._assets.replay.test_replay_volumes import A, B, C, D, archive, commit, open_id, restore

NOBODY = 65534


@pytest.fixture
def bad(tmp_path: Path) -> ReplayFolder:
    return folder(tmp_path / "source")


def sts(of: ReplayFolder | Path) -> dict[str, t.Any]:
    return {"reading": 1, "volumes": [{"service": "sts", "path": str(of.volume if isinstance(of, ReplayFolder) else of)}]}


def details(scene: Scene, set_id: str) -> dict[str, t.Any]:
    sealed = (scene.repository / "sets" / set_id / "replay" / "sts-1.1.json.zst.age").read_bytes()
    packed = pyrage.decrypt(sealed, [pyrage.x25519.Identity.from_str(scene.identity.read_text().strip())])
    found: dict[str, t.Any] = json.loads(zstandard.ZstdDecompressor().decompressobj().decompress(packed))
    return found


@pytest.mark.mutation
def test_restores_lines_that_are_not_events_unchanged(dumped: Scene, bad: ReplayFolder, tmp_path: Path) -> None:
    garbage = bytes(range(256)) + b"\n"
    bad.file(A, event("a-1") + garbage + b'{"id":"no event"}\n' + event("a-2"))
    bad.file(B, event("b-1", 2 << 20))
    bad.file(C, b"[" * 100_000 + b"\n")
    warnings: list[str] = []
    found = archive(dumped, 1, bad, warnings=warnings)["volumes"][0]
    assert (found["files"], found["unparsable"], found["oversized"]) == (3, 2, 1)
    assert [word for word in ("not audit events", "1 MiB or more") if not any(word in one for one in warnings)] == []
    assert not any("padding" in one for one in warnings)
    set_id = commit(dumped, bad)
    noted = {one["name"]: one["noted"] for one in details(dumped, set_id)["files"]}
    assert noted == {A: [2, 3, 4], B: [1], C: [1]}  # the garbage contains one newline
    copy = folder(tmp_path / "copy")
    restore(dumped, copy)
    assert copy.content() == bad.content()


@pytest.mark.mutation
def test_reports_unknown_files_and_follows_no_link(
    dumped: Scene, bad: ReplayFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad.file(A, event("a-1"))
    bad.file(".ready-123", b"")
    bad.file("notes.txt", b"kept here by somebody")
    (bad.path / "pending-1-2.ndjson").symlink_to("/etc/passwd")
    (bad.path / "pending-1-3.ndjson").mkdir()
    os.mkfifo(bad.path / "pending-1-4.ndjson")
    monkeypatch.chdir(bad.path)  # the path of a socket has at most 107 bytes
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("pending-1-5.ndjson")
    Path(os.fsdecode(os.fsencode(bad.path) + b"/pending-\xff\n.ndjson")).write_bytes(event("odd"))
    warnings: list[str] = []
    found = archive(dumped, 1, bad, warnings=warnings)["volumes"][0]
    listening.close()
    assert (found["files"], found["unknown"]) == (1, 6)
    assert len(warnings) == 6 and not any("\n" in one or ".ready" in one for one in warnings)
    assert any(r"pending-\udcff\n.ndjson is not a replay file" in one for one in warnings)
    set_id = commit(dumped, bad)
    inventory = details(dumped, set_id)
    assert len(inventory["unknown"]) == 6 and [one["name"] for one in inventory["files"]] == [A]
    copy = folder(tmp_path / "copy")
    restore(dumped, copy)
    assert copy.content() == {A: event("a-1")}


@pytest.mark.mutation
def test_refuses_missing_and_linked_directories(dumped: Scene, bad: ReplayFolder, tmp_path: Path) -> None:
    usual = {"set_id": open_id(dumped)}
    dumped.refused("replay_volume_archive", OptionError, f"{tmp_path}/gone does not exist", **usual, **sts(tmp_path / "gone"))
    file = bad.file(A, event("a-1"))
    dumped.refused("replay_volume_archive", OptionError, f"{file} is not a directory", **usual, **sts(file))
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "audit-replay").symlink_to(bad.path)
    dumped.refused("replay_volume_archive", OptionError, "is a symbolic link", **usual, **sts(tmp_path / "linked"))


@pytest.mark.mutation
def test_unreadable_file_is_reported_with_a_remedy(bad: ReplayFolder) -> None:
    """If the test runs as root, it uses a child process without privileges."""
    path = bad.file(A, event("a-1"), mode=0 if os.geteuid() else 0o600)
    for one in (bad.path, *bad.path.parents):
        if one.stat().st_uid == os.geteuid() and str(one).count("/") > 1:
            one.chmod(one.stat().st_mode | 0o055)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            with Directory(str(bad.volume), replay.FOLDER) as directory:
                directory.open(A)
            os.write(write_end, b"opened")
        except PermissionMissing as exc:
            os.write(write_end, exc.msg.encode())
        finally:
            os._exit(0)
    os.close(write_end)
    os.waitpid(child, 0)
    with open(read_end, "rb") as stream:
        message = stream.read().decode()
    assert f" cannot read {path}; " in message and f"run as uid {path.stat().st_uid} or as root" in message


@pytest.mark.mutation
def test_shrinking_file_is_read_again_and_then_refused(dumped: Scene, bad: ReplayFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it shrinks once, the second try reads the new content. If it shrinks repeatedly, the run stops without a part."""
    path = bad.file(A, event("a-1") * 3)
    whole_lines, times = LiveFile.whole_lines, [1]

    def shrinking(self: LiveFile) -> int:
        found = whole_lines(self)
        if times[0]:
            times[0] -= 1
            os.truncate(path, max(0, self.about.st_size - len(event("a-1"))))
        return found

    monkeypatch.setattr(LiveFile, "whole_lines", shrinking)
    assert archive(dumped, 1, bad)["volumes"][0]["lines"] == 2
    times[0] = 99
    with pytest.raises(StageFailed, match=r"became shorter while it was read, which the service never does"):
        archive(dumped, 2, bad)
    assert not dumped.files("sets/*/parts/replay.sts-1.2.json") and not dumped.files("sets/*/replay/*.2.*")
    assert not [path for path in dumped.files() if path.rpartition("/")[2].startswith(".")]


@pytest.mark.no_false_alarm
def test_counts_a_file_drained_between_listing_and_opening(dumped: Scene, bad: ReplayFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    bad.file(A, event("a-1"))
    bad.file(B, event("b-1"))
    opening = Directory.open

    def late(self: Directory, name: str) -> LiveFile | None:
        (bad.path / B).unlink(missing_ok=True)
        return opening(self, name)

    monkeypatch.setattr(live.Directory, "open", late)
    found = archive(dumped, 1, bad)["volumes"][0]
    assert (found["files"], found["drained"]) == (1, 1)
    assert details(dumped, open_id(dumped))["drained"] == [B]


@pytest.mark.mutation
def test_does_not_follow_a_file_replaced_with_a_link(dumped: Scene, bad: ReplayFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    bad.file(A, event("a-1"))
    opening = Directory.open

    def late(self: Directory, name: str) -> LiveFile | None:
        (bad.path / A).unlink()
        (bad.path / A).symlink_to("/etc/passwd")
        return opening(self, name)

    monkeypatch.setattr(live.Directory, "open", late)
    found = archive(dumped, 1, bad)["volumes"][0]
    assert (found["files"], found["unknown"]) == (0, 1)


@pytest.mark.mutation
def test_refuses_more_files_than_an_inventory_can_name(dumped: Scene, bad: ReplayFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_reading, "FILES_LIMIT", 2)
    for name in (A, B, C):
        bad.file(name, event(name))
    with pytest.raises(Exception, match="contains 3 files, over the limit; restart the service"):
        archive(dumped, 1, bad)
    (bad.path / C).unlink()
    assert archive(dumped, 1, bad)["volumes"][0]["files"] == 2


@pytest.mark.no_false_alarm
def test_line_still_being_written_is_not_incomplete(dumped: Scene, bad: ReplayFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that grows between two checks is still being written, and its event is not in this set."""
    archive(dumped, 1, bad)
    bad.file(D, event("d-1") + event("d-2")[:20])
    monkeypatch.setattr(replay_reading.time, "sleep", lambda _seconds: bad.append(D, event("d-2")[20:]))
    found = archive(dumped, 2, bad)["volumes"][0]
    assert (found["files"], found["lines"], found["incomplete"]) == (1, 1, 0)


@pytest.mark.mutation
def test_counts_more_unknown_files_than_an_inventory_can_list(
    dumped: Scene, bad: ReplayFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few of them are named and all are counted. Otherwise the set could be created and its replay files never be read."""
    bad.file(A, event("a-1"))
    for number in range(1100):
        (bad.path / f"{number:04d}{'x' * 200}").touch()
    monkeypatch.setattr(replay_union, "DETAILS_LIMIT", 230_000)
    warnings: list[str] = []
    found = archive(dumped, 1, bad, warnings=warnings)["volumes"][0]
    assert found["unknown"] == 1100 and len(warnings) == 11 and "1090 more files" in warnings[-1]
    set_id = commit(dumped, bad)
    assert len(details(dumped, set_id)["unknown"]) == 1000
    copy = folder(tmp_path / "copy")
    restore(dumped, copy)
    assert copy.content() == {A: event("a-1")}
