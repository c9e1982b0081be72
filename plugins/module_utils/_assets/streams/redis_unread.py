# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find entries that were trimmed before their service read them. They were lost before the backup, so a restore does not return them."""

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
    """Return the check for streams in the format of a second reading. It is a warning, since the set still matches its source."""
    # Groups of Gateways are not checked. A removed Gateway leaves its group behind, and a starting one reads the database.
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
    """Return how many entries the group can never receive, or 0 if Redis does not know how many it has read.

    The group's position is before the first remaining entry, and more entries were added than remain.
    """
    read = 0 if group["last_delivered"] == _START else group["entries_read"]
    ends = stream["first"] if stream["first"] and stream["entries"] else stream["last"]
    if read is None or number(group["last_delivered"]) >= number(ends):
        return 0
    return max(0, stream["added"] - read - stream["entries"])
