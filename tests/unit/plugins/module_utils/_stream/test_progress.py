# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Progress that is written to a directory, and the end of a process that nothing watches any more."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import progress, workers
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream.progress import SILENT, Counted, Progress
from ansible_collections.caracal_ops.backup.plugins.plugin_utils import console_line
from harness.waiting import came

# A module that works forever.
WORK = """
import sys, time
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import progress, workers
def forever(told):
    told.count(5)
    while True:
        time.sleep(60)
with progress.shown(float(sys.argv[1])) as told:
    told.begin("dumping", 10)
    workers.run_all([(forever, (told,))], 1)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "looked-at"
    made.mkdir(mode=0o700)
    (made / progress.LEASE).touch()
    monkeypatch.setenv(progress.FOLDER, str(made))
    return made


@pytest.fixture
def cells() -> Progress:
    made = Progress(memoryview(bytearray(8 * 66)).cast("Q"))
    made.begin("dumping", 100)
    return made


def done(display: Progress) -> int:
    return int(display.line().split()[2])


def words(folder: Path) -> list[str]:
    status = folder / progress.STATUS
    return status.read_text(encoding="utf-8").split() if status.exists() else []


def count(display: Progress, size: int) -> None:
    for _time in range(1000):
        display.count(size)


def test_bytes_of_all_processes_and_threads_are_counted(folder: Path) -> None:
    with progress.shown() as display:
        display.begin("dumping", 100)
        workers.run_all([(count, (display, size)) for size in range(1, 5)], 4)
        threads = [threading.Thread(target=count, args=(display, 1)) for _number in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert done(display) == 14000
        assert came(lambda: words(folder) == ["dumping", "100", "14000"])
    assert display.line().strip() == b""


def test_progress_without_display_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(progress.FOLDER, raising=False)
    with progress.shown() as display:
        assert display is SILENT
        display.begin("dumping", 1)
        display.count(1)


def others_may_write(folder: Path) -> None:
    folder.chmod(0o770)


def a_link(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


def no_lease(folder: Path) -> None:
    (folder / progress.LEASE).unlink()


@pytest.mark.mutation
@pytest.mark.parametrize("damage", [others_may_write, a_link, no_lease])
def test_a_folder_that_is_not_ours_alone_is_left_alone(folder: Path, damage: t.Callable[[Path], None]) -> None:
    damage(folder)
    with progress.shown() as display:
        assert display is SILENT
    assert not words(folder)


def test_a_share_is_all_of_its_size_in_the_end(cells: Progress) -> None:
    with cells.share(50) as share:
        share.write(b"x" * 20)
        assert done(cells) == 20
        share.write(b"x" * 40)
        assert done(cells) == 50
    with cells.share(30):
        pass
    assert done(cells) == 80


@pytest.mark.mutation
def test_bytes_of_failed_share_are_not_counted(cells: Progress) -> None:
    with pytest.raises(ZeroDivisionError), cells.share(50) as share:
        share.write(b"x" * 20)
        raise ZeroDivisionError
    assert done(cells) == 0


@pytest.mark.mutation
@pytest.mark.parametrize("size", [-5, 1 << 80])
def test_impossible_size_still_gives_valid_progress_line(cells: Progress, size: int) -> None:
    """A server may report any size for its tables."""
    cells.begin("restoring", size)
    with cells.share(size):
        pass
    for _number in range(200):
        one = threading.Thread(target=cells.count, args=(size,))
        one.start()
        one.join()
    assert console_line.parse(cells.line().decode()) and len(cells.line()) == progress.LINE


def test_a_stream_counts_what_is_read(cells: Progress) -> None:
    with Counted(io.BytesIO(b"x" * 30), cells) as stream:
        assert len(stream.read(20)) == 20 and done(cells) == 20
        assert len(stream.read()) == 10
    assert done(cells) == 30


def at_work(term: float) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", WORK, str(term)], stdout=subprocess.PIPE, env=environment)


def ended(work: subprocess.Popen[bytes]) -> int:
    """Return the exit status, once no process has its output open."""
    assert work.communicate(timeout=120)[0] == b""
    return work.returncode


@pytest.mark.mutation
def test_without_its_lease_a_process_ends_with_all_that_it_started(folder: Path) -> None:
    work = at_work(600.0)
    assert came(lambda: words(folder) == ["dumping", "10", "5"])
    (folder / progress.LEASE).unlink()
    assert ended(work) == -signal.SIGTERM
    assert not folder.exists()


@pytest.mark.mutation
def test_a_lease_that_is_renewed_no_more_ends_it_too(folder: Path) -> None:
    work = at_work(1.0)
    assert came(lambda: bool(words(folder)))
    os.utime(folder / progress.LEASE)
    assert ended(work) == -signal.SIGTERM
    assert not folder.exists()


@pytest.mark.no_false_alarm
def test_one_that_was_never_renewed_ends_nothing(folder: Path) -> None:
    """The watcher may be unable to watch. The work then continues as if no progress had been requested."""
    work = at_work(0.2)
    try:
        assert came(lambda: bool(words(folder)))
        status = folder / progress.STATUS
        # The file is rewritten again and again, for longer than the term.
        times = {status.stat().st_mtime_ns}
        assert came(lambda: times.add(status.stat().st_mtime_ns) or len(times) > 20, pause=0.01)
        assert work.poll() is None
    finally:
        work.kill()
        ended(work)
