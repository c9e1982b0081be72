# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.redis import commands, preflight, resp
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StageFailed, TamperedData

COMMANDS = some.lists(some.lists(some.binary(max_size=40), min_size=1, max_size=6), max_size=6)


class Dribble:
    """A source that returns as few bytes at once as a pipe may."""

    def __init__(self, data: bytes, step: int) -> None:
        self._stream, self._step = io.BytesIO(data), step

    def read(self, size: int) -> bytes:
        return self._stream.read(min(size, self._step))


def read(data: bytes, step: int = 1 << 20) -> list[list[bytes]]:
    return list(resp.commands(Dribble(data, step), "file"))


@given(COMMANDS, some.integers(1, 50))
def test_encoded_commands_are_read_back_unchanged(written: list[list[bytes]], step: int) -> None:
    assert read(b"".join(map(resp.encode, written)), step) == written


@pytest.mark.mutation
@given(COMMANDS.filter(bool), some.data())
def test_a_file_that_ends_early_is_refused_or_ends_between_commands(written: list[list[bytes]], data: t.Any) -> None:
    whole = [resp.encode(one) for one in written]
    joined = b"".join(whole)
    cut = data.draw(some.integers(0, len(joined) - 1))
    ends = [sum(map(len, whole[:count])) for count in range(len(whole) + 1)]
    if cut in ends:
        assert read(joined[:cut]) == written[: ends.index(cut)]
    else:
        with pytest.raises(TamperedData):
            read(joined[:cut])


@pytest.mark.mutation
@given(some.binary(min_size=1, max_size=60))
def test_noise_is_refused_or_is_what_we_would_write(noise: bytes) -> None:
    try:
        found = read(noise)
    except TamperedData as exc:
        assert "file contains" in exc.msg and "\n" not in exc.msg
    else:
        assert b"".join(map(resp.encode, found)) == noise


@pytest.mark.mutation
@pytest.mark.parametrize(
    "data",
    [
        b"FLUSHALL\r\n",
        b"+OK\r\n",
        b"*0\r\n",
        b"*-1\r\n",
        b"*1\n$1\na\n",
        b"*01\r\n$1\r\na\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n:1\r\n",
        b"*1\r\n$1\r\nab\r\n",
        b"*1\r\n$999999999\r\n",
        b"*99999\r\n",
        b"* 1\r\n$1\r\na\r\n",
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(TamperedData, match="use another copy"):
        read(data)


@pytest.mark.mutation
def test_an_entry_that_could_not_be_read_again_is_not_written() -> None:
    with pytest.raises(StageFailed, match="larger than a snapshot can contain"):
        resp.encode([b"XADD", b"x" * resp.COMMAND_LIMIT])
    with pytest.raises(StageFailed, match="larger than a snapshot can contain"):
        resp.encode([b""] * (resp.STRINGS_LIMIT + 1))


@pytest.mark.mutation
@given(some.lists(some.one_of(some.binary(max_size=8), some.sampled_from([b"XADD", b"XGROUP", b"CREATE", b"DEL", b"1-1"])), min_size=1))
def test_no_command_passes_but_ours(command: list[bytes]) -> None:
    try:
        key = commands.check(command, "file")
    except TamperedData as exc:
        assert "was not sent" in exc.msg
    else:
        assert command[0] in (b"XADD", b"XSETID", b"XGROUP", b"XCLAIM", b"RESTORE", b"DEL") and key in command


@pytest.mark.parametrize(
    ("version", "right"), [("7.0.0", True), ("8.2.3", True), ("7.2.4-rc1", True), ("6.2.14", False), ("", False), ("x", False)]
)
def test_versions_from_7_0_on_are_supported(version: str, right: bool) -> None:
    assert preflight.is_supported(version) is right
