# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Legal holds in the store on the objects of held sets, if the store supports them. The journal determines which objects are held."""

from __future__ import annotations

import typing as t

from .._errors import BackupError
from .._evidence.access import Opened
from .._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, Check
from .._repository import decisions, layout
from .._repository import entry as entries
from .._repository import journal as journals
from .._repository.manifest import Manifest

HOLDS = "repository.holds"
LISTED = 50
# Key → whether a legal hold is on it now.
Changed = dict[str, bool]


def objects_of(manifest: Manifest) -> frozenset[str]:
    """Return the keys of a set's objects, including shared ones.

    Countersignatures of drills are not included: they are added later, and a restore does not need them.
    """
    own = (layout.manifest_key(manifest.set_id), layout.backup_signature_key(manifest.set_id))
    return frozenset((*own, *(one.path for one in manifest.artifacts)))


def held_sets(opened: Opened) -> frozenset[str]:
    """Return the sets on hold in the journal that were not pruned. Raises TamperedData."""
    return frozenset(decisions.holds(opened.journal.of_kind(entries.HOLD)).keys() - opened.catalog.pruned().keys())


def settle(opened: Opened, set_id: str, held: t.Collection[str], *, dry: bool = False) -> Changed:
    """Place legal holds on the objects of a set that one of the sets `held` names, and remove them from its other objects.

    Missing objects are skipped. Before any change, raises TamperedData, KeyProblem or ObjectMissing for an untrusted
    manifest. Also raises PermissionMissing, StorageError.
    """
    store = opened.store
    if not store.can_hold():
        return {}
    objects = _objects(opened, set_id)
    wanted = objects if set_id in held else frozenset().union(*(_objects(opened, one) for one in held))
    found = _states(opened, objects).items()
    changes = {key: key in wanted for key, is_held in found if is_held is not None and is_held != (key in wanted)}
    for number, (key, on) in enumerate(() if dry else changes.items()):
        try:
            store.hold(key, on)
        except BackupError as exc:
            words = f"{number} of {len(changes)} legal holds are changed; run this again to change the rest"
            raise exc.reworded(f"{exc.msg}; {words}") from exc
    return changes


def follow(opened: Opened, set_id: str) -> Changed:
    """Settle a set according to the journal. Repeat until the journal's holds did not change in between.

    Another run may hold or release a set that shares objects with this one at the same time. It uses this function too.
    """
    changed: Changed = {}
    while True:
        held = held_sets(opened)
        changed |= settle(opened, set_id, held)
        journals.refresh(opened.repository, opened.journal)
        if held_sets(opened) == held:
            return changed


def _states(opened: Opened, objects: t.Iterable[str]) -> dict[str, bool | None]:
    keys = sorted(objects)
    return dict(zip(keys, opened.store.overlapped(opened.store.is_held, keys), strict=True))


def _objects(opened: Opened, set_id: str) -> frozenset[str]:
    return objects_of(opened.catalog.read(set_id).manifest)


def check(opened: Opened, manifests: t.Mapping[str, Manifest]) -> Check:
    """Check that the store holds all objects of held sets. `manifests` are the trusted ones."""
    held = sorted(held_sets(opened))
    if not held:
        return Check(HOLDS, NOT_APPLICABLE, "no set is on hold", required=False)
    try:
        if not opened.store.can_hold():
            return Check(HOLDS, NOT_APPLICABLE, "the store has no legal holds; only the journal protects held sets", required=False)
        named = {one: objects_of(manifests[one]) for one in held if one in manifests}
        # Missing objects are reported by the check of the objects.
        states = _states(opened, frozenset().union(*named.values()))
    except BackupError as exc:
        return Check(HOLDS, UNPROVEN, exc.msg)
    free = [key for key, is_held in states.items() if is_held is False]
    if free:
        sets = [one for one, keys in named.items() if not keys.isdisjoint(free)]
        words = f"{len(free)} of {len(states)} objects of held sets have no legal hold (first: {opened.store.location}/{free[0]})"
        remedy = f"find out who removed the hold, and run backup_hold again for set {sets[0]}"
        return Check(HOLDS, FAIL, f"{words}; {remedy}", details={"sets": sets, "paths": free[:LISTED]})
    unknown = [one for one in held if one not in manifests]
    if unknown:
        untrusted = f"the manifest of held set {unknown[0]} cannot be trusted, so its objects are unknown"
        return Check(HOLDS, UNPROVEN, f"{untrusted}; run backup_set_verify for this set")
    count = sum(is_held is True for is_held in states.values())
    return Check(HOLDS, PASS, f"{count} objects of {len(held)} held sets have a legal hold in the store")
