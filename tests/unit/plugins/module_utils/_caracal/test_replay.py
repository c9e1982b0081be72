# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is a replay file, and what is an event in it."""

from __future__ import annotations

import tracemalloc

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import replay
from scenes.replay_folders import event

LINE = event("one").rstrip(b"\n")


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("name", ["pending-1-1767323045123456789.ndjson", "pending-7-1.restored-0123abcd.ndjson", "pending-1-1.2.ndjson"])
def test_names_that_hold_events(name: str) -> None:
    assert replay.is_pending(name) and not replay.is_probe(name)


@pytest.mark.mutation
@pytest.mark.parametrize(
    "name",
    [
        ".ready-1",
        ".restoring-pending-1-1.ndjson",
        "pending-1-1.ndjson.tmp",
        "pending-.json",
        "x.ndjson",
        "pending-1-1.ndjson\n",
        "pending-\n.ndjson",
        "pending-\udcff.ndjson",
        "pending-/../x.ndjson",
        f"pending-{'1' * 201}.ndjson",
    ],
)
def test_names_that_do_not(name: str) -> None:
    assert not replay.is_pending(name)


def test_another_name_is_replayed_too() -> None:
    assert replay.with_tag("pending-1-2.ndjson", "restored-0123abcd") == "pending-1-2.restored-0123abcd.ndjson"


@pytest.mark.mutation
@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff" + LINE,
        LINE[:-1],
        LINE + LINE,
        LINE.replace(b'"zone_id":"zone-1"', b'"zone_id":7'),
        LINE.replace(b'"zone_id":"zone-1",', b""),
        b"[" * 50_000,
        b"\0" * 100,
    ],
)
def test_lines_that_the_service_would_skip(line: bytes) -> None:
    assert replay.is_event(LINE) and not replay.is_event(line)


@pytest.mark.parametrize("step", [1, 7, 4096, 1 << 22])
def test_lines_are_counted_however_they_come(step: int) -> None:
    almost = b"x" * (replay.LINE_LIMIT - 1)
    data = event("one") + b"no event\n" + almost + b"\n" + almost + b"x\n" + event("two") if step > 1000 else event("one") * 3 + b"no\n"
    lines = replay.Lines()
    for at in range(0, len(data), step):
        lines.feed(data[at : at + step])
    if step > 1000:
        assert (lines.count, lines.unparsable, lines.oversized, lines.noted) == (5, 2, 1, [2, 3, 4])
    else:
        assert (lines.count, lines.unparsable, lines.oversized, lines.noted) == (4, 1, 0, [4])


def test_a_line_without_end_and_lines_without_number_take_no_memory() -> None:
    lines, piece = replay.Lines(), b"x" * (1 << 20)
    tracemalloc.start()
    for _mebibyte in range(64):
        lines.feed(piece)
    lines.feed(b"\n" * 1_000_000)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32 << 20
    assert (lines.count, lines.oversized, len(lines.noted)) == (1_000_000, 1, replay.NOTED_LINES)
