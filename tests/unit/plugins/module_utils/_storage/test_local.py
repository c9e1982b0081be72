# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import signal
import stat
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, ObjectExists, ObjectMissing, StorageError
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage import folders
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from harness.waiting import eventually

NOBODY = 65534
KEY = "sets/a/manifest.json"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "repository"))


def files(store: LocalStore) -> list[str]:
    """Return all files below the root, including temporary files."""
    return sorted(str(path.relative_to(store.location)) for path in Path(store.location).rglob("*") if not path.is_dir())


def in_child(work: t.Callable[[], str], *, uid: int | None = None) -> str:
    """Return the result of `work` in a child process, which may have another uid or other limits."""

    def run(sender: t.Any) -> None:
        if uid is not None and os.geteuid() == 0:
            os.setresuid(uid, uid, uid)
        sender.send(work())

    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=run, args=(sender,))
    child.start()
    sender.close()
    answer: str = receiver.recv()
    child.join()
    return answer


def error_of(work: t.Callable[[], object]) -> str:
    try:
        work()
    except BackupError as exc:
        return f"{type(exc).__name__}: {exc.msg}"
    return "no error"


def test_stored_object_is_readable_and_private(store: LocalStore) -> None:
    assert store.put(KEY, b"content").size == 7
    assert store.read(KEY) == b"content"
    assert store.stat(KEY) == store.list("sets")[0]
    with store.open(KEY) as stream:
        assert stream.read() == b"content"
    assert stat.S_IMODE(os.stat(store.path(KEY)).st_mode) == 0o600
    for folder in ("", "sets", "sets/a"):
        assert stat.S_IMODE(os.stat(store.path(folder)).st_mode) == 0o700
    assert files(store) == [KEY]


def test_a_stream_is_published_whole_or_not_at_all(store: LocalStore) -> None:
    with store.writer("objects/audit") as out:
        assert out.write(b"a" * 100_000) == 100_000
        out.write(b"b")
        assert store.list("") == []
        assert out.publish("objects/audit/x").size == 100_001
    assert store.read("objects/audit/x") == b"a" * 100_000 + b"b"
    with pytest.raises(RuntimeError, match="stage died"), store.writer("objects/audit") as out:
        out.write(b"half")
        raise RuntimeError("stage died")
    assert files(store) == ["objects/audit/x"]


@pytest.mark.mutation
def test_nothing_is_overwritten(store: LocalStore) -> None:
    store.put(KEY, b"first")
    with pytest.raises(ObjectExists, match=r"manifest.json already exists; a repository never overwrites"):
        store.put(KEY, b"second")
    assert store.read(KEY) == b"first" and files(store) == [KEY]


@pytest.mark.mutation
def test_one_of_several_concurrent_writes_succeeds(store: LocalStore) -> None:
    won: list[int] = []
    start = threading.Barrier(8)

    def put(number: int) -> None:
        start.wait()
        try:
            store.put(KEY, b"%d" % number)
            won.append(number)
        except ObjectExists:
            return

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 and store.read(KEY) == b"%d" % won[0] and files(store) == [KEY]


def test_a_listing_is_sorted_and_without_what_no_key_can_name(store: LocalStore) -> None:
    for key in ("journal/2", "journal/1", "journal/a/3", "journals/4", "other"):
        store.put(key, b"")
    Path(store.path("journal/.x.partial")).write_bytes(b"")
    Path(store.path("journal/with blank")).write_bytes(b"")
    os.mkfifo(store.path("journal/.fifo"))
    assert [one.key for one in store.list("journal")] == ["journal/1", "journal/2", "journal/a/3"]
    assert [one.key for one in store.list("journal/")] == ["journal/1", "journal/2", "journal/a/3"]
    assert len(store.list("")) == 5
    assert store.list("nowhere") == []
    for after in ("journal", "journal/1", "journal/10", "journal/2", "journal/a", "journal/a/3", "journal/z", "k", "a", "sets"):
        assert store.list("", after) == [one for one in store.list("") if one.key > after]


