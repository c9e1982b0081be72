# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""More events at the end of one zone's chain in a running twin, as its audit service would write them."""

from __future__ import annotations

import datetime as dt
import typing as t

from . import audit, load
from .dice import Dice, microseconds, uuid7
from .facts import Release
from .keys import Keys
from .state.world import Zone

HEAD = "SELECT chain_seq, content_sha256 FROM public.audit_events WHERE zone_id = %s AND chain_seq > 0 ORDER BY chain_seq DESC LIMIT 1"
STEP_US = 1000


def append(connection: t.Any, keys: Keys, release: Release, zone: str, count: int, now: dt.datetime) -> int:
    """Add `count` events to the zone with this ID, one millisecond apart, starting at `now` (UTC); return the chain's new head.

    The same head and `now` give the same events. Another `now` gives other events, as after a restore.
    """
    with connection.cursor() as cursor:
        cursor.execute(HEAD, [zone])
        seq, head = cursor.fetchone() or (0, None)
        dice = Dice(f"{zone} {seq} {now.isoformat()}", "append")
        chain = audit.ZoneChain(Zone(zone, "", ""), keys.audit_hmac_key, audit.digest_of(release, dice), seq, head)
        load.copy(cursor, "audit_events", audit.COLUMNS, _lines(chain, dice, count, microseconds(now)))
    return chain.seq


def _lines(chain: audit.ZoneChain, dice: Dice, count: int, start: int) -> t.Iterator[str]:
    for number in range(count):
        us = start + number * STEP_US
        request = f"{dice.getrandbits(64):016x}"
        texts = (uuid7(us // 1000, dice.getrandbits(74)), chain.zone.id, "gateway_resource_request", request, "allow", None, None, None)
        event = audit.Event((*texts, "complete"), (None, None, f'{{"method": "GET", "status": {200 + number % 4}}}'))
        yield audit.copy_line(chain.append(event, us, us + 400, dice.hex(32)))
