# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files staged on a host are fetched complete and unchanged or not at all, even if the host gives wrong answers."""

from __future__ import annotations

import base64
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.replay import replay_stage_fetch
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    ObjectExists,
    OptionError,
    StorageError,
    TamperedData,
)

SET = "20260102T030405Z-abcd"
ARCHIVE = f"sets/{SET}/replay/sts-1.1.tar.zst.age"
DETAILS = f"sets/{SET}/replay/sts-1.1.json.zst.age"
PART = f"sets/{SET}/parts/replay.sts-1.1.json"
PIECE = 8


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_stage_fetch, "PIECE", PIECE)


class Host:
    """A host with staged files. `answers` replace results of its module, and `asked` counts the calls."""

    def __init__(self, folder: Path, files: t.Mapping[str, bytes]) -> None:
        self.stage, self.dest = folder / "stage", folder / "dest"
        self.asked: list[tuple[str, int]] = []
        self.answer: t.Callable[[str, int], t.Mapping[str, t.Any]] = self.honest
        for name, content in files.items():
            (self.stage / name).parent.mkdir(parents=True, exist_ok=True)
            (self.stage / name).write_bytes(content)

    def honest(self, key: str, offset: int) -> t.Mapping[str, t.Any]:
        return replay_stage_fetch.run(self.invocation([key], piece={"key": key, "offset": offset}))

    def ask(self, key: str, offset: int) -> t.Mapping[str, t.Any]:
        self.asked.append((key, offset))
        assert len(self.asked) < 100, "asked for ever"
        return self.answer(key, offset)

    def invocation(self, staged: t.Sequence[str], *, most: int = 1000, check: bool = False, **more: t.Any) -> Invocation:
        given = {"set_id": SET, "reading": 1, "stage": str(self.stage), "staged": list(staged)}
        return Invocation(complete(replay_stage_fetch.Options, {**given, "max_bytes": most, **more}), check, lambda _text: None)

    def bring(self, staged: t.Sequence[str], **more: t.Any) -> dict[str, t.Any]:
        return replay_stage_fetch.bring(self.invocation(staged, **more), self.ask, "elsewhere", lambda: str(self.dest))

    def brought(self) -> dict[str, bytes]:
        """Return all files in the destination, including partial ones."""
        return {str(path.relative_to(self.dest)): path.read_bytes() for path in self.dest.rglob("*") if path.is_file()}


def test_fetches_complete_files_in_pieces(tmp_path: Path) -> None:
    files = {ARCHIVE: bytes(range(20)), DETAILS: b"8 bytes!", PART: b""}
    host = Host(tmp_path, files)
    result = host.bring(list(files))
    assert host.brought() == files
    assert (result["changed"], result["files"], result["bytes"]) == (True, list(files), 28)
    assert host.asked == [(ARCHIVE, 0), (ARCHIVE, 8), (ARCHIVE, 16), (DETAILS, 0), (DETAILS, 8), (PART, 0)]
    assert all(path.stat().st_mode & 0o77 == 0 for path in host.dest.rglob("*") if path.is_file())


def test_check_mode_fetches_nothing(tmp_path: Path) -> None:
    host = Host(tmp_path, {ARCHIVE: b"x"})
    result = host.bring([ARCHIVE], check=True)
    assert (result["changed"], result["files"], result["bytes"], host.asked, host.dest.exists()) == (True, [ARCHIVE], 0, [], False)


@pytest.mark.mutation
@pytest.mark.parametrize(
    "name",
    [
        "../../.ssh/authorized_keys",
        "/etc/cron.d/x",
        f"sets/{SET}/manifest.json",
        f"sets/{SET}/replay/../replay/sts-1.1.tar.zst.age",
        f"sets/{SET}/replay/sts-1.2.tar.zst.age",
        f"sets/{SET}/replay/sts-../x.1.tar.zst.age",
        f"sets/{SET}/replay/redis-1.1.tar.zst.age",
        f"sets/{SET}/replay/sts-1.1.tar.zst.age\n",
        f"sets/{SET}/parts/sts-1.1.json",
        "sets/20260102T030405Z-zzzz/replay/sts-1.1.tar.zst.age",
        "",
    ],
)
def test_a_name_that_no_replay_archive_has(tmp_path: Path, name: str) -> None:
    host = Host(tmp_path, {ARCHIVE: b"x"})
    with pytest.raises(TamperedData):
        host.bring([ARCHIVE, name])
    assert host.asked == []
    with pytest.raises(TamperedData):
        host.honest(name, 0)


