# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The consumer groups of the services in a sandbox, and how fast they process their backlog."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .._caracal import outbox, streams
from .._caracal.backlog import Backlog
from .._caracal.chains.settling import Group
from .._drivers.redis import reading
from .._drivers.redis.connection import Session


def read(redis: Session) -> t.Iterator[Group]:
    """Yield the groups that a service reads, with the time since its last request."""
    for name in reading.find(redis, streams.PATTERN):
        found = reading.look(redis, name)
        for group in found.groups if found else ():
            stream, label = reading.text(name), reading.text(group.name)
            if not streams.is_consumed(stream, label):
                continue
            seen = [dict(zip(one[::2], one[1::2], strict=True))[b"idle"] for one in redis.call("XINFO", "CONSUMERS", name, group.name)]
            lag = 0 if found and group.last_delivered == found.last else group.lag
            yield Group(stream, label, lag, group.pending, min(seen, default=None))


@dataclasses.dataclass
class _Seen:
    """A backlog: its maximum and the time of that, its last observed size, and the time when it last became smaller."""

    most: int
    since: float
    last: int
    less: float


class Watch:
    """Track the backlog of each group. Call it often, or a backlog that shrinks cannot be distinguished from one that does not."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], _Seen] = {}

    def backlogs(self, groups: t.Iterable[Group]) -> dict[tuple[str, str], Backlog]:
        """Return backlogs by stream and group, if the lag of the group is known."""
        waiting = {(one.stream, one.name): one.lag + one.pending for one in groups if one.lag is not None}
        return {name: self._backlog(name, count, time.monotonic()) for name, count in waiting.items()}

    def _backlog(self, name: tuple[str, str], count: int, now: float) -> Backlog:
        seen = self._seen.setdefault(name, _Seen(count, now, count, now))
        if count >= seen.most:
            seen.most, seen.since = count, now
        if count < seen.last:
            seen.less = now
        seen.last = count
        return Backlog(seen.most, count, now - seen.since, now - seen.less)

    def ingest(self, groups: t.Iterable[Group]) -> Backlog | None:
        """Return the backlog of the audit service, or None."""
        return self.backlogs(groups).get((outbox.AUDIT_EVENTS, streams.AUDIT_GROUP))