def test_deleted_object_is_gone_and_second_delete_succeeds(store: LocalStore) -> None:
    store.put(KEY, b"")
    store.delete(KEY)
    store.delete(KEY)
    store.delete("never/was")
    assert store.stat(KEY) is None and store.stat("never/was") is None


@pytest.mark.mutation
def test_a_missing_object_is_named(store: LocalStore) -> None:
    for read in (store.read, store.open):
        with pytest.raises(ObjectMissing, match=r"sets/a/manifest.json does not exist"):
            read(KEY)


@pytest.mark.mutation
def test_an_object_over_its_limit_is_refused(store: LocalStore) -> None:
    store.put(KEY, b"12345")
    assert store.read(KEY, limit=5) == b"12345"
    with pytest.raises(StorageError, match="larger than 4 bytes"):
        store.read(KEY, limit=4)


@pytest.mark.mutation
def test_missing_parent_of_repository_is_reported(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "not-mounted" / "repository"))
    for write in (lambda: store.put(KEY, b""), lambda: store.check_writable(probe=False), lambda: store.check_writable(probe=True)):
        message = error_of(write)
        assert message.startswith("ObjectMissing") and f"{tmp_path}/not-mounted does not exist" in message and "another copy" not in message
    assert os.listdir(tmp_path) == []


def test_the_place_of_a_new_repository_is_made_with_all_above_it(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "srv" / "backup" / "caracal"))
    store.make_place(dry=True)
    assert store.free_bytes() and os.listdir(tmp_path) == []
    store.make_place()
    made = [tmp_path / "srv", tmp_path / "srv" / "backup", tmp_path / "srv" / "backup" / "caracal"]
    assert [(one.stat().st_mode & 0o7777, one.stat().st_uid) for one in made] == [(0o700, os.geteuid())] * 3
    store.put(KEY, b"x")
    store.make_place()
    assert store.read(KEY) == b"x"


@pytest.mark.mutation
def test_a_place_that_cannot_be_made_is_refused_before_and_then(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for above in ("file", "link"):
        store = LocalStore(str(tmp_path / above / "backup" / "caracal"))
        for dry in (True, False):
            with pytest.raises(StorageError):
                store.make_place(dry=dry)
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]


@pytest.mark.mutation
@pytest.mark.parametrize("act", ["read", "open", "stat", "list", "put", "delete"])
@pytest.mark.parametrize("where", ["sets", "sets/a", KEY])
def test_a_symbolic_link_inside_is_never_followed(store: LocalStore, tmp_path: Path, where: str, act: str) -> None:
    outside = LocalStore(str(tmp_path / "outside"))
    outside.put(KEY, b"secret")
    link = Path(store.path(where))
    link.parent.mkdir(parents=True)
    link.symlink_to(outside.path(where))
    acts: dict[str, t.Callable[[], object]] = {
        "read": lambda: store.read(KEY),
        "open": lambda: store.open(KEY),
        "stat": lambda: store.stat(KEY),
        "list": lambda: store.list("sets/a"),
        "put": lambda: store.put("sets/a/new", b""),
        "delete": lambda: store.delete(KEY),
    }
    message = error_of(acts[act])
    if where == KEY and act in ("put", "delete", "list"):
        assert message == "no error"  # the link itself is deleted, does not matter, or is listed
    else:
        assert message.startswith(("StorageError", "NoObject")) and ("symbolic link" in message or "not a regular file" in message)
    assert files(outside) == [KEY] and outside.read(KEY) == b"secret"


def test_the_repository_itself_may_be_reached_over_a_link(store: LocalStore, tmp_path: Path) -> None:
    store.put(KEY, b"x")
    (tmp_path / "link").symlink_to(store.location)
    assert LocalStore(str(tmp_path / "link")).read(KEY) == b"x"


@pytest.mark.mutation
def test_a_pipe_does_not_make_us_wait(store: LocalStore) -> None:
    store.put("sets/x", b"")
    os.mkfifo(store.path("sets/pipe"))
    for act in (lambda: store.read("sets/pipe"), lambda: store.stat("sets/pipe")):
        assert "sets/pipe is not a regular file" in error_of(act)


