# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries that were trimmed before their service had read them: lost before the backup, so that a restore does not return them."""

from __future__ import annotations

import typing as t

from ..._caracal import streams as product
from ..._drivers.redis.reading import number
from ..._report.check import PASS, WARN, Check

if t.TYPE_CHECKING:
    from .redis_readings import GroupDetails, StreamDetails, StreamEnd

LOST = "redis.lost_unread"
WANTED = {known.name: known.consumed for known in product.STREAMS}
_START = "0-0"


def judge(streams: t.Sequence[StreamDetails]) -> Check:
    """From streams as a second reading records them. A warning, because the set is as true as the source was."""
    # A Gateway that is gone leaves its group behind, and one that starts reads the database.
    found = [
        (one["name"], group["name"], count)
        for one in streams
        for group in one["groups"]
        if group["name"] in WANTED.get(one["name"], ()) and (count := lost(one, group))
    ]
    if not found:
        return Check(LOST, PASS, "every trimmed entry had been read by its service", required=False)
    stream, group, count = found[0]
    more = f" ({len(found) - 1} more groups)" if len(found) > 1 else ""
    words = f"{count} entries of {stream} were trimmed before {group} had read them, so they are not in the database or in any set{more}"
    details = {"lost": [{"stream": stream, "group": group, "entries": count} for stream, group, count in found]}
    return Check(LOST, WARN, words, required=False, details=details)


def lost(stream: StreamEnd, group: GroupDetails) -> int:
    """How many entries the group will never get: it stands before the first one that is left, and more came than are left. 0 where Redis
    does not know how many it has read."""
    read = 0 if group["last_delivered"] == _START else group["entries_read"]
    ends = stream["first"] if stream["first"] and stream["entries"] else stream["last"]
    if read is None or number(group["last_delivered"]) >= number(ends):
        return 0
    return max(0, stream["added"] - read - stream["entries"])
