# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare a set with the previous one. Both inventories must be decrypted, which a backup host cannot do."""

from __future__ import annotations

import typing as t

from .._caracal.inventory import recorded_inventory, since_previous
from .._caracal.inventory.recorded_inventory import Inventory, Retention
from .._drivers.postgres.server import Server
from .._errors import BackupError, KeyProblem
from .._inventory import SetInventory
from .._reading import immutable_rows
from .._report.check import Check
from .._repository import entry as entries
from .._repository import records
from .._repository.catalog import StoredSet
from . import audit_retention, baseline, history, sealed_set
from .access import Opened
from .sealed_set import SealedSet


def check(
    opened: Opened, the_set: SealedSet, inventory: SetInventory, server: Server, identity_files: t.Sequence[str], budget: int
) -> Check:
    """Return the check `inventory.since_previous` of a set with this inventory, whose copy is on `server`.

    A faulty earlier set is not an error, since it proves nothing about this one.
    """
    newer = the_set.open_set
    try:
        older = _previous(opened, newer)
        if older is None:
            return since_previous.first_set()
        recorded = sealed_set.inventory(opened, older, identity_files)
        before, after = _of(older, recorded), _of(newer, inventory)
        immutable = immutable_rows.compare(server, recorded, inventory)
        return since_previous.check(before, after, budget, history.acknowledged(opened), _restored(opened, older, newer), immutable)
    except BackupError as exc:
        return since_previous.not_compared(exc.msg)


def _of(one: StoredSet, found: SetInventory) -> Inventory:
    recorded = audit_retention.recorded(one.record.entry)
    return recorded_inventory.of(one.record.set_id, found, Retention(recorded.days, recorded.known))


def _previous(opened: Opened, newer: StoredSet) -> StoredSet | None:
    """Return the newest earlier set that shares a database with this one and has a trusted signature, or None.

    Raises the reason why an earlier set cannot be read, or why none of the signatures is trusted.
    """
    databases = {one.database for one in newer.manifest.sources}
    untrusted: KeyProblem | None = None
    for record in reversed(opened.catalog.sets()):
        if record.entry.sequence >= newer.record.entry.sequence:
            continue
        try:
            found = opened.catalog.read(record.set_id)
        except KeyProblem as exc:
            untrusted = untrusted or exc
            continue
        if databases & {one.database for one in found.manifest.sources}:
            return found
    if untrusted:
        raise untrusted
    return None


def _restored(opened: Opened, older: StoredSet, newer: StoredSet) -> list[str]:
    """Return restores between the two sets into the cluster of the newer one. They explain why it became smaller."""
    between = range(older.record.entry.sequence + 1, newer.record.entry.sequence)
    clusters = {one.system_identifier for one in newer.manifest.sources}
    found = [one for one in opened.journal.of_kind(entries.RESTORE) if one.sequence in between and records.is_of_databases(one)]
    restores = [(one.sequence, records.restore(one)) for one in found if any(baseline.is_cut(one, cluster) for cluster in clusters)]
    return [f"set {restored.set_id} was restored in between (entry {number} of the journal)" for number, restored in restores]
