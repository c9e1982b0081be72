# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The retention of audit events in recorded sets and in the current database.

The inventory contains every row of `audit_retention`. But it is encrypted, and a host that reads the source cannot decrypt it.
So the journal entry of a set contains the days as well.
"""

from __future__ import annotations

import typing as t

from .._caracal.chains.audit_chains import AUDIT
from .._caracal.chains.block_history import Baseline
from .._caracal.retention import audit, lowered
from .._caracal.retention.lowered import Recorded, Today
from .._drivers.postgres.server import Session
from .._reading.database_layout import Layout
from .._report.check import Check
from .._repository import entry as entries
from .._repository import records
from .._repository.entry import Entry
from .._repository.fields import parse_timestamp
from . import baseline
from .access import Opened

FIELD = "audit_retention_days"
_TABLE = "audit_retention"


def days(session: Session, layout: Layout) -> dict[str, int | None]:
    """Return the retention for a set: nothing if the release has no such table, None if the table has no row."""
    return {FIELD: audit.override(session)} if _TABLE in layout.public else {}


def check(
    opened: Opened, session: Session, layout: Layout, known: Baseline, snapshot_time: str, source: str, acknowledged: t.Collection[str]
) -> Check:
    """Return the check `audit.retention_lowered` for a snapshot.

    `snapshot_time` is the time of the snapshot. `source` is the system identifier of its cluster. `known` is what the journal contains
    about its rows.
    """
    has_table, existing = _TABLE in layout.public, {leaf.name for leaf in layout.leaves}
    lost = sorted({block.leaf for block in known.blocks if block.chain == AUDIT.name} - existing)
    today = Today(parse_timestamp(snapshot_time), has_table, audit.override(session) if has_table else None, tuple(lost))
    return lowered.judge(today, _recorded(opened, source), acknowledged)


def _recorded(opened: Opened, source: str) -> t.Iterator[Recorded]:
    """Yield the recorded retention of sets, the newest first.

    Sets between a restored set and its restore are omitted, since the restore discarded their state.
    """
    journal, restored = opened.journal, ""
    for number in reversed(journal.numbers(entries.SET, entries.RESTORE)):
        entry = journal.at([number])[0]
        if entry.kind == entries.RESTORE:
            if not restored and baseline.is_cut(entry, source):
                restored = records.restore(entry).set_id
        elif not restored or entry.body.get("set") == restored:
            restored = ""
            yield recorded(entry)


def recorded(entry: Entry) -> Recorded:
    """Return the days in the entry of a set."""
    sources = entry.body.get("source")
    values = [one[FIELD] for one in sources if isinstance(one, dict) and FIELD in one] if isinstance(sources, list) else []
    known = bool(values) and type(values[0]) in (int, type(None))
    when = entry.time["database"]
    return Recorded(str(entry.body.get("set")), parse_timestamp(when) if when else entry.judged, values[0] if known else None, known)