@pytest.mark.mutation
def test_write_beyond_file_size_limit_leaves_nothing(store: LocalStore) -> None:
    store.put("other", b"")

    def fill() -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
        return error_of(lambda: store.put(KEY, b"x" * (1 << 17)))

    assert in_child(fill) == f"StorageError: {store.path('sets/a')}: the file size limit is reached; raise it (ulimit -f)"
    assert files(store) == ["other"]


@pytest.mark.mutation
def test_directory_without_permission_is_reported(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    place = tmp_path / "repository"
    place.mkdir()
    place.chmod(0o555)

    def seen(act: t.Callable[[LocalStore], object]) -> str:
        # Other users may not be able to enter the parents of a test's directory.
        os.chdir(tmp_path)
        return in_child(lambda: error_of(lambda: act(LocalStore("repository"))), uid=NOBODY)

    before = os.getcwd()
    try:
        for act in (
            lambda store: store.put("x", b""),
            lambda store: store.check_writable(probe=True),
            lambda store: store.check_writable(probe=False),
        ):
            assert seen(act) == "StorageError: repository: permission denied; run as the owner of the repository"
    finally:
        os.chdir(before)


@pytest.mark.mutation
def test_killed_write_leaves_no_object(store: LocalStore) -> None:
    store.put("other", b"")

    def write() -> None:
        with store.writer("sets/a") as out:
            out.write(b"x" * 100_000)
            time.sleep(600)

    child = multiprocessing.get_context("fork").Process(target=write)
    child.start()
    eventually(lambda: os.path.getsize(store.path(files(store)[-1])))
    assert len(files(store)) == 2
    os.kill(child.pid or 0, signal.SIGKILL)
    child.join()
    assert [one.key for one in store.list("")] == ["other"]
    assert store.put(KEY, b"again").size == 5


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full; make room"),
        (errno.EDQUOT, "the quota is used up"),
        (errno.EROFS, "the file system is read-only; mount it writable"),
        (errno.EPERM, "on a file system with hard links"),
        (errno.EIO, "Input/output error; check the disk"),
    ],
)
def test_system_error_is_reported_with_remedy(number: int, words: str) -> None:
    with pytest.raises(StorageError, match=words) as caught, folders.translated_errors("/srv/backup/x"):
        raise OSError(number, os.strerror(number))
    assert caught.value.msg.startswith("/srv/backup/x: ") and "\n" not in caught.value.msg


def test_write_checks_leave_nothing_behind(store: LocalStore) -> None:
    store.check_writable(probe=False)
    store.check_writable(probe=True)
    assert not os.path.exists(store.location)
    store.put("x", b"")
    store.check_writable(probe=True)
    assert files(store) == ["x"]
    assert (store.free_bytes() or 0) > 0


def test_clear_takes_what_a_killed_writer_left_and_spares_the_rest(store: LocalStore) -> None:
    store.put("sets/one/a", b"1")
    store.put("sets/two/a", b"2")
    writer = store.writer("sets/one/deep")
    writer.write(b"never published")
    assert store.clear("sets/one", dry=True) == 2
    assert [one.key for one in store.list("")] == ["sets/one/a", "sets/two/a"]
    assert store.clear("sets/one") == 2
    assert store.clear("sets/one") == 0
    writer.discard()
    assert [one.key for one in store.list("")] == ["sets/two/a"]
    assert not (Path(store.location) / "sets" / "one").exists()


def test_store_clock_reads_time_of_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a file system without unnamed files (O_TMPFILE)."""
    store = LocalStore(str(tmp_path / "repository"))
    real = os.open
    for flags in (0, os.O_TMPFILE):

        def without(path: t.Any, how: int, *more: t.Any, flags: int = flags, **named: t.Any) -> int:
            if flags and how & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, "no such thing")
            return real(path, how, *more, **named)

        monkeypatch.setattr(os, "open", without)
        before = time.time()
        found = store.clock()
        assert found is not None and before - 1 <= found.timestamp() <= time.time() + 1
    monkeypatch.undo()
    assert os.listdir(tmp_path) == []


def test_a_place_that_cannot_be_written_has_no_clock(tmp_path: Path) -> None:
    assert LocalStore(str(tmp_path / "no" / "where")).clock() is None
