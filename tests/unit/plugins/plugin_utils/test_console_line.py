# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines of progress: the texts that a host may send, and the part that the console prints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import progress
from ansible_collections.caracal_ops.backup.plugins.plugin_utils.console_line import Course, Status, duration, parse

MIB = 1 << 20


@pytest.mark.parametrize("phase", progress.PHASES)
def test_parses_the_progress_line_of_a_host(phase: str) -> None:
    cells = memoryview(bytearray(8 * 66)).cast("Q")
    made = progress.Progress(cells)
    assert parse(made.line().decode()) is None
    made.begin(phase, 10**17)
    made.count(3)
    line = made.line()
    assert len(line) == progress.LINE and parse(line.decode()) == Status(phase, 10**17, 3)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "dumping",
        "dumping 1",
        "dumping -1 2",
        "dumping 1 2 3",
        "dumping 1e9 2",
        "dumping \u0661 2",
        "dumping 1 2\x1b[2J",
        "\x1b]0;owned\x07dumping 1 2",
        "owned 1 2",
        f"dumping {'9' * 19} 1",
        "dumping 1 2" + "x" * 5000,
        "DUMPING 1 2",
    ],
)
def test_parses_nothing_else(said: str) -> None:
    assert parse(said) is None


def test_text_before_the_line_is_ignored() -> None:
    assert parse("Welcome!\ndumping 100 50      \n") == Status("dumping", 100, 50)


@given(st.text(), st.text())
def test_no_text_of_a_host_reaches_the_console(before: str, after: str) -> None:
    found = parse(f"{before}\ndumping 100 50\n{after}")
    if found is not None:
        assert Course().line(found, 0.0).isprintable()


@given(st.lists(st.tuples(st.sampled_from(progress.PHASES), st.integers(0, 10**18 - 1), st.integers(0, 10**18 - 1)), max_size=8))
def test_any_numbers_give_one_short_line(numbers: list[tuple[str, int, int]]) -> None:
    course = Course()
    for second, one in enumerate(numbers):
        line = course.line(Status(*one), float(second))
        assert line.isprintable() and line.isascii() and len(line) < 78


def test_shows_share_rate_and_remaining_time() -> None:
    course = Course()
    assert course.line(Status("dumping", 100 * MIB, 0), 0.0) == "dumping: 0%, 0 B of 100.0 MiB"
    assert course.line(Status("dumping", 100 * MIB, 10 * MIB), 2.0) == "dumping: 10%, 10.0 MiB of 100.0 MiB, 5.0 MiB/s"
    assert course.line(Status("dumping", 100 * MIB, 40 * MIB), 8.0) == "dumping: 40%, 40.0 MiB of 100.0 MiB, 5.0 MiB/s, about 0:12 left"
    assert course.line(Status("dumping", 100 * MIB, 100 * MIB), 20.0) == "dumping: 100%, 100.0 MiB"


def test_rate_covers_the_last_half_minute() -> None:
    course = Course()
    for second in range(0, 100, 10):
        line = course.line(Status("copying", 0, min(second, 50) * MIB + second * 1024), float(second))
    assert line == "copying: 50.1 MiB, 1.0 KiB/s"


def test_a_stalled_phase_has_no_remaining_time() -> None:
    course = Course()
    course.line(Status("restoring", 100, 10), 0.0)
    course.line(Status("restoring", 100, 20), 2.0)
    assert course.line(Status("restoring", 100, 20), 14.0) == "restoring: 20%, 20 B of 100 B, nothing new for 0:12"


def test_a_new_phase_starts_from_zero() -> None:
    course = Course()
    course.line(Status("restoring", 100, 90), 0.0)
    assert course.line(Status("indexing", 0, 0), 100.0) == "indexing: for 0:00"
    assert course.line(Status("indexing", 0, 0), 165.0) == "indexing: for 1:05"


def test_a_new_phase_with_the_same_name_starts_from_zero() -> None:
    course = Course()
    course.line(Status("verifying", 100, 50), 0.0)
    assert course.line(Status("verifying", 1000, 600), 2.0) == "verifying: 60%, 600 B of 1000 B"
    assert course.line(Status("verifying", 1000, 100), 4.0) == "verifying: 10%, 100 B of 1000 B"


def test_more_than_the_total_is_shown_as_100_percent() -> None:
    assert Course().line(Status("dumping", 100, 500), 0.0) == "dumping: 100%, 100 B"


def test_durations_include_hours() -> None:
    assert [duration(seconds) for seconds in (0, 61, 3661)] == ["0:00", "1:01", "1:01:01"]
