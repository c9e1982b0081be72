# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When and how progress is shown. `tests/system/plays/test_progress_played.py` has the other tests."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.plugin_utils.with_progress import KEPT, InPlace, Lines, is_wanted


@pytest.mark.parametrize("asked", [True, "true", "yes", 1])
def test_progress_is_shown_on_a_terminal(asked: t.Any) -> None:
    assert is_wanted(True, {"TERM": "xterm", "CI": ""}, asked)


@pytest.mark.parametrize("asked", [False, "false", "no", "False", 0, None, "another word"])
def test_progress_is_not_shown_if_disabled(asked: t.Any) -> None:
    assert not is_wanted(True, {}, asked)


@pytest.mark.parametrize("name", KEPT)
def test_progress_is_not_shown_if_output_is_recorded(name: str) -> None:
    assert not is_wanted(True, {name: "1"}, True)


def test_progress_is_not_shown_without_a_terminal() -> None:
    assert not is_wanted(False, {}, True)


class Screen:
    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, text: str, screen_only: bool = False, newline: bool = True) -> None:
        assert screen_only
        self.shown.append(text + "\n" * newline)


def test_the_line_is_overwritten_and_then_cleared() -> None:
    screen = Screen()
    line = InPlace(screen.display)
    line.clear()
    assert screen.shown == []
    line.show("dumping: 10%", 0.0)
    line.show("short", 0.0)
    line.clear()
    assert screen.shown == ["dumping: 10%\r", "short       \r", "     \r"]


def test_a_line_never_wraps() -> None:
    screen = Screen()
    InPlace(screen.display).show("x" * 200, 0.0)
    assert screen.shown == [f"{'x' * 78}\r"]


def test_each_of_several_hosts_gets_a_line_every_30_seconds() -> None:
    screen = Screen()
    lines = Lines(screen.display, "db1")
    for now in (100.0, 110.0, 129.0, 130.0):
        lines.show(f"at {now:.0f}", now)
    lines.clear()
    assert screen.shown == ["[db1] at 100\n", "[db1] at 130\n"]
