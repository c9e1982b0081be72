# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the journal's entries about the life of sets say in their bodies: prunes, holds, proofs of an identity, verifications."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from . import layout
from .entry import CORRECTION, ESCROW, FINDING, GENESIS, HOLD, VERIFICATION, Entry, Subject, body, subject
from .fields import SHA256, Fields, timestamp

HELD, RELEASED = "held", "released"
TIME, EVERYTHING = "time", "everything"
# What a correction says of findings: they are known, and no failure until it expires.
ACKNOWLEDGED = "acknowledged"


@dataclasses.dataclass(frozen=True)
class Prune:
    """Written before anything is deleted. `sets` has the reason by set, `keys` everything that is to go, `bytes` their size."""

    sets: dict[str, str]
    keys: tuple[str, ...]
    bytes: int

    def to_body(self) -> dict[str, object]:
        return {**dataclasses.asdict(self), "keys": list(self.keys)}


def prune(entry: Entry) -> Prune:
    """From a verified entry. Raises TamperedData, also when it ends a set without naming its manifest."""
    fields = body(entry)
    found = Prune(fields.table("sets"), fields.texts("keys"), fields.integer("bytes"))
    fields.end()
    if not all(layout.is_id(one) and layout.manifest_key(one) in entry.subjects for one in found.sets):
        raise fields.fault("prunes a set but does not name its manifest")
    return found


@dataclasses.dataclass(frozen=True)
class Hold:
    """Whether set `set_id` is held under `name`, the number of a case or the like; several holds on one set end one by one."""

    set_id: str
    name: str
    state: str
    reason: str

    def to_body(self) -> dict[str, object]:
        return {"set": self.set_id, "hold": self.name, "state": self.state, "reason": self.reason}


# Set → name → hold.
Holds = dict[str, dict[str, Hold]]


def hold(entry: Entry) -> Hold:
    """From a verified entry. Raises TamperedData."""
    fields = body(entry)
    found = Hold(fields.text("set"), fields.text("hold"), fields.one_of("state", (HELD, RELEASED)), fields.text("reason"))
    fields.end()
    _about_a_set(entry, fields, found.set_id)
    return found


def enter(standing: Holds, entry: Entry) -> None:
    """Put a hold to those that stand, or take one that is released away. Raises TamperedData."""
    one = hold(entry)
    of_set = standing.setdefault(one.set_id, {})
    of_set.pop(one.name, None)
    if one.state == HELD:
        of_set[one.name] = one


def holds(found: t.Iterable[Entry]) -> Holds:
    """The holds that no later entry has released. Raises TamperedData."""
    standing: Holds = {}
    for entry in found:
        if entry.kind == HOLD:
            enter(standing, entry)
    return {set_id: of_set for set_id, of_set in standing.items() if of_set}


def told(of_set: t.Mapping[str, Hold]) -> list[dict[str, str]]:
    """The holds of a set as modules return them."""
    return [{"hold": one.name, "reason": one.reason} for _name, one in sorted(of_set.items())]


@dataclasses.dataclass(frozen=True)
class Escrow:
    """Identities, by the fingerprints of their recipients, each of which opens all that is sealed to it of a set with that many sealed
    objects; by their headers alone."""

    set_id: str
    recipients: tuple[str, ...]
    objects: int

    def to_body(self) -> dict[str, object]:
        return {"set": self.set_id, "recipients": list(self.recipients), "objects": self.objects}


def escrow(entry: Entry) -> Escrow:
    """From a verified entry. Raises TamperedData."""
    fields = body(entry)
    found = Escrow(fields.text("set"), fields.texts("recipients"), fields.integer("objects"))
    fields.end()
    _about_a_set(entry, fields, found.set_id)
    return found


def escrows(found: t.Iterable[Entry]) -> dict[str, Entry]:
    """Fingerprint of a recipient → the newest entry that proves its identity. Raises TamperedData."""
    return {one: entry for entry in found if entry.kind == ESCROW for one in escrow(entry).recipients}


