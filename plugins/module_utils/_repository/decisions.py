# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bodies of journal entries about the life of sets: prunes, holds, escrow proofs and verifications."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from . import layout
from .entry import CORRECTION, ESCROW, FINDING, GENESIS, HOLD, VERIFICATION, Entry, Subject, body, subject
from .fields import SHA256, Fields, timestamp

HELD, RELEASED = "held", "released"
TIME, EVERYTHING = "time", "everything"
# A correction that acknowledges findings: they are known and do not fail a check until it expires.
ACKNOWLEDGED = "acknowledged"


@dataclasses.dataclass(frozen=True)
class Prune:
    """A prune, recorded before anything is deleted.

    `sets` has the reason by set, `keys` all objects to delete, `bytes` their total size.
    """

    sets: dict[str, str]
    keys: tuple[str, ...]
    bytes: int

    def to_body(self) -> dict[str, object]:
        return {**dataclasses.asdict(self), "keys": list(self.keys)}


def prune(entry: Entry) -> Prune:
    """Parse a verified entry. Raises TamperedData, also if it ends a set without naming its manifest."""
    fields = body(entry)
    found = Prune(fields.table("sets"), fields.texts("keys"), fields.integer("bytes"))
    fields.end()
    if not all(layout.is_id(one) and layout.manifest_key(one) in entry.subjects for one in found.sets):
        raise fields.fault("prunes a set but does not name its manifest")
    return found


@dataclasses.dataclass(frozen=True)
class Hold:
    """The state of one hold on set `set_id`. `name` can be the number of a legal case.

    A set can have several holds, and each is released separately.
    """

    set_id: str
    name: str
    state: str
    reason: str

    def to_body(self) -> dict[str, object]:
        return {"set": self.set_id, "hold": self.name, "state": self.state, "reason": self.reason}


# Set ID → hold name → hold.
Holds = dict[str, dict[str, Hold]]


def hold(entry: Entry) -> Hold:
    """Parse a verified entry. Raises TamperedData."""
    fields = body(entry)
    found = Hold(fields.text("set"), fields.text("hold"), fields.one_of("state", (HELD, RELEASED)), fields.text("reason"))
    fields.end()
    _about_a_set(entry, fields, found.set_id)
    return found


def enter(standing: Holds, entry: Entry) -> None:
    """Add a hold to the active holds, or remove a released one. Raises TamperedData."""
    one = hold(entry)
    of_set = standing.setdefault(one.set_id, {})
    of_set.pop(one.name, None)
    if one.state == HELD:
        of_set[one.name] = one


def holds(found: t.Iterable[Entry]) -> Holds:
    """Return the holds that were not released later. Raises TamperedData."""
    standing: Holds = {}
    for entry in found:
        if entry.kind == HOLD:
            enter(standing, entry)
    return {set_id: of_set for set_id, of_set in standing.items() if of_set}


def results(of_set: t.Mapping[str, Hold]) -> list[dict[str, str]]:
    """Return the holds of a set in the form that modules return."""
    return [{"hold": one.name, "reason": one.reason} for _name, one in sorted(of_set.items())]


@dataclasses.dataclass(frozen=True)
class Escrow:
    """A proof that identities exist. Each can decrypt all artifacts of a set that are encrypted for it.

    `recipients` are the fingerprints of their recipients, `objects` the number of encrypted objects of the set. Only
    the headers of the artifacts were decrypted.
    """

    set_id: str
    recipients: tuple[str, ...]
    objects: int

    def to_body(self) -> dict[str, object]:
        return {"set": self.set_id, "recipients": list(self.recipients), "objects": self.objects}


def escrow(entry: Entry) -> Escrow:
    """Parse a verified entry. Raises TamperedData."""
    fields = body(entry)
    found = Escrow(fields.text("set"), fields.texts("recipients"), fields.integer("objects"))
    fields.end()
    _about_a_set(entry, fields, found.set_id)
    return found


def escrows(found: t.Iterable[Entry]) -> dict[str, Entry]:
    """Return the newest entry that proves the identity of each recipient, by fingerprint. Raises TamperedData."""
    return {one: entry for entry in found if entry.kind == ESCROW for one in escrow(entry).recipients}


@dataclasses.dataclass(frozen=True)
class Verification:
    """A verification of part `part` of `parts` of all stored bytes. `failed` are the sets with a fault."""

    parts: int
    part: int
    objects: int
    failed: tuple[str, ...]

    def to_body(self) -> dict[str, object]:
        return {**dataclasses.asdict(self), "failed": list(self.failed)}


def verification(entry: Entry) -> Verification:
    """Parse a verified entry. Raises TamperedData."""
    fields = body(entry)
    found = Verification(fields.integer("parts"), fields.integer("part"), fields.integer("objects"), fields.texts("failed"))
    fields.end()
    if not 1 <= found.part <= found.parts:
        raise fields.fault("names a part that does not exist")
    return found


def verifications(found: t.Iterable[Entry]) -> list[Verification]:
    """Return the verifications, oldest first. Raises TamperedData."""
    return [verification(one) for one in found if one.kind == VERIFICATION]


def failed(found: t.Iterable[Entry]) -> set[str]:
    """Return the sets with a fault that was not cleared by a later verification of the same part or of everything."""
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

    It withdraws trust in their time, or in all of their content. Or it acknowledges `findings` that they record, by
    digest, until `expires`.
    """

    entries: dict[int, str]
    what: str
    reason: str
    findings: tuple[str, ...] = ()
    expires: datetime.datetime | None = None

    def to_body(self) -> dict[str, object]:
        content: dict[str, object] = {"what": self.what, "reason": self.reason}
        if self.expires is None:
            return content
        return {**content, "findings": list(self.findings), "expires": timestamp(self.expires)}

    def to_subjects(self) -> list[Subject]:
        return [subject(layout.entry_key(number), digest) for number, digest in sorted(self.entries.items())]


def correction(entry: Entry, earlier: t.Sequence[Entry]) -> Correction:
    """Parse a verified entry, given the entries before it.

    Raises TamperedData, also for a correction of the first entry or of another correction. A correction can name its
    own number: this records that the operator refused other data stored at that number. Readers ignore such data
    anyway, since it fits nowhere in the chain.
    """
    fields = body(entry)
    parsed = acknowledgement(entry) or Correction({}, fields.one_of("what", (TIME, EVERYTHING)), fields.text("reason"))
    found = {one.sequence: one.sha256 for one in earlier if entry.subjects.get(layout.entry_key(one.sequence)) == one.sha256}
    wrong = [one for one in earlier if one.sequence in found and not is_about(parsed.what, one.kind)]
    if parsed.what != ACKNOWLEDGED:
        fields.end()
    if entry.subjects.keys() - {layout.entry_key(one) for one in (*found, entry.sequence)} or wrong:
        raise fields.fault("names an entry that does not exist or cannot be corrected")
    return dataclasses.replace(parsed, entries=found)


def is_about(what: str, kind: str) -> bool:
    """Return whether a correction of this type (`what`) can apply to entries of `kind`."""
    return kind == FINDING if what == ACKNOWLEDGED else kind not in (GENESIS, CORRECTION)


def acknowledgement(entry: Entry) -> Correction | None:
    """Return the acknowledgement in a correction, without its entries; None for other corrections. Raises TamperedData."""
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
