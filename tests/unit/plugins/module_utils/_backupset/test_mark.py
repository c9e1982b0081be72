# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._backupset.mark import FRESH, UNPROVEN, HighWaterMark
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, StorageError, TamperedData, VersionMismatch
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore


@pytest.fixture
def mark(tmp_path: Path) -> HighWaterMark:
    return HighWaterMark(str(tmp_path / "high-water-mark.json"))


@pytest.mark.no_false_alarm
def test_a_first_look_proves_nothing_and_a_later_one_does(world, mark: HighWaterMark) -> None:
    journal = world.journal()
    assert mark.check(journal) == UNPROVEN and not os.path.exists(mark.path)
    mark.advance(journal)
    assert mark.check(journal) == FRESH
    world.append(journal=journal)
    assert mark.check(journal) == FRESH
    mark.advance(journal)
    assert stat.S_IMODE(os.stat(mark.path).st_mode) == 0o600
    known = json.loads(Path(mark.path).read_bytes())["repositories"][journal.repository_id]
    assert known == {"deployment": "prod", "sequence": 2, "sha256": journal.head.sha256}
    assert mark.repositories_of("prod") == [journal.repository_id] and mark.repositories_of("test") == []
    assert [name for name in os.listdir(world.folder) if "high-water" in name] == ["high-water-mark.json"]


@pytest.mark.mutation
def test_a_journal_that_was_rolled_back_is_refused(world, mark: HighWaterMark, tmp_path: Path) -> None:
    shutil.copytree(world.store.location, tmp_path / "old")
    world.append()
    mark.advance(world.journal())
    before = Path(mark.path).read_bytes()
    shutil.rmtree(world.store.location)
    shutil.copytree(tmp_path / "old", world.store.location)
    for act in (mark.check, mark.advance):
        with pytest.raises(TamperedData, match=r"was rolled back: it ends at 1-[0-9a-f]{16}, and .* has seen 2-") as caught:
            act(world.journal())
        assert "\n" not in caught.value.msg
    assert Path(mark.path).read_bytes() == before


@pytest.mark.mutation
def test_a_journal_that_was_forked_is_refused(world, mark: HighWaterMark, tmp_path: Path) -> None:
    shutil.copytree(world.store.location, tmp_path / "old")
    world.append()
    mark.advance(world.journal())
    shutil.rmtree(world.store.location)
    shutil.copytree(tmp_path / "old", world.store.location)
    for _count in range(2):
        world.append("drill", "drill")
    with pytest.raises(TamperedData, match=r"was forked: its entry 2-.* is not 2-"):
        mark.check(world.journal())


@pytest.mark.no_false_alarm
def test_one_file_holds_several_repositories(world, keys: Path, mark: HighWaterMark, tmp_path: Path) -> None:
    other = type(world)(tmp_path, keys)
    other.store = LocalStore(str(tmp_path / "other"))
    other.create()
    mark.advance(world.journal())
    assert mark.check(other.journal()) == UNPROVEN
    mark.advance(other.journal())
    assert mark.check(world.journal()) == mark.check(other.journal()) == FRESH
    assert len(mark.repositories_of("prod")) == 2


@pytest.mark.mutation
def test_two_at_once_do_not_undo_each_other(world, keys: Path, mark: HighWaterMark, tmp_path: Path) -> None:
    journals = []
    for number in range(6):
        other = type(world)(tmp_path, keys)
        other.store = LocalStore(str(tmp_path / f"other-{number}"))
        other.create()
        journals.append(other.journal())
    threads = [threading.Thread(target=mark.advance, args=(journal,)) for journal in journals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(mark.repositories_of("prod")) == sorted(journal.repository_id for journal in journals)


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"", TamperedData, "is not strict JSON"),
        (b"{}", TamperedData, "has no type"),
        (b'{"type":"high-water-mark","format":2,"repositories":{}}', VersionMismatch, "format 2"),
        (b'{"type":"high-water-mark","format":1,"repositories":{"a":1}}', TamperedData, "is no object"),
        (
            b'{"type":"high-water-mark","format":1,"repositories":{"a":{"deployment":"x","sequence":-1,"sha256":""}}}',
            TamperedData,
            "negative",
        ),
    ],
)
def test_a_file_that_is_no_mark_is_refused(world, mark: HighWaterMark, content: bytes, kind: type[BackupError], words: str) -> None:
    Path(mark.path).write_bytes(content)
    with pytest.raises(kind, match=words) as caught:
        mark.advance(world.journal())
    assert mark.path in caught.value.msg and Path(mark.path).read_bytes() == content


@pytest.mark.mutation
def test_a_place_that_cannot_be_written_is_told(world, tmp_path: Path) -> None:
    for path in (tmp_path / "missing" / "mark", tmp_path / "file" / "mark", tmp_path):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(StorageError, match="name a file that this user may write") as caught:
            HighWaterMark(str(path)).advance(world.journal())
        assert str(path) in caught.value.msg
