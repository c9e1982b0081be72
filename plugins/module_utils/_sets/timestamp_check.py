# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The check of timestamps: they prove that the journal had reached an entry by a certain time, and that no entry is dated forward."""

from __future__ import annotations

from .._crypto.timestamps import Anchors, Stamp
from .._errors import BackupError
from .._evidence.access import Opened
from .._report.check import FAIL, NOT_APPLICABLE, PASS, Check
from .._report.text import plural
from .._repository import journal as journals
from .._repository import layout, stamps
from .._repository.entry import Entry
from .._repository.fields import timestamp

TIMESTAMPS = "journal.timestamps"
LISTED = 50


def check(opened: Opened, anchors: Anchors | None) -> Check:
    """Compare every timestamp in the journal with its entry, using the trusted `anchors`."""
    keys = stamps.keys(opened.store)
    if not keys:
        return Check(TIMESTAMPS, NOT_APPLICABLE, "the journal contains no timestamp", required=False)
    if anchors is None:
        words = f"no timestamp authority is trusted, so {plural(len(keys), 'timestamp')} of the journal could not be verified"
        return Check(TIMESTAMPS, NOT_APPLICABLE, f"{words}; set timestamp_roots", required=False)
    found, faults = _read(opened, keys, anchors)
    faults += stamps.dated_forward(opened.journal.entries, found, opened.store.location)
    if faults:
        return Check(TIMESTAMPS, FAIL, f"{faults[0]} ({plural(len(faults), 'fault')})", details={"faults": faults[:LISTED]})
    last = max(found)
    newest, after = found[last], opened.journal.head.sequence - last
    words = f"{plural(len(found), 'timestamp')} verified, newest for entry {last} by {newest.authority} at {newest.time:%Y-%m-%dT%H:%M:%SZ}"
    details = {"timestamps": len(found), "newest": timestamp(newest.time), "entry": last, "entries_after": after}
    return Check(TIMESTAMPS, PASS, f"{words}; entries after it: {after}", details=details)


def _read(opened: Opened, keys: list[str], anchors: Anchors) -> tuple[dict[int, Stamp], list[str]]:
    """Return the timestamps by entry number, and the faults of the others."""
    if set(keys) - _slots(opened).keys():
        # A backup may have appended and timestamped an entry since the journal was read.
        journals.refresh(opened.repository, opened.journal)
    slots = _slots(opened)
    found: dict[int, Stamp] = {}
    faults: list[str] = []
    for key in keys:
        if key not in slots:
            words = "is the timestamp of an entry that the journal lacks: the journal was rolled back or forked, or the file was planted"
            faults.append(f"{opened.store.location}/{key} {words}")
            continue
        try:
            stamp = stamps.read(opened.store, slots[key], anchors)
        except BackupError as exc:
            faults.append(exc.msg)
            continue
        if stamp is None:
            faults.append(f"{opened.store.location}/{key} was deleted while it was read; find out who deletes files in the journal")
        else:
            found[slots[key].sequence] = stamp
    return found, faults


def _slots(opened: Opened) -> dict[str, Entry]:
    return {layout.entry_timestamp_key(one.sequence, one.sha256): one for one in opened.journal.entries}
