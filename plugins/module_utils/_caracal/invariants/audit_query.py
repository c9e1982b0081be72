# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check that the audit log can be queried as the product does it: by zone and time, in chain order, through an index.

Each zone is queried once, for the newest month in the signed blocks. audit_chain_verify verifies the rows themselves.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..._errors import PermissionMissing, StageFailed
from ..._report.check import WARN
from ..chains.audit_blocks import Block
from ..chains.audit_chains import AUDIT
from ..chains.copy_text import plain
from ..inventory.inventory import Reader
from ..partitions import month_of
from .rule import SHOWN, Rule, Seen, rows

SEARCH = Rule(
    "audit_query.search",
    "zones with audit events",
    "return no events for a query by zone and time",
    "audit queries of these zones return nothing; see the partitions and audit blocks in this report, and restore another set",
)
KNOWN = Rule(
    "audit_query.zones_known",
    "zones with audit events",
    "do not exist in this database",
    "the events are stored, but no query of an existing zone returns them; compare with the source",
    severity=WARN,
)

_SEARCH = """
    SELECT id FROM public.audit_events WHERE zone_id = %s AND occurred_at >= %s::timestamptz AND occurred_at < %s::timestamptz
     ORDER BY chain_seq LIMIT 1"""
_ANY_TIME = ("-infinity", "infinity")


@dataclasses.dataclass(frozen=True)
class Search:
    """A zone, and a period in which the set has events of it. `low` is inclusive, `high` exclusive."""

    zone: str
    low: str
    high: str


def searches(blocks: t.Iterable[Block]) -> list[Search]:
    """Return one search for each zone of the set's audit chain. A partition that is not monthly (the default one) does not
    limit the time.
    """
    newest: dict[str, str] = {}
    for block in blocks:
        if block.chain == AUDIT.name and block.rows:
            newest[block.zone] = max(newest.get(block.zone, ""), block.leaf if month_of(block.leaf) else "")
    return [Search(plain(zone.encode()).decode(), *_times(leaf)) for zone, leaf in sorted(newest.items())]


def _times(leaf: str) -> tuple[str, str]:
    month = month_of(leaf)
    return (f"{month.low} 00:00:00+00", f"{month.high} 00:00:00+00") if month else _ANY_TIME


def look(reader: Reader, wanted: t.Sequence[Search]) -> list[tuple[Rule, Seen]]:
    """Check both rules. Without searches the set has no events, and the rules count as confirmed."""
    try:
        known = {row[0] for row in rows(reader, "SELECT id FROM public.zones")}
        strange = [one.zone for one in wanted if one.zone not in known]
        silent = [one.zone for one in wanted if not rows(reader, _SEARCH, (one.zone, one.low, one.high))]
    except (StageFailed, PermissionMissing) as exc:
        return [(rule, Seen(problem=exc.msg)) for rule in (SEARCH, KNOWN)]
    return [(SEARCH, _seen(wanted, silent)), (KNOWN, _seen(wanted, strange))]


def _seen(wanted: t.Sequence[Search], broken: list[str]) -> Seen:
    return Seen(len(wanted), len(broken), tuple(broken[:SHOWN]), confirmed=not wanted)
