# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects as whoever judges an archive must see them: with versions, delete markers and locks, where the store has such things."""

from __future__ import annotations

import dataclasses
import datetime

from . import s3_lock

TOLERANCE = s3_lock.TOLERANCE


@dataclasses.dataclass(frozen=True)
class Held:
    """The true version of a key: its size in bytes, how many versions the key has, and whether a delete marker is on top.

    `version` is empty where a store keeps none.
    """

    key: str
    size: int
    version: str = ""
    versions: int = 1
    marked: bool = False

    @property
    def shadowed(self) -> bool:
        return self.marked or self.versions > 1


@dataclasses.dataclass(frozen=True)
class Locked:
    """Mode and end of an object's lock, None where there is none."""

    mode: str | None = None
    until: datetime.datetime | None = None


NO_LOCK = Locked()


def suffices(found: Locked, asked: Locked, now: datetime.datetime) -> bool:
    """Whether a lock is as strict and as long as asked. Of what is older than its lock would last, none is asked."""
    if asked.until is None or asked.until <= now:
        return True
    return found.mode in (asked.mode, s3_lock.COMPLIANCE) and found.until is not None and found.until + TOLERANCE >= asked.until
