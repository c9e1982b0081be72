# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The retention of audit events as the sets recorded it, and as a database has it now.

The inventory, which has every row of `audit_retention`, is sealed, and no host that reads the source can open it. So the journal entry of a
set has the days as well.
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
    """What a set records: nothing where the release has no such table, None where it has no row."""
    return {FIELD: audit.override(session)} if _TABLE in layout.public else {}


def check(
    opened: Opened, session: Session, layout: Layout, known: Baseline, moment: str, source: str, acknowledged: t.Collection[str]
) -> Check:
    """`audit.retention_lowered` of the database of a snapshot that was taken at `moment`, in the cluster with system identifier `source`.
    `known` is what the journal knows of its rows."""
    has_table, existing = _TABLE in layout.public, {leaf.name for leaf in layout.leaves}
    lost = sorted({block.leaf for block in known.blocks if block.chain == AUDIT.name} - existing)
    today = Today(parse_timestamp(moment), has_table, audit.override(session) if has_table else None, tuple(lost))
    return lowered.judge(today, _recorded(opened, source), acknowledged)


def _recorded(opened: Opened, source: str) -> t.Iterator[Recorded]:
    """From the newest set to older ones, without sets that were created after a set that was restored and before its restore."""
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
    """The days that the entry of a set records."""
    sources = entry.body.get("source")
    said = [one[FIELD] for one in sources if isinstance(one, dict) and FIELD in one] if isinstance(sources, list) else []
    known = bool(said) and type(said[0]) in (int, type(None))
    when = entry.time["database"]
    return Recorded(str(entry.body.get("set")), parse_timestamp(when) if when else entry.judged, said[0] if known else None, known)
