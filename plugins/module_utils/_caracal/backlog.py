# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries of a stream that wait for a service, which works them off at its own speed: audit ingest takes some tens a second."""

from __future__ import annotations

import dataclasses

from .._report import text

# A service that works acknowledges several entries a second; one that did nothing for so many seconds stands still.
STILL = 15.0


@dataclasses.dataclass(frozen=True)
class Backlog:
    """Entries that a consumer group has not read or not acknowledged: `first`, when there were most, and `now`, `seconds` later. It last
    became less `still` seconds ago."""

    first: int
    now: int
    seconds: float
    still: float

    @property
    def shrinks(self) -> bool:
        """Whether waiting longer would be of use."""
        return 0 < self.now < self.first and self.seconds > 0 and self.still < STILL

    @property
    def rest(self) -> float:
        """Seconds that the rest takes at the speed so far; only of one that shrinks."""
        return self.now * self.seconds / (self.first - self.now)

    def __str__(self) -> str:
        left = f"{self.now} of {self.first} entries were left after {text.duration(self.seconds)}"
        return f"{left}; at this rate they need {text.duration(self.rest)} more" if self.shrinks else left
