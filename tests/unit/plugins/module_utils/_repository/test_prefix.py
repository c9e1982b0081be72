# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of a verified journal that a host keeps: it is used while it matches, and otherwise ignored."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import stat
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem, TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._files.folder import TEMPORARY, Folder
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import journal as journals
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout, prefix
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.decisions import EVERYTHING, TIME, Correction
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.fields import timestamp
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.journal import Journal
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.mark import HighWaterMark
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.prefix import Prefix
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.base import READ_LIMIT
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore

KINDS = (("checkpoint", "backup"), ("drill", "drill"), ("checkpoint", "backup"), ("hold", "operator"))


class Watched(LocalStore):
    """Records the keys that are read."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.reads: list[str] = []

    def read(self, key: str, limit: int = READ_LIMIT) -> bytes:
        self.reads += [key] if key.endswith(".json") and key.startswith("journal/") else []
        return super().read(key, limit)


@pytest.fixture
def mark(tmp_path: Path) -> HighWaterMark:
    (tmp_path / "host").mkdir()
    return HighWaterMark(str(tmp_path / "host" / "mark"))


@pytest.fixture
def store(world) -> Watched:
    world.store = Watched(world.store.location)
    return world.store


def known(world, mark: HighWaterMark) -> Prefix | None:
    return mark.verified(world.load(), world.verifier)


def call(world, mark: HighWaterMark) -> Journal:
    """Read the journal like a module that verifies nothing else."""
    return journals.read(world.load(), world.verifier, prefix=known(world, mark))


def fill(world, mark: HighWaterMark, count: int = 4) -> None:
    for number in range(count):
        kind, role = KINDS[number % len(KINDS)]
        world.append(kind, role, body={"number": number, "float": 0.1, "text": "ünï"})
        world.clock.add(minutes=1)
    mark.advance(world.journal())


def same(one: Journal, other: Journal) -> bool:
    kinds = {entry.kind for entry in other.entries}
    return (
        (one.head, one.unsigned, one.as_written()) == (other.head, other.unsigned, other.as_written())
        and list(one.entries) == list(other.entries)
        and all(list(one.of_kind(kind)) == list(other.of_kind(kind)) for kind in kinds)
        and [list(entry.subjects) for entry in one.entries] == [list(entry.subjects) for entry in other.entries]
    )


def files(mark: HighWaterMark) -> dict[str, bytes]:
    """Return all files except the lock."""
    return {one.name: one.read_bytes() for one in Path(mark.path).parent.iterdir() if one.suffix != ".lock"}


def paths(world, mark: HighWaterMark) -> tuple[Path, Path]:
    index, rows = prefix.paths(mark.path, world.load().id)
    return Path(index), Path(rows)


@pytest.mark.no_false_alarm
def test_a_call_reads_the_head_and_what_is_new(world, mark: HighWaterMark, store: Watched) -> None:
    fill(world, mark)
    full, store.reads = world.journal(), []
    assert same(call(world, mark), full)
    assert store.reads == [layout.entry_key(5)]
    made, store.reads = world.append(journal=call(world, mark)), []
    journal = call(world, mark)
    assert store.reads == [layout.entry_key(5), layout.entry_key(6)] and journal.entries[-1] == made
    mark.advance(journal)
    store.reads = []
    journal = call(world, mark)
    assert same(journal, world.journal()) and len(journal.prefix or ()) == 6
    assert store.reads[0] == layout.entry_key(6)


@pytest.mark.no_false_alarm
def test_entries_are_a_sequence_as_without_it(world, mark: HighWaterMark) -> None:
    fill(world, mark)
    world.append()
    journal, full = call(world, mark), world.journal()
    assert list(journal.entries[1:4]) == list(full.entries[1:4]) and journal.entries[-1] == full.entries[-1]
    assert list(reversed(journal.entries)) == list(reversed(full.entries)) and len(journal.entries) == len(full.entries)
    assert list(journal.of_kind("checkpoint", "hold")) == list(full.of_kind("checkpoint", "hold"))
    with pytest.raises(IndexError):
        journal.entries[len(full.entries)]


def test_prefix_files_are_next_to_mark_and_private_to_user(world, mark: HighWaterMark) -> None:
    fill(world, mark)
    index, rows = paths(world, mark)
    assert set(files(mark)) == {"mark", index.name, rows.name}
    assert {stat.S_IMODE(one.stat().st_mode) for one in (index, rows)} == {0o600}
    before = rows.stat().st_ino
    world.append()
    mark.advance(call(world, mark))
    assert rows.stat().st_ino == before, "what is new goes behind what is there"


@pytest.mark.no_false_alarm
def test_check_mode_and_a_first_look_write_nothing(world, mark: HighWaterMark) -> None:
    mark.advance(world.journal(), dry=True)
    assert files(mark) == {} and known(world, mark) is None
    fill(world, mark)
    before = files(mark)
    world.append()
    mark.advance(call(world, mark), dry=True)
    assert files(mark) == before


def shorter(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def altered(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def replaced(path: Path, old: bytes, new: bytes) -> None:
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))


def linked(path: Path) -> None:
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


BROKEN: dict[str, t.Callable[[t.Any, HighWaterMark, Path, Path], t.Any]] = {
    "others may write the index": lambda _world, _mark, index, _rows: index.chmod(0o602),
    "a group may write the index": lambda _world, _mark, index, _rows: index.chmod(0o620),
    "others may write the rows": lambda _world, _mark, _index, rows: rows.chmod(0o602),
    "another format": lambda _world, _mark, index, _rows: replaced(index, b'"format": 2', b'"format": 3'),
    "other kinds": lambda _world, _mark, index, _rows: replaced(index, b'"taken-back"', b'"taken-bacK"'),
    "another repository": lambda world, _mark, index, _rows: replaced(index, world.load().id.encode(), b"0" * 32),
    "another deployment": lambda _world, _mark, index, _rows: replaced(index, b'"prod"', b'"test"'),
    "an empty index": lambda _world, _mark, index, _rows: index.write_bytes(b""),
    "an index without records": lambda _world, _mark, index, _rows: index.write_bytes(index.read_bytes().partition(b"\n")[0] + b"\n"),
    "an index of another format": lambda _world, _mark, index, _rows: index.write_bytes(b"\0" * 4096),
    "an altered record": lambda _world, _mark, index, _rows: altered(index, -300),
    "an altered digest": lambda _world, _mark, index, _rows: altered(index, -1),
    "truncated rows": lambda _world, _mark, _index, rows: shorter(rows),
    "empty rows": lambda _world, _mark, _index, rows: rows.write_bytes(b""),
    "rows of another run": lambda _world, _mark, _index, rows: altered(rows, 0),
    "no rows": lambda _world, _mark, _index, rows: rows.unlink(),
    "a link to an index": lambda _world, _mark, index, _rows: linked(index),
    "a pipe in the place of the rows": lambda _world, _mark, _index, rows: piped(rows),
    "another signer": lambda world, _mark, _index, _rows: world.allowed.write_text(
        world.allowed.read_text() + world.line("stranger").replace("stranger@", "drill@")
    ),
    "an end of a key": lambda world, _mark, _index, _rows: world.allowed.write_text(
        world.allowed.read_text().replace("backup@prod ", 'backup@prod valid-before="20991231Z"')
    ),
    "a key that is revoked": lambda world, _mark, _index, _rows: world.revoked.write_text(world.public("stranger") + "\n"),
}


@pytest.mark.mutation
@pytest.mark.parametrize("how", BROKEN)
def test_invalid_prefix_is_not_used_and_is_rebuilt(world, mark: HighWaterMark, store: Watched, how: str) -> None:
    fill(world, mark)
    BROKEN[how](world, mark, *paths(world, mark))
    assert known(world, mark) is None
    store.reads = []
    journal = call(world, mark)
    assert store.reads == [layout.entry_key(number) for number in range(1, 6)]
    world.append(journal=journal)
    mark.advance(journal)
    found = call(world, mark)
    assert len(found.prefix or ()) == 6 and same(found, world.journal())


@pytest.mark.mutation
def test_directory_in_place_of_index_is_not_an_error(world, mark: HighWaterMark) -> None:
    fill(world, mark)
    index, _rows = paths(world, mark)
    index.unlink()
    index.mkdir()
    mark.advance(call(world, mark))
    assert known(world, mark) is None and same(call(world, mark), world.journal())


@pytest.mark.mutation
def test_a_file_that_ends_earlier_is_a_shorter_beginning(world, mark: HighWaterMark, store: Watched) -> None:
    fill(world, mark)
    shorter(paths(world, mark)[0])
    journal = call(world, mark)
    assert len(journal.prefix or ()) == 4 and same(journal, world.journal())
    mark.advance(journal)
    assert len(known(world, mark) or ()) == 5


@pytest.mark.mutation
def test_a_row_that_was_altered_is_read_from_the_store(world, mark: HighWaterMark) -> None:
    fill(world, mark)
    altered(paths(world, mark)[1], -10)
    for use in (lambda journal: list(journal.entries), lambda journal: journal.of_kind("hold")[0], lambda journal: journal.as_written()):
        journal = call(world, mark)
        assert journal.prefix
        use(journal)
        assert journal.prefix is None and same(journal, world.journal())
    mark.advance(journal)
    journal = call(world, mark)
    assert same(journal, world.journal()) and journal.prefix


@pytest.mark.mutation
def test_an_altered_row_and_a_store_that_was_rolled_back_meanwhile(world, mark: HighWaterMark) -> None:
    fill(world, mark)
    altered(paths(world, mark)[1], -10)
    journal = call(world, mark)
    world.store.delete(layout.entry_key(5))
    with pytest.raises(TamperedData):
        list(journal.entries)
    assert journal.head.sequence == 5


@pytest.mark.mutation
@pytest.mark.parametrize("count", [3, 4, 6])
def test_a_mark_of_another_entry_is_not_its_mark(world, mark: HighWaterMark, tmp_path: Path, count: int) -> None:
    """The prefix and the mark come from different histories. The mark decides."""
    shutil.copytree(world.store.location, tmp_path / "old")
    fill(world, mark)
    kept = files(mark)
    shutil.rmtree(world.store.location)
    shutil.copytree(tmp_path / "old", world.store.location)
    Path(mark.path).unlink()
    fill(world, mark, count)
    for name, data in kept.items():
        if name != "mark":
            (Path(mark.path).parent / name).write_bytes(data)
    assert count == 6 or known(world, mark) is None, "of a mark behind it, the store tells"
    journal = call(world, mark)
    assert journal.prefix is None and same(journal, world.journal())
    mark.advance(journal)
    assert len(call(world, mark).prefix or ()) == count + 1


@pytest.mark.mutation
def test_without_a_mark_there_is_none(world, mark: HighWaterMark) -> None:
    fill(world, mark)
    Path(mark.path).unlink()
    assert known(world, mark) is None


@pytest.mark.no_false_alarm
def test_mark_ahead_of_prefix_is_found_in_later_entries(world, mark: HighWaterMark, store: Watched) -> None:
    """If a process is killed between the two writes, only the mark is written."""
    fill(world, mark)
    kept = files(mark)
    world.append()
    mark.advance(call(world, mark))
    for name, data in kept.items():
        if name != "mark":
            (Path(mark.path).parent / name).write_bytes(data)
    store.reads = []
    journal = call(world, mark)
    assert len(journal.prefix or ()) == 5 and store.reads == [layout.entry_key(5), layout.entry_key(6)]
    assert mark.check(journal) == "fresh"


@pytest.mark.mutation
def test_a_revoked_key_ends_what_it_signed(world, mark: HighWaterMark) -> None:
    fill(world, mark)
    world.revoked.write_text(world.public("drill") + "\n")
    with pytest.raises(KeyProblem, match="which is revoked"):
        call(world, mark)


@pytest.mark.mutation
def test_rollback_and_fork_are_reported_as_by_full_read(world, mark: HighWaterMark, tmp_path: Path) -> None:
    fill(world, mark, 2)
    shutil.copytree(world.store.location, tmp_path / "old")
    world.append()
    mark.advance(call(world, mark))
    shutil.rmtree(world.store.location)
    shutil.copytree(tmp_path / "old", world.store.location)
    assert known(world, mark)
    for again in range(2):
        messages = []
        for journal in (call(world, mark), world.journal()):
            with pytest.raises(TamperedData) as caught:
                mark.check(journal)
            messages.append(caught.value.msg)
        assert messages[0] == messages[1] and ("rolled back", "forked")[again] in messages[0]
        world.append("drill", "drill", journal=world.journal())


@pytest.mark.mutation
@pytest.mark.parametrize("number", [5, 6, 7])
def test_damage_at_or_after_kept_head_is_reported_as_by_full_read(world, mark: HighWaterMark, number: int) -> None:
    fill(world, mark)
    for _count in range(3):
        world.append()
    for change in (lambda path: altered(path, 20), Path.unlink):
        change(world.path(layout.entry_key(number)))
        messages = []
        for read in (lambda: call(world, mark), world.journal):
            with pytest.raises(TamperedData) as caught:
                read()
            messages.append(caught.value.msg)
        assert messages[0] == messages[1]


@pytest.mark.mutation
def test_altered_old_entry_is_found_only_by_a_full_read(world, mark: HighWaterMark) -> None:
    """This is the price of the prefix."""
    fill(world, mark)
    altered(world.path(layout.entry_key(3)), 20)
    assert call(world, mark).head.sequence == 5
    with pytest.raises(TamperedData, match=layout.entry_key(3)):
        world.journal()


@pytest.mark.no_false_alarm
def test_entry_dated_in_future_is_not_kept(world, mark: HighWaterMark) -> None:
    """Its time is checked again on each read, until that time has passed."""
    fill(world, mark)
    now = world.clock.now
    ahead = {**world.time(), "host": timestamp(now.replace(minute=now.minute + 5))}
    world.append(time=ahead)
    mark.advance(call(world, mark))
    assert len(known(world, mark) or ()) == 5
    for _minute in range(2):
        world.clock.add(minutes=2)
        assert same(call(world, mark), world.journal())
    world.clock.add(minutes=2)
    mark.advance(call(world, mark))
    assert len(known(world, mark) or ()) == 6 and same(call(world, mark), world.journal())


@pytest.mark.no_false_alarm
def test_under_a_clock_that_was_set_back_all_is_read(world, mark: HighWaterMark) -> None:
    fill(world, mark)
    world.clock.add(minutes=-3)
    assert known(world, mark) is None and same(call(world, mark), world.journal())


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("what", [TIME, EVERYTHING])
def test_correction_is_evaluated_without_reading_older_entries_again(world, mark: HighWaterMark, store: Watched, what: str) -> None:
    fill(world, mark)
    wrong = world.journal().entries[2]
    correction = Correction({wrong.sequence: wrong.sha256}, what, "x")
    world.append(entries.CORRECTION, "operator", subjects=correction.to_subjects(), body=correction.to_body())
    store.reads = []
    journal = call(world, mark)
    assert store.reads == [layout.entry_key(5), layout.entry_key(6)] and journal.prefix is None
    assert same(journal, world.journal())
    mark.advance(journal)
    world.append()
    journal = call(world, mark)
    assert len(journal.prefix or ()) == 6 and same(journal, world.journal())


@pytest.mark.mutation
@pytest.mark.parametrize("last", range(6))
def test_writer_stopped_at_any_point_leaves_usable_prefix(world, mark: HighWaterMark, monkeypatch: pytest.MonkeyPatch, last: int) -> None:
    """The disk is full after some bytes. The files left are the same as after a kill."""
    fill(world, mark)
    for _count in range(3):
        world.append()
    real, room = os.pwrite, [last * 150]

    def pwrite(descriptor: int, data: bytes, place: int) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "full")
        written = real(descriptor, data[: room[0]], place)
        room[0] -= written
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", pwrite)
        mark.advance(call(world, mark))
    journal = call(world, mark)
    assert len(journal.prefix or ()) >= 5 and same(journal, world.journal())
    mark.advance(journal)
    assert len(known(world, mark) or ()) == 8 and same(call(world, mark), world.journal())


@pytest.mark.mutation
def test_stopped_rewrite_keeps_journal_readable_and_next_run_completes_it(
    world, mark: HighWaterMark, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, mark)
    for stopped in range(1, 3):
        world.append()
        real, left = Folder.rename, [stopped]

        def rename(folder: Folder, name: str, new: str, real: t.Any = real, left: list[int] = left) -> None:
            left[0] -= 1
            if not left[0]:
                raise OSError(errno.EIO, "stopped")
            real(folder, name, new)

        with monkeypatch.context() as patch:
            patch.setattr(Folder, "rename", rename)
            prefix.keep(mark.path, world.journal())
        assert same(call(world, mark), world.journal())
    for number in range(2):
        (Path(mark.path).parent / f"{TEMPORARY}{number}").write_bytes(b"left by one that was killed")
    world.append()
    mark.advance(world.journal())
    assert len(known(world, mark) or ()) == 8 and len(files(mark)) == 3


@pytest.mark.no_false_alarm
def test_full_read_leaves_intact_prefix_unchanged(world, mark: HighWaterMark) -> None:
    fill(world, mark)
    before = files(mark)
    mark.advance(world.journal())
    assert files(mark) == before


@pytest.mark.mutation
def test_full_read_repairs_damaged_prefix(world, mark: HighWaterMark) -> None:
    """The damage to the row was not noticed before, because the row was not needed."""
    fill(world, mark)
    _index, rows = paths(world, mark)
    data = rows.read_bytes()
    rows.write_bytes(data[:60] + bytes([data[60] ^ 1]) + data[61:])
    mark.advance(world.journal())
    # The first bytes, which name the pair, are left out.
    assert rows.read_bytes()[32:] == data[32:]


@pytest.mark.mutation
def test_unwritable_directory_is_not_an_error(world, mark: HighWaterMark, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(world, mark)
    for name in prefix.paths(mark.path, world.load().id):
        Path(name).unlink()

    def refused(*_more: t.Any) -> None:
        raise OSError(errno.EROFS, "read-only")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "replacing", refused)
        mark.advance(world.journal())
    assert set(files(mark)) == {"mark"} and same(call(world, mark), world.journal())


def _work(world, path: str, role: str) -> None:
    for _count in range(4):
        mark = HighWaterMark(path)
        journal = call(world, mark)
        world.append("drill" if role == "drill" else "checkpoint", role, journal=journal)
        mark.advance(journal)


@pytest.mark.mutation
def test_several_at_once(world, mark: HighWaterMark) -> None:
    fill(world, mark)
    fork = multiprocessing.get_context("fork")
    running = [fork.Process(target=_work, args=(world, mark.path, role)) for role in ("backup", "drill", "backup")]
    for one in running:
        one.start()
    for one in running:
        one.join()
    assert [one.exitcode for one in running] == [0, 0, 0]
    found = call(world, mark)
    assert found.head.sequence == 17 and same(found, world.journal())
    assert found.prefix and len(found.prefix) >= 16


@pytest.mark.no_false_alarm
def test_reader_that_verified_less_does_not_shorten_kept_prefix(world, mark: HighWaterMark) -> None:
    fill(world, mark)
    early = [call(world, mark), world.journal()]
    world.append()
    late = call(world, mark)
    prefix.keep(mark.path, late)
    before = files(mark)
    for one in early:
        prefix.keep(mark.path, one)
    assert files(mark) == before
