# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waits of tests: for a condition, with an end that also a busy machine keeps; never for a span of time."""

from __future__ import annotations

import time
import typing as t

T = t.TypeVar("T")
# In seconds. Far more than anything takes, for only a test that fails waits to the end.
PATIENCE = 120.0
PAUSE = 0.02


def eventually(look: t.Callable[[], T], patience: float = PATIENCE, pause: float = PAUSE) -> T:
    """The first true answer; AssertionError when there is none for a long time."""
    found = _last(look, patience, pause)
    assert found, f"waited {patience:.0f} s in vain"
    return found


def came(look: t.Callable[[], object], patience: float = PATIENCE, pause: float = PAUSE) -> bool:
    """Return whether `look` became true in time, for callers with a message of their own. Checks of all processes should pause longer."""
    return bool(_last(look, patience, pause))


def remains(look: t.Callable[[], list[T]], patience: float = PATIENCE, pause: float = 0.05) -> list[T]:
    """Return the values that `look` still finds when `patience` seconds have passed, usually none."""
    until = time.monotonic() + patience
    while (seen := look()) and time.monotonic() < until:
        time.sleep(pause)
    return seen


def _last(look: t.Callable[[], T], patience: float, pause: float) -> T:
    """The first true answer, or the last one."""
    until = time.monotonic() + patience
    while not (found := look()) and time.monotonic() < until:
        time.sleep(pause)
    return found
