# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries of a stream that wait for a service. Each service has its own speed: audit ingest processes a few dozen entries a second."""

from __future__ import annotations

import dataclasses

from .._report import text

# A working service acknowledges several entries a second. A backlog that has not become smaller for this many seconds
# is stuck.
STILL = 15.0


@dataclasses.dataclass(frozen=True)
class Backlog:
    """Entries that a consumer group has not read or not acknowledged.

    `first` is the highest count seen, and `now` the count `seconds` later. The count last became smaller `still`
    seconds ago.
    """

    first: int
    now: int
    seconds: float
    still: float

    @property
    def shrinks(self) -> bool:
        """True if waiting longer can help."""
        return 0 < self.now < self.first and self.seconds > 0 and self.still < STILL

    @property
    def rest(self) -> float:
        """Return the seconds that the remaining entries need at the speed so far. Call it only if the backlog shrinks."""
        return self.now * self.seconds / (self.first - self.now)

    def __str__(self) -> str:
        left = f"{self.now} of {self.first} entries were left after {text.duration(self.seconds)}"
        return f"{left}; at this rate they need {text.duration(self.rest)} more" if self.shrinks else left
