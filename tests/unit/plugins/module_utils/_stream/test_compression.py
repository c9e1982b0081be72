# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import compression


def packed(*parts: bytes) -> bytes:
    packer = compression.compressor()
    return b"".join([packer.compress(part) for part in parts] + [packer.flush()])


class Dribble(io.BytesIO):
    """A source that returns a few bytes at a time, as a pipe may do."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 7, 7))


@given(st.lists(st.binary(max_size=300), max_size=20), st.integers(1, 400))
def test_stream_is_read_back_unchanged(parts: list[bytes], size: int) -> None:
    reader = compression.Decompressor(io.BytesIO(packed(*parts)), "x")
    found = []
    while chunk := reader.read(size):
        assert len(chunk) <= size
        found.append(chunk)
    assert b"".join(found) == b"".join(parts)
    assert reader.read(size) == b""


def test_stream_read_in_small_pieces_gives_same_data() -> None:
    data = os.urandom(1000) * 40
    assert compression.Decompressor(Dribble(packed(data)), "x").read_all(len(data)) == data


def test_small_data_in_one_go() -> None:
    assert compression.decompress(compression.compress(b"rows\n" * 9), "x", 45) == b"rows\n" * 9


def test_zstd_itself_reads_ours_and_we_read_its() -> None:
    data = os.urandom(5000) * 100
    assert subprocess.run(["zstd", "-dc"], input=packed(data), capture_output=True, check=True).stdout == data
    theirs = subprocess.run(["zstd", "-T0", "-c"], input=data, capture_output=True, check=True).stdout
    assert compression.decompress(theirs, "x", len(data)) == data


@pytest.mark.mutation
def test_every_early_end_is_found() -> None:
    whole = packed(os.urandom(200))
    for length in range(len(whole)):
        with pytest.raises(TamperedData, match=r"^x: the zstd stream ends too early; use another copy"):
            compression.decompress(whole[:length], "x", 1000)


@pytest.mark.mutation
@pytest.mark.parametrize("damage", ["cut", "flipped", "longer"])
def test_damaged_stream_raises_again_at_the_next_read(damage: str) -> None:
    whole = packed(os.urandom(1000))
    damaged = {"cut": whole[:-9], "flipped": whole[:-1] + bytes([whole[-1] ^ 1]), "longer": whole + b"x"}[damage]
    reader = compression.Decompressor(io.BytesIO(damaged), "x")
    for _try in range(2):
        with pytest.raises(TamperedData, match=r"^x: "):
            while reader.read(1 << 20):
                continue


@pytest.mark.mutation
@pytest.mark.parametrize("size", [10, 1 << 20])
@pytest.mark.parametrize("more", [b"\0", b"x" * 3000, packed(b"a second frame")])
def test_bytes_after_the_end_are_found(more: bytes, size: int) -> None:
    with pytest.raises(TamperedData, match=r"^x: there is trailing data after its zstd frame"):
        compression.decompress(packed(os.urandom(size)) + more, "x", size)


@pytest.mark.mutation
def test_every_flipped_bit_is_found() -> None:
    data = b"row\t1\n" * 30
    whole = bytearray(packed(data))
    for position in range(len(whole) * 8):
        whole[position // 8] ^= 1 << position % 8
        # A few bits of the frame header have no effect on the output.
        with contextlib.suppress(TamperedData):
            assert compression.decompress(bytes(whole), "x", 1000) == data
        whole[position // 8] ^= 1 << position % 8


@pytest.mark.mutation
def test_data_that_is_not_zstd_stream_is_named_in_error() -> None:
    with pytest.raises(TamperedData, match=r"^objects/x: not a zstd stream"):
        compression.decompress(b"PGDMP" * 10, "objects/x", 100)


@pytest.mark.mutation
def test_more_than_the_limit_is_refused() -> None:
    with pytest.raises(TamperedData, match=r"^x: more than 99 bytes when unpacked"):
        compression.decompress(compression.compress(b"a" * 100), "x", 99)


def test_a_frame_that_grows_without_end_stays_within_memory() -> None:
    small = packed(*[bytes(1 << 20)] * 400)
    assert len(small) < 1 << 16
    reader = compression.Decompressor(io.BytesIO(small), "x")
    tracemalloc.start()
    total = 0
    while chunk := reader.read(1 << 20):
        total += len(chunk)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 400 << 20
    assert peak < 100 << 20
