# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files are replay files, and which lines in them are events."""

from __future__ import annotations

import datetime
import json
import tracemalloc
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import replay
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import NOT_APPLICABLE, PASS, WARN
from scenes.replay_folders import event

LINE = event("one").rstrip(b"\n")


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("name", ["pending-1-1767323045123456789.ndjson", "pending-7-1.restored-0123abcd.ndjson", "pending-1-1.2.ndjson"])
def test_names_of_pending_files(name: str) -> None:
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
def test_names_that_are_not_pending_files(name: str) -> None:
    assert not replay.is_pending(name)


def test_adds_a_tag_to_a_file_name() -> None:
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
def test_lines_that_are_not_events(line: bytes) -> None:
    assert replay.is_event(LINE) and not replay.is_event(line)


@pytest.mark.parametrize("step", [1, 7, 4096, 1 << 22])
def test_lines_are_counted_in_chunks_of_any_size(step: int) -> None:
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


NOW = datetime.datetime(2026, 6, 10, 12, tzinfo=datetime.timezone.utc)


def doubts(*changes: dict[str, t.Any]) -> replay.Doubts:
    """Return the doubts about events with these changes, in a deployment with zone-1."""
    found = replay.Doubts({"zone-1"}, NOW)
    for number, changed in enumerate(changes):
        found.take("sts/audit-replay/pending-1-1.ndjson", json.dumps({**json.loads(event(f"e{number}")), **changed}).encode())
    return found


HEALTHY_TIMES = [
    "2026-06-04T10:11:12.123456789Z",
    "2026-06-04T10:11:12Z",
    "2026-06-04T12:11:12.5+02:00",
    "2020-01-01T00:00:00Z",
    "2026-06-11T11:59:59Z",
]


@pytest.mark.no_false_alarm
def test_events_written_by_services_are_not_doubtful() -> None:
    found = doubts(*({"occurred_at": text} for text in HEALTHY_TIMES))
    assert (found.events, found.doubtful) == (len(HEALTHY_TIMES), 0)
    assert replay.judge(found.to_dict()).verdict == PASS


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2019-12-31T23:59:59.999Z", replay.EARLY),
        ("0001-01-01T00:00:00Z", replay.EARLY),
        ("2026-06-11T12:00:01Z", replay.AHEAD),
        ("9999-12-31T23:59:59Z", replay.AHEAD),
        ("2026-02-30T10:11:12Z", replay.NO_TIME),
        ("2026-06-04T10:11:12", replay.NO_TIME),
        ("2026-06-04", replay.NO_TIME),
        ("now", replay.NO_TIME),
        ("", replay.NO_TIME),
        ("2026-06-04T10:11:12Z\n", replay.NO_TIME),
        ("2026-06-04T10:11:12+25:00", replay.NO_TIME),
    ],
)
def test_an_impossible_time_is_named_with_event_zone_and_file(text: str, why: str) -> None:
    found = doubts({}, {"occurred_at": text})
    assert (found.events, found.doubtful) == (2, 1)
    assert found.first == [{"event": "e1", "zone": "zone-1", "file": "sts/audit-replay/pending-1-1.ndjson", "why": why}]
    assert replay.judge(found.to_dict()).verdict == WARN


@pytest.mark.mutation
@pytest.mark.parametrize("zone", ["zone-2", "", "ZONE-1"])
def test_an_unknown_zone_is_named(zone: str) -> None:
    (one,) = doubts({"zone_id": zone}, {}).first
    assert (one["event"], one["zone"], one["why"]) == ("e0", zone, replay.NO_ZONE)


@pytest.mark.mutation
def test_hostile_names_are_sanitized_and_limited_in_number() -> None:
    found = doubts(*[{"id": "\x1b[2J\n" * 1000, "zone_id": "elsewhere"}] * (replay.NOTED_EVENTS + 5))
    assert (found.doubtful, len(found.first)) == (replay.NOTED_EVENTS + 5, replay.NOTED_EVENTS)
    assert found.first[0]["event"].isprintable() and len(found.first[0]["event"]) <= 100


@pytest.mark.parametrize("found", [{}, {"events": 0, "doubtful": 0, "first": []}], ids=["a note of an earlier version", "no event"])
def test_not_applicable_without_events(found: dict[str, t.Any]) -> None:
    check = replay.judge(found)
    assert (check.verdict, check.required) == (NOT_APPLICABLE, False)
