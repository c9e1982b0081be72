# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: correct or revoke earlier journal entries, or acknowledge findings in them."""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t

from .._ansible.boundary import Invocation
from .._crypto.signing import Signer
from .._errors import ObjectMissing, OptionError
from .._evidence import access, restore_entry
from .._evidence.access import JournalResult, Opened
from .._options import declared
from .._options.declared import Path, Rules, needed
from .._options.shared import RepositoryOptions
from .._repository import decisions, findings, layout, slots
from .._repository import entry as entries
from .._repository import journal as journals
from .._repository.decisions import ACKNOWLEDGED, EVERYTHING, Correction
from .._repository.findings import Standing

TEXT_LIMIT = 1000
# The longest duration of an acknowledgement, in days.
LONGEST = 400
_DIGEST = re.compile(r"[0-9a-f]{16,64}\Z")
_NAMED = re.compile(r"([1-9][0-9]{0,9})-([0-9a-f]{16,64})\Z")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    RULES = Rules(
        mutually_exclusive=(("entries", "findings"),),
        required_together=(("findings", "expires"),),
        required_one_of=(("entries", "findings"),),
    )

    access: RepositoryOptions
    signing_key: Path
    entries: tuple[str, ...] | None = None
    what: t.Literal["time", "everything"] = "time"
    findings: tuple[str, ...] | None = None
    expires: str | None = None
    reason: str


class CorrectResult(JournalResult):
    """The corrected entries, by number and digest."""

    changed: bool
    entries: list[str]


class AcknowledgeResult(CorrectResult):
    """The corrected entries with the acknowledged findings, by digest and message."""

    findings: list[dict[str, str]]


def run(invocation: Invocation[Options]) -> CorrectResult:
    given = invocation.options
    if len(given.reason) > TEXT_LIMIT or not given.reason.isprintable() or not given.reason.strip():
        raise OptionError(f"reason is empty, has more than {TEXT_LIMIT} characters or is not one line; write one line of plain text")
    if given.findings is not None:
        return _acknowledged(invocation)
    named = _named(given.entries or ())
    opened = access.open_repository(given.access, named, given.what)
    wanted = Correction(_found(opened, named), given.what, given.reason)
    signer = restore_entry.signer(opened, given.access.deployment, given.signing_key)
    opened.store.check_writable(probe=False)
    fresh = {number for number in wanted.entries if not _stands(opened, number, wanted.what)}
    if fresh and not invocation.check_mode:
        _enter(opened, signer, wanted)
    opened.mark.advance(opened.journal, dry=invocation.check_mode)
    return {
        "changed": bool(fresh),
        "entries": [f"{number}-{digest[:16]}" for number, digest in sorted(wanted.entries.items())],
        "journal_head": opened.head,
        "diff": {"before": "", "after": "".join(f"entry {one}: {wanted.what} is not trusted\n" for one in sorted(fresh))},
    }


def _acknowledged(invocation: Invocation[Options]) -> AcknowledgeResult:
    """Acknowledge findings that the journal records. Until the acknowledgement expires, they are warnings."""
    given = invocation.options
    expires = _expiry(needed(given.expires, "expires"), access.now())
    opened = access.open_repository(given.access, everything=True)
    found = _standing(opened, given.findings or ())
    fresh = [one for one in found if one.acknowledged is None or one.acknowledged.expires != expires]
    signer = restore_entry.signer(opened, given.access.deployment, given.signing_key)
    opened.store.check_writable(probe=False)
    if fresh and not invocation.check_mode:
        digests = tuple(one.finding.digest for one in fresh)
        entered = {one.entry.sequence: one.entry.sha256 for one in fresh}
        _enter(opened, signer, Correction(entered, ACKNOWLEDGED, given.reason, digests, expires))
    opened.mark.advance(opened.journal, dry=invocation.check_mode)
    return {
        "changed": bool(fresh),
        "entries": sorted({f"{one.entry.sequence}-{one.entry.sha256[:16]}" for one in found}),
        "findings": [{"digest": one.finding.digest, "message": one.finding.message} for one in found],
        "journal_head": opened.head,
        "diff": {"before": "", "after": "".join(f"acknowledged until {given.expires}: {one.finding.message}\n" for one in fresh)},
    }


