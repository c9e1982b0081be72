# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import tools
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    MissingDependency,
    StageFailed,
    StorageError,
    TamperedData,
)
from harness.waiting import eventually

NOWHERE = Server("/nowhere")


class Failing(io.BytesIO):
    """A sink or source that fails after `good` calls."""

    def __init__(self, error: BaseException, good: int = 1) -> None:
        super().__init__()
        self._error = error
        self._good = good

    def _count(self) -> None:
        if not self._good:
            raise self._error
        self._good -= 1

    def write(self, data: object, /) -> int:
        self._count()
        return 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._count()
        return b"x" * 1000


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "pg_tool"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def running(marker: str) -> bool:
    """Return whether a process with this argument runs."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes():
                return True
        except OSError:
            continue
    return False


def test_complete_tool_output_reaches_sink(tmp_path: Path) -> None:
    sink = io.BytesIO()
    assert tools.stream_out([script(tmp_path, "head -c 5000000 /dev/zero")], NOWHERE, "x", sink) == 5_000_000
    assert sink.getvalue() == bytes(5_000_000)


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("echo 'pg_dump: error: broken' >&2; exit 1", r"\(exit status 1\): pg_dump: error: broken"),
        ("kill -9 $$", r"\(signal 9\)"),
        ("kill -TERM $$", r"\(signal 15\)"),
    ],
)
def test_tool_that_dies_after_complete_output_is_an_error(tmp_path: Path, how: str, words: str) -> None:
    with pytest.raises(StageFailed, match=f"^database x: pg_tool failed {words}.*; check the server's log"):
        tools.stream_out([script(tmp_path, f"echo whole; {how}")], NOWHERE, "x", io.BytesIO())


@pytest.mark.mutation
@pytest.mark.parametrize("error", [StorageError("full"), OSError(28, "No space left"), KeyboardInterrupt()])
def test_a_sink_that_fails_ends_the_tool(tmp_path: Path, error: BaseException) -> None:
    marker = f"marker-{tmp_path.name}"
    argv = [script(tmp_path, "while :; do head -c 100000 /dev/zero; done"), marker]
    with pytest.raises(type(error)) as caught:
        tools.stream_out(argv, NOWHERE, "x", Failing(error))
    assert caught.value is error
    eventually(lambda: not running(marker))


@pytest.mark.mutation
@pytest.mark.parametrize("error", [TamperedData("x: not authentic"), OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_a_source_that_fails_ends_the_tool_before_it_can_succeed(tmp_path: Path, error: BaseException) -> None:
    marker = f"marker-{tmp_path.name}"
    done = tmp_path / "done"
    with pytest.raises(type(error)) as caught:
        tools.stream_in([script(tmp_path, f"cat > /dev/null; touch {done}"), marker], NOWHERE, "x", Failing(error))
    assert caught.value is error
    eventually(lambda: not running(marker))
    time.sleep(0.1)
    assert not done.exists()


@pytest.mark.mutation
def test_a_tool_that_dies_while_it_is_fed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match=r"^database x: pg_tool failed \(exit status 3\): pg_restore: error: no"):
        tools.stream_in(
            [script(tmp_path, "head -c 10 >/dev/null; echo 'pg_restore: error: no' >&2; exit 3")], NOWHERE, "x", io.BytesIO(bytes(9 << 20))
        )


def test_a_tool_may_leave_the_rest_but_all_of_it_is_read(tmp_path: Path) -> None:
    source = io.BytesIO(bytes(9 << 20))
    tools.stream_in([script(tmp_path, "head -c 10 >/dev/null; exit 0")], NOWHERE, "x", source)
    assert source.read(1) == b""


@pytest.mark.mutation
def test_input_that_tool_leaves_unread_must_be_authentic(tmp_path: Path) -> None:
    error = TamperedData("x: not authentic")
    with pytest.raises(TamperedData) as caught:
        tools.stream_in([script(tmp_path, "exit 0")], NOWHERE, "x", Failing(error, good=100_000))
    assert caught.value is error


@pytest.mark.mutation
def test_a_tool_that_is_missing_is_named() -> None:
    with pytest.raises(MissingDependency, match=r"^cannot run /nowhere/pg_dump"):
        tools.stream_out(["/nowhere/pg_dump"], NOWHERE, "x", io.BytesIO())
