# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check that the store still refuses to delete locked objects: compare each object's lock with the required one."""

from __future__ import annotations

import datetime
import typing as t

from .._audit.exports import archive_hours
from .._errors import BackupError
from .._evidence import access
from .._evidence.access import Opened
from .._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, Check
from .._report.text import plural
from .._repository import layout, objects
from .._repository.manifest import Manifest
from .._storage import archived
from .._storage.archived import Locked
from . import lease, set_holds

CHECK_ID = "repository.locks"
FOLDERS = (layout.JOURNAL, layout.SETS, layout.OBJECTS, layout.CHECKPOINTS, layout.DRILLS)
LISTED = 50
# Allowed difference between the time in an entry and the time at which the store received the object.
SLACK = datetime.timedelta(minutes=5)


def check(opened: Opened, manifests: t.Mapping[str, Manifest]) -> Check:
    """Return one check. Missing objects are reported by other checks, and `audit_export_verify` checks the locks of the archive."""
    if not opened.store.locks:
        words = "a directory has no locks: anyone with write access can remove sets, which is detected but cannot be undone"
        return Check(CHECK_ID, NOT_APPLICABLE, words, required=False)
    now = access.now()
    asked = _asked(opened, manifests, now)
    if not asked:
        words = "no locks are expected, because lock_mode is not set; set lock_mode and lock_days as for the backup"
        return Check(CHECK_ID, NOT_APPLICABLE, words, required=False)
    there = {one.key: one for folder in FOLDERS for one in opened.store.held(folder)}
    stored = sorted(key for key in asked if key in there)
    if not stored:
        return Check(CHECK_ID, UNPROVEN, f"none of {plural(len(asked), 'object')} that should be locked exists")

    signed = _signed(opened, manifests)

    def fault(key: str) -> str:
        one = there[key]
        try:
            if one.shadowed and key in signed:
                one = objects.find(opened.store, key, *signed[key])
            found = opened.store.lock_of(one)
        except BackupError as exc:
            return exc.msg
        fits = archived.suffices(found, asked[key], now)
        return "" if fits else f"has {archive_hours.words(found)}, not {archive_hours.words(asked[key])}"

    faults = zip(stored, opened.store.overlapped(fault, stored), strict=True)
    wrong = [{"path": key, "fault": words} for key, words in faults if words]
    if wrong:
        words = (
            f"{plural(len(wrong), 'object')} of {len(stored)} locked too briefly, first {wrong[0]['path']} {wrong[0]['fault']}; find out "
            "who shortened the lock. A prune renews locks of secrets. If you raised lock_days, verify older sets with the former lock_days"
        )
        return Check(CHECK_ID, FAIL, words, details={"objects": wrong[:LISTED], "count": len(wrong)})
    return Check(CHECK_ID, PASS, f"{plural(len(stored), 'object')} locked as required", details={"locked": len(stored)})


def _signed(opened: Opened, manifests: t.Mapping[str, Manifest]) -> dict[str, tuple[str, int | None]]:
    """Return SHA-256 and size of objects, since the signed version must be the locked one."""
    found: dict[str, tuple[str, int | None]] = {layout.entry_key(one.sequence): (one.sha256, None) for one in opened.journal.entries}
    return found | {one.path: (one.sha256, one.size) for manifest in manifests.values() for one in manifest.artifacts}


def _asked(opened: Opened, manifests: t.Mapping[str, Manifest], now: datetime.datetime) -> dict[str, Locked]:
    """Return the lock that each object should still have. Objects are left out if their lock time is over."""
    asked = {key: opened.store.lock_wanted(key, when) for key, when in _write_times(opened, manifests).items()}
    asked |= {key: lease.least(opened.store, key, asked[key], now) for key in lease.keys(manifests)}
    return {key: lock for key, lock in asked.items() if lock.until is not None and lock.until > now}


def _write_times(opened: Opened, manifests: t.Mapping[str, Manifest]) -> dict[str, datetime.datetime]:
    """Return the earliest possible write time of each object.

    Sets, drills and checkpoints are written from the time in their ID on. The lock of a shared object is renewed with
    each set that refers to it, so the newest set counts. Objects of pruned sets need no lock.
    """
    found: dict[str, datetime.datetime] = {}
    for one in opened.journal.entries:
        mine = (layout.entry_key(one.sequence), layout.entry_signature_key(one.sequence, one.sha256))
        for key in (*mine, *(key for key in one.subjects if key.startswith(_NAMED))):
            found.setdefault(key, (_id_time(key) or one.judged) - SLACK)
    for set_id in sorted(manifests):
        found |= dict.fromkeys(set_holds.objects_of(manifests[set_id]), layout.id_time(set_id) - SLACK)
    return found


_NAMED = (f"{layout.CHECKPOINTS}/", f"{layout.DRILLS}/")


def _id_time(key: str) -> datetime.datetime | None:
    return next((layout.id_time(part) for part in key.split("/") if layout.is_id(part)), None)
