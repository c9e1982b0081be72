# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._report import text


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "unknown"),
        (0, "0.0 s"),
        (8.14, "8.1 s"),
        (59.96, "1 min"),
        (192, "3 min 12 s"),
        (7 * 3600 + 300, "7 h 5 min"),
        (7 * 3600 + 5, "7 h"),
        (2 * 86400 + 3 * 3600 + 59, "2 d 3 h"),
        (-5, "-5.0 s"),
    ],
)
def test_duration(seconds: float | None, expected: str) -> None:
    assert text.duration(seconds) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (None, "unknown"),
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_960, "1.0 MB"),
        (412_345_678, "412.3 MB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_size(count: int | None, expected: str) -> None:
    assert text.size(count) == expected


def test_times_are_utc_and_read_well() -> None:
    when = datetime.datetime(2026, 11, 25, 3, 0, 1, 999, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
    assert text.utc(when) == "2026-11-25T02:00:01.000999Z"
    assert text.readable(text.utc(when)) == "2026-11-25 02:00:01 UTC"
    assert text.readable(None) == "unknown"


def test_characters_unsafe_in_files_and_terminals_are_replaced() -> None:
    assert text.clean("a\x00b\x1b[31m\udcffc\x9b\ufffe") == "a\ufffdb\ufffd[31m\ufffdc\ufffd\ufffd"
    assert text.clean("\u00e9\U0001f600\t\n") == "\u00e9\U0001f600\t\n"
    assert text.clean("fail\u202essap\u2066") == "fail\ufffdssap\ufffd"
    assert text.one_line(" a\r\n  b\tc ") == "a b c"
