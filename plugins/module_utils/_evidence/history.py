# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Differences in audit rows that sets or checkpoints have found, from the journal and from their signed files.

The next set contains the changed rows in its own blocks, so later sets match it. A difference that was found once therefore
fails each later verification until the operator acknowledges it.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._caracal import findings as findings_of
from .._caracal.chains import block_history
from .._crypto.signing import Signer
from .._errors import BackupError, OptionError, printable
from .._report.check import FAIL, PASS, UNPROVEN, WARN, Check, CheckResult
from .._repository import entry as entries
from .._repository import findings, layout
from .._repository import journal as journals
from .._repository.entry import Entry
from .._repository.fields import SHA256, timestamp
from .._repository.findings import FindingEntry, Recorded, Standing
from . import access, baseline
from .access import Opened

CHECK_ID = "blocks.history"
LISTED = 50
NAMED = 5


def acknowledged(opened: Opened) -> frozenset[str]:
    """Return the digests of findings that an operator has acknowledged and whose acknowledgement has not expired."""
    return frozenset(findings.acknowledgements(opened.journal, access.now()))


def of_checks(checks: t.Iterable[CheckResult]) -> tuple[Recorded, ...]:
    """Return the findings to record from checks in the format of results. Raise OptionError for a digest that readers would refuse."""
    return _recorded((one["id"], recorded) for one in checks for recorded in one.get("details", {}).get("recorded", ()))


def _recorded(differences: t.Iterable[tuple[str, t.Mapping[str, str]]]) -> tuple[Recorded, ...]:
    found = tuple(Recorded(check, one["digest"], printable(one["message"])[: findings.MESSAGE_LIMIT]) for check, one in differences)
    for one in found:
        if not SHA256.match(one.digest):
            raise OptionError(f"check {one.check} has a finding without a SHA-256 digest; give checks that the modules returned")
    return found


def record(opened: Opened, signer: Signer, found_in: str, found: t.Iterable[Recorded], *, dry: bool = False) -> bool:
    """Record the findings that are not in the journal yet, and return True if there were any.

    Call this before other work that could be interrupted.
    """
    known = {one.finding.digest for one in findings.standing(opened.journal, access.now())}
    new = tuple(one for one in found if one.digest not in known)
    for start in range(0, 0 if dry else len(new), findings.MOST):
        head = opened.journal.head
        body = FindingEntry(found_in, new[start : start + findings.MOST]).to_body()
        subjects = [entries.subject(layout.entry_key(head.sequence), head.sha256)]
        times, machine = access.times(), access.machine()
        journals.append(opened.repository, opened.journal, signer, entries.FINDING, subjects, body, time=times, machine=machine)
    return bool(new)


def in_files(opened: Opened, last: Entry) -> dict[str, tuple[Recorded, ...]]:
    """Return set or checkpoint → differences of its signed blocks from earlier ones, from the whole entry before `last` up to `last`.

    Raises TamperedData, StorageError for files that cannot be read.
    """
    found = {}
    for step in baseline.steps(opened, last):
        differences = block_history.compare_signed(step.known, step.blocks, step.whole, step.release)
        shown = findings_of.to_record(block_history.CHECK_ID, differences)
        found[_name(step.entry)] = _recorded((block_history.CHECK_ID, one) for one in shown)
    return found


def _name(entry: Entry) -> str:
    return str(entry.body.get("set") or entry.body.get("checkpoint"))


def check_set(opened: Opened, entry: Entry) -> Check:
    """Check the findings up to a set, including the differences in its own files and earlier ones."""
    try:
        shown = in_files(opened, entry)
    except BackupError as exc:
        return check(opened, upto=entry.sequence, problem=exc.msg)
    return check(opened, shown, upto=entry.sequence)


def check(
    opened: Opened, shown: t.Mapping[str, t.Sequence[Recorded]] | None = None, *, upto: int | None = None, problem: str = ""
) -> Check:
    """Check that the operator has acknowledged all differences that were found up to entry `upto`.

    `shown` are differences between signed files. `problem` is the reason why they cannot be compared.
    """
    recorded = findings.standing(opened.journal, access.now())
    known = {one.finding.digest for one in recorded}
    standing = [one for one in recorded if one.finding.lasts and (upto is None or one.entry.sequence <= upto)]
    found = [(name, one) for name, some in (shown or {}).items() for one in some if one.lasts]
    unrecorded = [(name, one) for name, one in found if one.digest not in known]
    listed = [*(_open(one) for one in standing if not one.acknowledged), *(_Open(name, None, one) for name, one in unrecorded)]
    accepted = [one for one in standing if one.acknowledged]
    details = {"open": [one.details() for one in listed[:LISTED]], "acknowledged": [_acknowledged(one) for one in accepted[:LISTED]]}
    if listed:
        return Check(CHECK_ID, FAIL, _failed(listed), details=details)
    if problem:
        return Check(CHECK_ID, UNPROVEN, f"the audit blocks of earlier sets cannot be compared: {problem}", False, details)
    if accepted:
        return Check(CHECK_ID, WARN, _accepted(accepted), details=details)
    return Check(CHECK_ID, PASS, "no earlier set or checkpoint found changed audit rows", details=details)


@dataclasses.dataclass(frozen=True)
class _Open:
    """A difference that is not acknowledged. `entry` is the number of the entry that records it, or None."""

    found_in: str
    entry: int | None
    finding: Recorded

    def details(self) -> dict[str, object]:
        found = self.finding
        return {"digest": found.digest, "in": self.found_in, "entry": self.entry, "check": found.check, "message": found.message}


def _open(one: Standing) -> _Open:
    return _Open(one.found_in, one.entry.sequence, one.finding)


def _acknowledged(one: Standing) -> dict[str, object]:
    return {**_open(one).details(), "reason": one.acknowledged.reason if one.acknowledged else "", "expires": _expires(one)}


def _expires(one: Standing) -> str:
    correction = one.acknowledged
    return timestamp(correction.expires) if correction and correction.expires else ""


def _failed(listed: t.Sequence[_Open]) -> str:
    first = listed[0]
    more = f" ({len(listed) - 1} more)" if len(listed) > 1 else ""
    where = f"recorded in journal entry {first.entry}" if first.entry else "visible only in the signed audit blocks"
    digests = [one.finding.digest[:16] for one in listed if one.entry]
    rest = f" and {len(digests) - NAMED} more" if len(digests) > NAMED else ""
    remedy = (
        f"find out who changed the rows, then acknowledge the finding with journal_correct (findings: [{', '.join(digests[:NAMED])}]{rest})"
        if first.entry
        else "run repository_verify with the drill host's signing key to record the finding, then acknowledge it"
    )
    return f"audit rows were changed before {first.found_in} ({where}): {first.finding.message}{more}; {remedy}"


def _accepted(accepted: t.Sequence[Standing]) -> str:
    first = min(accepted, key=_expires)
    more = f" ({len(accepted) - 1} more)" if len(accepted) > 1 else ""
    reason = first.acknowledged.reason if first.acknowledged else ""
    return f"acknowledged until {_expires(first)[:10]}{more}: {first.finding.message}; reason: {reason}"
