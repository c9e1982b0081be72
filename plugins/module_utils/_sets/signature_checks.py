# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of signatures that no chain covers: of drill reports, and in the journal's directory without a matching entry."""

from __future__ import annotations

import contextlib
import re

from .._crypto import sshsig
from .._errors import BackupError
from .._evidence import access
from .._evidence.access import Opened
from .._report.check import FAIL, PASS, UNPROVEN, WARN, Check
from .._report.text import plural
from .._repository import entry as entries
from .._repository import journal as journals
from .._repository import layout
from .._repository.entry import Draft, Entry

REPORTS, SIGNATURES, UNSIGNED = "repository.reports", "journal.signatures", "journal.unsigned"
LISTED = 50
REPORT_LIMIT = 64 << 20
_SIGNATURE = re.compile(r"journal/([0-9]{10})-([0-9a-f]{16})\.sig\Z")


def reports(opened: Opened) -> Check:
    """Check that each report named by an entry has a valid signature of its drill host."""
    faults, count = [], 0
    for entry in opened.journal.of_kind(entries.DRILL):
        for key in entry.subjects:
            drill_id = layout.drill_of(key)
            if drill_id is None:
                continue
            count += 1
            signature = layout.drill_report_signature_key(drill_id)
            try:
                data = opened.catalog.read_named(entry, key, REPORT_LIMIT)
                proof = opened.store.read(signature, sshsig.SIZE_LIMIT)
                opened.verifier.verify(data, proof, layout.NAMESPACE_DRILL, entry.principal, entry.judged, f"{opened.store.location}/{key}")
            except BackupError as exc:
                faults.append(f"{signature}: {exc.msg}")
    if faults:
        return Check(REPORTS, FAIL, f"{faults[0]} ({plural(len(faults), 'fault')})", details={"faults": faults[:LISTED]})
    return Check(REPORTS, PASS, f"{plural(count, 'drill report')}, each signed by the drill host that wrote it", required=False)


def journal(opened: Opened) -> Check:
    """Check for signatures in the journal's directory that belong to none of its entries."""
    if _unlinked(opened):
        # A backup may have appended an entry since the journal was read.
        journals.refresh(opened.repository, opened.journal)
    garbage, forked, beyond = list[str](), list[str](), list[str]()
    for key in _unlinked(opened):
        found = _SIGNATURE.match(key)
        who, explained = _look(opened, key, int(found[1]), found[2]) if found else (None, False)
        if who is None or not found:
            garbage.append(key)
        elif int(found[1]) > opened.journal.head.sequence + 1:
            beyond.append(f"{key} by {who}")
        elif not explained:
            forked.append(f"{key} by {who}")
    details = {"beyond": beyond[:LISTED], "unlinked": forked[:LISTED], "garbage": garbage[:LISTED]}
    if beyond:
        words = f"{beyond[0]} signs an entry that the journal lacks: the journal was rolled back; use a copy that has that entry"
        return Check(SIGNATURES, FAIL, words, details=details)
    if forked:
        words = (
            f"{forked[0]} ({plural(len(forked), 'signature')}) matches no entry: the journal was forked, or a writer was killed. "
            "Compare the journal's head with each host's high-water mark and the last notifications"
        )
        return Check(SIGNATURES, WARN, words, required=False, details=details)
    if garbage:
        words = f"{plural(len(garbage), 'signature')} by unknown keys, which readers ignore, first {garbage[0]}; find out who"
        return Check(SIGNATURES, WARN, f"{words} wrote it", required=False, details=details)
    return Check(SIGNATURES, PASS, "every signature in the journal's folder belongs to an entry", required=False)


def unsigned(opened: Opened) -> list[Check]:
    """Report data after the journal's end that is not an entry.

    If there is a signature of an entry at the same number, the data may be an altered form of that entry.
    """
    if not opened.journal.unsigned:
        return []
    message = access.unsigned_words(opened.store, opened.journal)
    numbers = {layout.entry_sequence(key) for key in opened.journal.unsigned}
    signed = [key for key in _unlinked(opened) if (found := _SIGNATURE.match(key)) and int(found[1]) in numbers and _signer(opened, key)]
    if not signed:
        return [Check(UNSIGNED, WARN, message)]
    words = f"{message}. But {signed[0]} signs an entry at this number, which was altered or not fully written; compare with another copy"
    return [Check(UNSIGNED, UNPROVEN, words, details={"signatures": signed[:LISTED]})]


def _unlinked(opened: Opened) -> list[str]:
    linked = {layout.entry_signature_key(one.sequence, one.sha256) for one in opened.journal.entries}
    return [one.key for one in opened.store.list(layout.JOURNAL) if one.key.endswith(".sig") and one.key not in linked]


def _signer(opened: Opened, key: str) -> tuple[sshsig.Signature, str] | None:
    """Return a signature and its apparent signer.

    Returns None for an unknown signer, and for a copy of an entry's signature, because copying needs no key.
    """
    try:
        data = opened.store.read(key, sshsig.SIZE_LIMIT)
        found = sshsig.parse(data, key)
    except BackupError:
        return None
    who = opened.verifier.principals_of(found, layout.NAMESPACE_JOURNAL)
    return (found, who) if who and not _is_copy(opened, data) else None


def _is_copy(opened: Opened, data: bytes) -> bool:
    for one in opened.journal.as_written():
        with contextlib.suppress(BackupError):
            if opened.store.read(layout.entry_signature_key(one.sequence, one.sha256), sshsig.SIZE_LIMIT) == data:
                return True
    return False


def _look(opened: Opened, key: str, number: int, digits: str) -> tuple[str | None, bool]:
    """Return the apparent signer (None if unknown), and whether the signature is explained by a lost race.

    A writer that loses the race for a number appends the same entry later.
    """
    by = _signer(opened, key)
    if by is None:
        return None, False
    signature, who = by
    written = opened.journal.as_written()
    later = written[number : number + journals.ATTEMPTS]
    before = written[number - 2].sha256 if 2 <= number <= len(written) else None
    drafts = [_as_number(opened, one, number, before) for one in later] if before else []
    return who, any(entries.sha256(data).startswith(digits) and signature.covers(data) for data in drafts)


def _as_number(opened: Opened, entry: Entry, number: int, before: str | None) -> bytes:
    """Return the bytes that the writer would have signed for the entry at that number."""
    subjects = [entries.subject(name, digest) for name, digest in entry.subjects.items()]
    draft = Draft(entry.kind, subjects, entry.body, entry.time, entry.machine)
    return entries.to_bytes(draft, opened.repository.id, opened.repository.deployment, number, before, entry.principal)
