# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects as an archive verification needs them: with versions, delete markers and locks, if the store has them."""

from __future__ import annotations

import dataclasses
import datetime

from . import s3_lock

TOLERANCE = s3_lock.TOLERANCE


@dataclasses.dataclass(frozen=True)
class Held:
    """The true version of a key: its size in bytes, the number of versions of the key, and whether a delete marker is on top.

    `version` is empty if the store has no versions.
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
    """Mode and end of an object's lock, None without a lock."""

    mode: str | None = None
    until: datetime.datetime | None = None


NO_LOCK = Locked()


def suffices(found: Locked, asked: Locked, now: datetime.datetime) -> bool:
    """Return whether a lock is at least as strict and as long as asked. After the end of the wanted lock, no lock is needed."""
    if asked.until is None or asked.until <= now:
        return True
    return found.mode in (asked.mode, s3_lock.COMPLIANCE) and found.until is not None and found.until + TOLERANCE >= asked.until