def _expiry(text: str, now: datetime.datetime) -> datetime.datetime:
    """Return the end of that day. Raises OptionError."""
    try:
        day = datetime.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=datetime.timezone.utc)
    except ValueError as exc:
        raise OptionError(f"expires {text[:40]!a} is not a date; give one such as 2027-01-31") from exc
    end = day + datetime.timedelta(days=1)
    if not now < end <= now + datetime.timedelta(days=LONGEST + 1):
        raise OptionError(
            f"expires {text} is in the past or more than {LONGEST} days ahead; give an earlier date and acknowledge again when it expires"
        )
    return end


def _standing(opened: Opened, wanted: t.Sequence[str]) -> list[Standing]:
    """Return the wanted findings. Raises OptionError, and ObjectMissing for a finding that the journal does not contain."""
    if not wanted or not all(_DIGEST.match(one) for one in wanted):
        raise OptionError("findings must be a list of digests, at least the first 16 hex digits of each; copy them from the message")
    known = findings.standing(opened.journal, access.now())
    found: list[Standing] = []
    for digits in dict.fromkeys(wanted):
        named = [one for one in known if one.finding.digest.startswith(digits)]
        if not named:
            raise ObjectMissing(
                f"the journal of {opened.store.location} contains no finding {digits[:16]}; copy the digest from the message"
            )
        if len(named) > 1:
            raise OptionError(f"findings: {digits[:16]} matches {len(named)} digests; find out who recorded them, then give all 64 digits")
        found += named
    return found


def _named(texts: t.Sequence[str]) -> dict[int, str]:
    """Return the first digits of the digests by entry number. Raises OptionError."""
    found = [_NAMED.match(one) for one in texts]
    if not texts or not all(found):
        raise OptionError(
            "entries must be a list of entries with number and digest, such as 5-55d48375753aa8f2; copy them from the message"
        )
    return {int(one[1]): one[2] for one in found if one}


def _found(opened: Opened, named: t.Mapping[int, str]) -> dict[int, str]:
    """Return the full digests by entry number.

    Raises ObjectMissing for an unknown entry, and OptionError for an entry that cannot be corrected.
    """
    there = {one.sequence: one.sha256 for one in opened.journal.entries}
    for number, digits in named.items():
        if there.get(number, "").startswith(digits) and not opened.journal.is_correctable(number):
            raise OptionError("entries names the first entry or a correction, which cannot be corrected; name the wrong entry itself")
    found = {number: digest for one in (there, _refused(opened), _next(opened, named)) for number, digest in one.items() if number in named}
    for number, digits in named.items():
        if not found.get(number, "").startswith(digits):
            raise ObjectMissing(
                f"the journal of {opened.store.location} contains no entry {number}-{digits[:16]}; copy it from the message"
            )
    return found


def _refused(opened: Opened) -> dict[int, str]:
    """Return the digests of entries that corrections have replaced, by number."""
    corrections = opened.journal.of_kind(entries.CORRECTION)
    return {one.sequence: digest for one in corrections if (digest := one.subjects.get(layout.entry_key(one.sequence)))}


def _next(opened: Opened, named: t.Mapping[int, str]) -> dict[int, str]:
    """Return an entry at the journal's next number that a trusted key signed but that does not fit. The correction replaces it."""
    number = opened.journal.head.sequence + 1
    if layout.entry_key(number) not in opened.journal.unsigned:
        return {}
    found = (data for data, _signature in slots.pairs(opened.store, number) if slots.is_named(data, named.get(number)))
    first = next(found, None)
    return {} if first is None else {number: entries.sha256(first)}


def _stands(opened: Opened, number: int, what: str) -> bool:
    """Return whether a correction in the journal already has this effect on an entry."""
    if number in _refused(opened):
        return True
    known = opened.journal.entries
    corrections = [decisions.correction(one, opened.journal.as_written(one.sequence)) for one in known if one.kind == entries.CORRECTION]
    return any(number in one.entries and one.what in (what, EVERYTHING) for one in corrections)


def _enter(opened: Opened, signer: Signer, wanted: Correction) -> None:
    times, machine = access.times(), access.machine()
    subjects, body = wanted.to_subjects(), wanted.to_body()
    journals.append(opened.repository, opened.journal, signer, entries.CORRECTION, subjects, body, time=times, machine=machine)