@dataclasses.dataclass(frozen=True)
class Verification:
    """Part `part` of `parts` of all stored bytes was read; `failed` are the sets in which something was wrong."""

    parts: int
    part: int
    objects: int
    failed: tuple[str, ...]

    def to_body(self) -> dict[str, object]:
        return {**dataclasses.asdict(self), "failed": list(self.failed)}


def verification(entry: Entry) -> Verification:
    """From a verified entry. Raises TamperedData."""
    fields = body(entry)
    found = Verification(fields.integer("parts"), fields.integer("part"), fields.integer("objects"), fields.texts("failed"))
    fields.end()
    if not 1 <= found.part <= found.parts:
        raise fields.fault("names a part that does not exist")
    return found


def verifications(found: t.Iterable[Entry]) -> list[Verification]:
    """Oldest first. Raises TamperedData."""
    return [verification(one) for one in found if one.kind == VERIFICATION]


def failed(found: t.Iterable[Entry]) -> set[str]:
    """Sets in which a verification found something wrong, and no later one of the same part, or of everything, found it right."""
    wrong: dict[str, set[tuple[int, int]]] = {}
    for one in verifications(found):
        for set_id, where in wrong.items():
            if set_id not in one.failed and one.parts == 1:
                where.clear()
            elif set_id not in one.failed:
                where.discard((one.parts, one.part))
        for set_id in one.failed:
            wrong.setdefault(set_id, set()).add((one.parts, one.part))
    return {set_id for set_id, where in wrong.items() if where}


@dataclasses.dataclass(frozen=True)
class Correction:
    """An operator's decision on earlier entries (number → SHA-256).

    Their time or everything that they say is not trusted; or `findings` that they record, by digest, are acknowledged until `expires`.
    """

    entries: dict[int, str]
    what: str
    reason: str
    findings: tuple[str, ...] = ()
    expires: datetime.datetime | None = None

    def to_body(self) -> dict[str, object]:
        said: dict[str, object] = {"what": self.what, "reason": self.reason}
        if self.expires is None:
            return said
        return {**said, "findings": list(self.findings), "expires": timestamp(self.expires)}

    def to_subjects(self) -> list[Subject]:
        return [subject(layout.entry_key(number), digest) for number, digest in sorted(self.entries.items())]


def correction(entry: Entry, earlier: t.Sequence[Entry]) -> Correction:
    """From a verified entry and those before it. Raises TamperedData; the first entry and corrections themselves stand.

    By its own number it names what lay there and was no entry, which the operator refused: readers need not be told, since it fits nowhere.
    """
    fields = body(entry)
    said = acknowledgement(entry) or Correction({}, fields.one_of("what", (TIME, EVERYTHING)), fields.text("reason"))
    found = {one.sequence: one.sha256 for one in earlier if entry.subjects.get(layout.entry_key(one.sequence)) == one.sha256}
    wrong = [one for one in earlier if one.sequence in found and not is_about(said.what, one.kind)]
    if said.what != ACKNOWLEDGED:
        fields.end()
    if entry.subjects.keys() - {layout.entry_key(one) for one in (*found, entry.sequence)} or wrong:
        raise fields.fault("names an entry that does not exist or cannot be corrected")
    return dataclasses.replace(said, entries=found)


def is_about(what: str, kind: str) -> bool:
    """Whether a correction that says `what` can be about entries of a kind."""
    return kind == FINDING if what == ACKNOWLEDGED else kind not in (GENESIS, CORRECTION)


def acknowledgement(entry: Entry) -> Correction | None:
    """What a correction acknowledges, without the entries; None for one that says something else. Raises TamperedData."""
    if entry.body.get("what") != ACKNOWLEDGED:
        return None
    fields = body(entry)
    found = Correction({}, fields.text("what"), fields.text("reason"), fields.texts("findings"), fields.time("expires"))
    fields.end()
    if not found.findings or not all(SHA256.match(one) for one in found.findings):
        raise fields.fault("does not name the digests of the findings that it acknowledges")
    return found


def _about_a_set(entry: Entry, fields: Fields, set_id: str) -> None:
    if not layout.is_id(set_id) or list(entry.subjects) != [layout.manifest_key(set_id)]:
        raise fields.fault("does not name the manifest of its set")
