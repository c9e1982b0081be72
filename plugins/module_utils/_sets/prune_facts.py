# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts for the planner of prunes, read from a verified repository. Unreadable or untrusted data is an error here."""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import BackupError, ObjectMissing, TamperedData
from .._evidence import access, drill_set
from .._evidence.access import Opened
from .._report.check import FAIL, PASS
from .._repository import decisions, layout, objects, parts, records, selection
from .._repository import entry as entries
from .._repository.catalog import SetRecord
from .._repository.manifest import Manifest
from .._repository.retention.facts import Facts, SetFacts
from .._storage.base import ObjectStat, Store

FOLDERS = (layout.SETS, layout.OBJECTS, layout.CHECKPOINTS, layout.DRILLS)


class RecipientResult(t.TypedDict):
    """A recipient of the remaining sets. `current` is true if the newest set is encrypted for it."""

    recipient: str
    sets: int
    newest_set: str
    committed: str
    current: bool


def read(opened: Opened) -> tuple[Facts, dict[str, Manifest]]:
    """Return the facts, and the manifests of their sets. Raises TamperedData, KeyProblem, ObjectMissing, VersionMismatch."""
    stored = tuple(one for folder in FOLDERS for one in opened.store.list(folder))
    sizes = {one.key: one.size for one in stored}
    tested = [one for one in selection.drills(opened.journal.of_kind(entries.DRILL)) if one.tested]
    drilled, passed = {one.set_id: one.verdict for one in tested}, {one.set_id for one in tested if one.verdict == PASS}
    held = decisions.holds(opened.journal.of_kind(entries.HOLD))
    failed = decisions.failed(opened.journal.of_kind(entries.VERIFICATION))
    alive = opened.catalog.sets()
    manifests = {set_id: _trusted(found) for set_id, found in opened.catalog.manifests(alive).items()}
    sets = tuple(
        dataclasses.replace(
            _set(one, manifests[one.set_id], _problem(opened.store, manifests[one.set_id], sizes)),
            drill=drilled.get(one.set_id),
            ever_passed=one.set_id in passed,
            failed=one.set_id in failed,
            holds=tuple(held.get(one.set_id, ())),
        )
        for one in alive
    )
    facts = Facts(
        now=access.now(),
        sets=sets,
        stored=stored,
        pruned=frozenset(opened.catalog.pruned()),
        claims=_claims(opened, stored, {one.set_id for one in opened.catalog.committed()}),
        entered=_entered(opened),
        locked_until=opened.store.locked_until,
        is_held=opened.store.is_held,
    )
    return facts, manifests


def _trusted(found: Manifest | BackupError) -> Manifest:
    if isinstance(found, BackupError):
        raise found
    return found


def _set(record: SetRecord, manifest: Manifest, problem: str) -> SetFacts:
    return SetFacts(
        set_id=record.set_id,
        sequence=record.entry.sequence,
        committed=record.entry.judged,
        size=manifest.data_size,
        contents=frozenset({one.database for one in manifest.sources} | (drill_set.by_class(manifest.artifacts).keys() - {"databases"})),
        artifacts=frozenset(one.path for one in manifest.artifacts),
        problem=problem,
    )


def _problem(store: Store, manifest: Manifest, sizes: t.Mapping[str, int]) -> str:
    wrong = [one.path for one in manifest.artifacts if not objects.is_there(store, one, sizes)]
    if wrong:
        return f"{wrong[0]} is missing or has another size"
    if manifest.pairing.verdict == FAIL:
        return "its own secrets do not decrypt its database"
    return ""


def _claims(opened: Opened, stored: t.Iterable[ObjectStat], committed: t.Collection[str]) -> dict[str, frozenset[str]]:
    """Return the keys named by parts of open sets.

    The signatures of parts are not verified, so these keys are only used to protect objects from deletion.
    """
    places = (one.key.split("/") for one in stored)
    found = {}
    for set_id in {place[1] for place in places if place[0] == layout.SETS and place[2:3] == ["parts"] and layout.is_id(place[1])}:
        if set_id in committed:
            continue
        try:
            contents = parts.read_unsigned(opened.store, set_id)
        except (ObjectMissing, TamperedData):  # The run is just ending, or the file is not a valid part.
            continue
        found[set_id] = frozenset(path for content in contents.values() for path in _paths(content))
    return found


def _paths(value: t.Any) -> t.Iterator[str]:
    """Yield every `path` in a part, at any depth."""
    if isinstance(value, dict):
        if isinstance(value.get("path"), str):
            yield value["path"]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _paths(one)


def _entered(opened: Opened) -> frozenset[str]:
    """Return the IDs of the checkpoints and drills that the journal names."""
    checkpoints = {records.checkpoint(one).checkpoint_id for one in opened.journal.of_kind(entries.CHECKPOINT)}
    return frozenset(checkpoints | {one.drill_id for one in selection.drills(opened.journal.of_kind(entries.DRILL))})


def recipients(opened: Opened, facts: Facts, manifests: t.Mapping[str, Manifest], ends: t.Collection[str]) -> list[RecipientResult]:
    """Return the recipients of the sets that stay. Each identity is needed until the newest set of its recipient ends."""
    stay = [one for one in facts.sets if one.set_id not in ends]
    found: dict[str, list[SetFacts]] = {}
    for one in stay:
        for recipient in {name for artifact in manifests[one.set_id].artifacts for name in artifact.recipients}:
            found.setdefault(recipient, []).append(one)
    return [
        {
            "recipient": recipient,
            "sets": len(sets),
            "newest_set": sets[-1].set_id,
            "committed": access.timestamp(sets[-1].committed),
            "current": sets[-1] is stay[-1],
        }
        for recipient, sets in sorted(found.items())
    ]
