# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import os
import threading

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import pipes


def test_copy_counts_what_it_moves() -> None:
    data = os.urandom(3 * pipes.CHUNK + 17)
    sink = io.BytesIO()
    assert pipes.copy(io.BytesIO(data), sink) == len(data)
    assert sink.getvalue() == data


@pytest.mark.mutation
@pytest.mark.parametrize("broken", ["source", "sink"])
def test_copy_hides_no_error(broken: str) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

        def write(self, data: object, /) -> int:
            raise OSError(28, "No space left on device")

    ends = (Broken(), io.BytesIO()) if broken == "source" else (io.BytesIO(b"x"), Broken())
    with pytest.raises(OSError, match="Input/output error" if broken == "source" else "No space left"):
        pipes.copy(*ends)


def test_a_large_pipe_takes_everything_that_is_written() -> None:
    read_end, write_end = pipes.large_pipe()
    data = os.urandom(5 << 20)
    found = bytearray()

    def drain() -> None:
        with open(read_end, "rb") as stream:
            found.extend(stream.read())

    thread = threading.Thread(target=drain)
    thread.start()
    pipes.write_all(write_end, data)
    os.close(write_end)
    thread.join()
    assert found == data


def test_enlarge_leaves_other_files_unchanged(tmp_path: os.PathLike[str]) -> None:
    with open(os.path.join(tmp_path, "file"), "w+b") as stream:
        pipes.enlarge(stream.fileno())
        pipes.write_all(stream.fileno(), b"as before")
        stream.seek(0)
        assert stream.read() == b"as before"


def test_writing_to_pipe_without_reader_is_an_error() -> None:
    read_end, write_end = pipes.large_pipe()
    os.close(read_end)
    with pytest.raises(BrokenPipeError):
        pipes.write_all(write_end, b"x")
    os.close(write_end)
