# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import stat
import threading
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, StorageError, TamperedData, VersionMismatch
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import creation
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.journal import read
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.mark import FRESH, UNPROVEN, HighWaterMark
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from harness.users import only_root


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
    assert not [name for name in os.listdir(world.folder) if name.endswith(".new")]


@pytest.mark.mutation
def test_a_journal_that_was_rolled_back_is_refused(world, mark: HighWaterMark, tmp_path: Path) -> None:
    shutil.copytree(world.store.location, tmp_path / "old")
    world.append()
    mark.advance(world.journal())
    before = Path(mark.path).read_bytes()
    shutil.rmtree(world.store.location)
    shutil.copytree(tmp_path / "old", world.store.location)
    for act in (mark.check, mark.advance):
        with pytest.raises(TamperedData, match=r"was rolled back: it ends at 1-[0-9a-f]{16}, but .* records 2-") as caught:
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
    with pytest.raises(TamperedData, match=r"was forked: it has entry 2-.* records 2-"):
        mark.check(world.journal())


@pytest.fixture
def other(world, keys: Path, tmp_path: Path):
    """Return a second repository of the same deployment."""
    made = type(world)(tmp_path, keys)
    made.store = LocalStore(str(tmp_path / "other"))
    made.create()
    return made


@pytest.mark.mutation
def test_a_repository_that_was_exchanged_as_a_whole_is_refused(world, other, mark: HighWaterMark) -> None:
    """It has another ID, and a host that knows the deployment has seen none of its entries."""
    mark.advance(world.journal())
    before = Path(mark.path).read_bytes()
    journal = other.journal()
    for act in (mark.check, mark.advance, lambda journal: mark.advance(journal, dry=True)):
        with pytest.raises(TamperedData, match=f"records repository {world.load().id} of deployment prod.*remove") as caught:
            act(journal)
        assert "\n" not in caught.value.msg and journal.repository_id in caught.value.msg
    assert Path(mark.path).read_bytes() == before
    Path(mark.path).unlink()
    assert mark.check(journal) == UNPROVEN


@pytest.mark.no_false_alarm
def test_a_file_of_a_host_that_knew_two_repositories_before_is_read(world, other, mark: HighWaterMark) -> None:
    mark.advance(world.journal())
    marks = mark._read()
    mark._write({**marks, other.load().id: ("prod", other.journal().head)})
    assert mark.check(world.journal()) == mark.check(other.journal()) == FRESH
    assert len(mark.repositories_of("prod")) == 2


@pytest.mark.no_false_alarm
def test_one_file_holds_repositories_of_several_deployments(world, keys: Path, mark: HighWaterMark, tmp_path: Path) -> None:
    journals = of_deployments(world, keys, tmp_path, 1)
    mark.advance(world.journal())
    assert mark.check(journals[0]) == UNPROVEN
    mark.advance(journals[0])
    assert mark.check(world.journal()) == mark.check(journals[0]) == FRESH


def of_deployments(world, keys: Path, folder: Path, count: int):
    found = []
    for number in range(count):
        one = type(world)(folder, keys)
        one.store = LocalStore(str(folder / f"other-{number}"))
        one.allowed.write_text(one.allowed.read_text() + f"backup@d{number} {one.public('backup')}\n")
        signer = one.signer("backup", f"backup@d{number}")
        repository = creation.create(one.store, f"d{number}", signer, "host-1", one.clock, verifier=one.verifier)
        found.append(read(repository, one.verifier))
    return found


@pytest.mark.mutation
def test_two_at_once_do_not_undo_each_other(world, keys: Path, mark: HighWaterMark, tmp_path: Path) -> None:
    journals = of_deployments(world, keys, tmp_path, 6)
    threads = [threading.Thread(target=mark.advance, args=(journal,)) for journal in journals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [mark.repositories_of(f"d{number}") for number in range(6)] == [[journal.repository_id] for journal in journals]


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"", TamperedData, "is not strict JSON"),
        (b"{}", TamperedData, "has no type"),
        (b'{"type":"high-water-mark","format":2,"repositories":{}}', VersionMismatch, "format 2"),
        (b'{"type":"high-water-mark","format":1,"repositories":{"a":1}}', TamperedData, "is not an object"),
        (
            b'{"type":"high-water-mark","format":1,"repositories":{"a":{"deployment":"x","sequence":-1,"sha256":""}}}',
            TamperedData,
            "negative",
        ),
    ],
)
def test_file_that_is_not_a_mark_is_refused(world, mark: HighWaterMark, content: bytes, kind: type[BackupError], words: str) -> None:
    Path(mark.path).write_bytes(content)
    with pytest.raises(kind, match=words) as caught:
        mark.advance(world.journal())
    assert mark.path in caught.value.msg and Path(mark.path).read_bytes() == content


def test_directory_of_mark_is_private_to_its_user(world, tmp_path: Path) -> None:
    mark = HighWaterMark(str(tmp_path / "new" / "mark"))
    mark.advance(world.journal(), dry=True)
    assert not (tmp_path / "new").exists()
    mark.advance(world.journal())
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700 and mark.check(world.journal()) == FRESH


@pytest.mark.mutation
def test_unwritable_path_is_reported(world, tmp_path: Path) -> None:
    for path in (tmp_path / "missing" / "too" / "mark", tmp_path / "file" / "mark", tmp_path):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(StorageError, match="name a file that this user can write") as caught:
            HighWaterMark(str(path)).advance(world.journal())
        assert str(path) in caught.value.msg


@pytest.mark.mutation
def test_other_users_cannot_keep_mark_locked(world, mark: HighWaterMark) -> None:
    """A user who can open the directory, or any file in it, can lock it."""
    journal = world.journal()
    mark.advance(journal)
    world.append(journal=journal)
    folder = Path(mark.path).parent
    with contextlib.ExitStack() as held:
        for place in (folder, *(one for one in folder.iterdir() if one.stat().st_mode & 0o044)):
            descriptor = os.open(place, os.O_RDONLY)
            held.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        one = threading.Thread(target=mark.advance, args=(journal,), daemon=True)
        one.start()
        one.join(10)
        ended = not one.is_alive()
    one.join()
    assert ended and mark.check(journal) == FRESH


@pytest.mark.mutation
@only_root
def test_lock_owned_by_another_user_is_refused(world, mark: HighWaterMark) -> None:
    """The user who created the file before us could keep it locked."""
    place = Path(f"{mark.path}.lock")
    place.touch(0o644)
    os.chown(place, 64999, 64999)
    with pytest.raises(StorageError, match=re.escape(str(place))):
        mark.advance(world.journal())
    assert not os.path.exists(mark.path)


@pytest.mark.mutation
def test_lock_that_is_a_pipe_is_refused_without_waiting(world, mark: HighWaterMark) -> None:
    os.mkfifo(f"{mark.path}.lock")
    with pytest.raises(StorageError):
        mark.advance(world.journal())
