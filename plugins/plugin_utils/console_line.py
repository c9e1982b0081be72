# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host says of its progress, as a line of the console. Of the host's own words none gets there."""

from __future__ import annotations

import collections
import dataclasses
import re

from ..module_utils._stream.progress import LINE, PHASES

# In seconds: over how much a rate is taken, how much there must be before it says when the end comes, and when it is none any more.
WINDOW, LEAST, STALLED = 30.0, 5.0, 8.0
# A day; nobody waits for what would end after it, and a host that says so may say anything.
FURTHEST = 86400.0
_STATUS = re.compile(r"([a-z]{1,20}) ([0-9]{1,18}) ([0-9]{1,18}) *")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


@dataclasses.dataclass(frozen=True)
class Status:
    """A phase, the bytes of all of it or 0 where nobody knows, and those that are done."""

    phase: str
    total: int
    done: int


def parse(output: str) -> Status | None:
    """The last line that is one of ours; None where there is none. Others can come of a login's greeting."""
    for line in reversed(output[-16 * LINE :].splitlines()):
        found = _STATUS.fullmatch(line)
        if found and found[1] in PHASES:
            return Status(found[1], int(found[2]), int(found[3]))
    return None


class Course:
    """What was told so far. Times are of a clock that never goes back."""

    def __init__(self) -> None:
        self._work = ("", 0)
        self._began = self._moved = 0.0
        self._seen: collections.deque[tuple[float, int]] = collections.deque()

    def line(self, status: Status, now: float) -> str:
        """Phase, share, amounts, rate and what is left of time, each where it means something."""
        # Two in a row may bear the same word.
        if (status.phase, status.total) != self._work or (self._seen and status.done < self._seen[-1][1]):
            self._work, self._began, self._moved = (status.phase, status.total), now, now
            self._seen.clear()
        if self._seen and status.done > self._seen[-1][1]:
            self._moved = now
        self._seen.append((now, status.done))
        while len(self._seen) > 2 and self._seen[0][0] < now - WINDOW:
            self._seen.popleft()
        return f"{status.phase}: {', '.join(self._parts(status, now))}"

    def _parts(self, status: Status, now: float) -> list[str]:
        if not status.done and not status.total:
            return [f"for {duration(now - self._began)}"]
        if status.total and status.done >= status.total:
            return ["100%", amount(status.total)]
        parts = (
            [f"{100 * status.done // status.total}%", f"{amount(status.done)} of {amount(status.total)}"]
            if status.total
            else [amount(status.done)]
        )
        (first, before), (last, done) = self._seen[0], self._seen[-1]
        rate = (done - before) / (last - first) if last > first else 0.0
        if now - self._moved >= STALLED:
            parts.append(f"nothing new for {duration(now - self._moved)}")
        elif rate > 0:
            parts.append(f"{amount(rate)}/s")
            left = (status.total - status.done) / rate
            if status.total and now - self._began >= LEAST and left < FURTHEST:
                parts.append(f"about {duration(left)} left")
        return parts


def amount(size: float) -> str:
    """In the unit that leaves fewest digits."""
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{size:.0f} {_UNITS[unit]}"


def duration(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