@pytest.mark.mutation
@pytest.mark.parametrize("staged", [[ARCHIVE, ARCHIVE], [ARCHIVE] * (replay_stage_fetch.MOST_NAMES + 1)])
def test_refuses_duplicate_and_too_many_names(tmp_path: Path, staged: list[str]) -> None:
    host = Host(tmp_path, {ARCHIVE: b"x"})
    with pytest.raises(TamperedData):
        host.bring(staged)
    assert host.asked == []


@pytest.mark.mutation
@pytest.mark.parametrize("most", [19, 8, 0])
def test_refuses_more_bytes_than_the_limit(tmp_path: Path, most: int) -> None:
    host = Host(tmp_path, {ARCHIVE: bytes(20)})
    with pytest.raises(StorageError):
        host.bring([ARCHIVE], most=most)
    assert host.brought() == {}


def test_fetches_as_many_bytes_as_the_limit(tmp_path: Path) -> None:
    files = {ARCHIVE: bytes(20), PART: bytes(4)}
    host = Host(tmp_path, files)
    host.bring(list(files), most=24)
    assert host.brought() == files
    with pytest.raises(StorageError):
        Host(tmp_path / "again", files).bring(list(files), most=23)


@pytest.mark.mutation
def test_a_file_that_never_ends(tmp_path: Path) -> None:
    host = Host(tmp_path, {})
    host.answer = lambda _key, _offset: {"data": base64.b64encode(bytes(PIECE)).decode()}
    with pytest.raises(StorageError):
        host.bring([ARCHIVE], most=100)
    assert (len(host.asked), host.brought()) == (13, {})


@pytest.mark.mutation
@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"data": None},
        {"data": ["QUJD"]},
        {"data": "no base64!"},
        {"data": "QUJ"},
        {"data": "ÄÖ=="},
        {"data": base64.b64encode(bytes(PIECE + 8)).decode()},
    ],
)
def test_refuses_an_answer_that_is_not_a_valid_piece(tmp_path: Path, answer: dict[str, t.Any]) -> None:
    host = Host(tmp_path, {})
    host.answer = lambda _key, _offset: answer
    with pytest.raises(TamperedData):
        host.bring([ARCHIVE])
    assert host.brought() == {}


@pytest.mark.mutation
def test_error_of_a_failing_host_is_short_and_printable(tmp_path: Path) -> None:
    host = Host(tmp_path, {})
    host.answer = lambda _key, _offset: {"failed": True, "msg": "gone\x1b[2J" + "!" * 5000}
    with pytest.raises(StorageError) as caught:
        host.bring([ARCHIVE])
    assert len(caught.value.msg) < 1000 and caught.value.msg.isprintable() and "gone" in caught.value.msg


@pytest.mark.mutation
def test_a_link_in_the_stage_is_not_followed(tmp_path: Path) -> None:
    host = Host(tmp_path, {PART: b"{}"})
    (tmp_path / "secret").write_bytes(b"secret")
    (host.stage / ARCHIVE).parent.mkdir()
    (host.stage / ARCHIVE).symlink_to(tmp_path / "secret")
    with pytest.raises(StorageError):
        host.bring([ARCHIVE])
    assert host.brought() == {}


@pytest.mark.mutation
def test_nothing_is_overwritten(tmp_path: Path) -> None:
    host = Host(tmp_path, {ARCHIVE: b"new"})
    (host.dest / ARCHIVE).parent.mkdir(parents=True)
    (host.dest / ARCHIVE).write_bytes(b"old")
    with pytest.raises(ObjectExists):
        host.bring([ARCHIVE])
    assert host.brought() == {ARCHIVE: b"old"}


@pytest.mark.mutation
def test_module_refuses_to_run_without_its_action(tmp_path: Path) -> None:
    host = Host(tmp_path, {ARCHIVE: b"x"})
    with pytest.raises(OptionError):
        replay_stage_fetch.run(host.invocation([ARCHIVE]))
