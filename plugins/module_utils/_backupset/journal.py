# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The repository's one signed, hash-chained record: what happened, in an order that nobody can change unseen."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from .._crypto.allowed_signers import Verifier
from .._crypto.signing import Signer
from .._errors import Busy, ObjectExists, ObjectMissing, StorageError, TamperedData
from . import entry as entries
from . import layout, records
from .entry import Draft, Entry, Subject
from .fields import Fields

if t.TYPE_CHECKING:
    from .repository import Repository

GENESIS_SEQUENCE = 1
ATTEMPTS = 20


@dataclasses.dataclass(frozen=True)
class Head:
    """The newest entry. As text it goes into reports and mailboxes, which so become witnesses."""

    sequence: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.sequence}-{self.sha256[:16]}"


class Journal:
    """Verified entries in order. `append` and `refresh` add to it; nothing is ever taken away."""

    def __init__(self, repository_id: str, deployment: str, verifier: Verifier) -> None:
        self.repository_id = repository_id
        self.deployment = deployment
        self.verifier = verifier
        self._entries: list[Entry] = []

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(self._entries)

    @property
    def head(self) -> Head:
        """Number 0 and no digest before genesis."""
        return Head(self._entries[-1].sequence, self._entries[-1].sha256) if self._entries else Head(0, "")

    def of_kind(self, kind: str) -> list[Entry]:
        return [one for one in self._entries if one.kind == kind]

    def system_identifiers(self) -> set[str]:
        """Of every cluster that a set or a checkpoint was made from, so that no restore meets one by accident."""
        found = {records.checkpoint(one).system_identifier for one in self.of_kind(entries.CHECKPOINT)}
        for one in self.of_kind(entries.SET):
            for source in Fields(one.body, f"entry {one.sequence} of the journal").inners("source"):
                found.add(source.text("system_identifier"))
        return found

    def check(self, data: bytes, signature: bytes, name: str) -> Entry:
        """The entry in `data`, which must be the one that follows the head. Raises TamperedData, KeyProblem, VersionMismatch.

        A signer must have been valid at the latest time that the chain has reached, so that a retired key which
        dates its entry back is still refused; a time in the future counts as now.
        """
        authentic = self.verifier.authenticate(data, signature, layout.NAMESPACE_JOURNAL, name)
        found = entries.parse(data, name, self.repository_id, self.deployment)
        head = self.head
        if found.sequence != head.sequence + 1:
            raise TamperedData(
                f"{name} says that it is number {found.sequence}; entries were exchanged, use another copy of the repository"
            )
        if found.previous != (head.sha256 or None):
            raise TamperedData(f"{name} does not follow entry {head}; the journal was altered, use another copy of the repository")
        if (found.kind == entries.GENESIS) != (found.sequence == GENESIS_SEQUENCE):
            raise TamperedData(f"{name} is of kind {found.kind}; a journal has one genesis entry, its first, use another copy")
        entries.check_role(found.kind, found.principal, self.deployment, name)
        earlier = self._entries[-1].judged if self._entries else found.judged
        judged = min(max(earlier, found.judged), self.verifier.now())
        authentic.signed_by(found.principal, judged)
        return dataclasses.replace(found, judged=judged)

    def add(self, checked: Entry) -> None:
        self._entries.append(checked)


def read(repository: Repository, verifier: Verifier) -> Journal:
    """The whole journal, every signature, number, digest and id verified. Raises TamperedData, KeyProblem, VersionMismatch."""
    journal = Journal(repository.id, repository.deployment, verifier)
    refresh(repository, journal)
    if not journal.entries:
        raise TamperedData(f"the journal of {repository.store.location} has no entry; use another copy of the repository")
    if journal.entries[0].subjects != {layout.REPOSITORY: repository.sha256}:
        raise TamperedData(f"the journal of {repository.store.location} began for another {layout.REPOSITORY}; use another copy")
    return journal


def refresh(repository: Repository, journal: Journal) -> None:
    """Read and verify what was appended since."""
    store = repository.store
    found = {layout.entry_sequence(one.key) for one in store.list(layout.JOURNAL)} - {None}
    last = max((number for number in found if number is not None), default=0)
    if last < journal.head.sequence:
        raise TamperedData(f"the journal of {store.location} ends at {last}, and had {journal.head.sequence} before; it was rolled back")

    def fetch(sequence: int) -> tuple[str, bytes, bytes]:
        """Its name, the entry, and the signature of just these bytes."""
        name = f"{store.location}/{layout.entry_key(sequence)}"
        try:
            data = store.read(layout.entry_key(sequence))
            return name, data, store.read(layout.entry_signature_key(sequence, entries.sha256(data)))
        except ObjectMissing as exc:
            what = "is missing" if sequence not in found else "has no signature of its own"
            raise TamperedData(f"{name} {what}, and the journal goes up to {last}; use another copy of the repository") from exc

    with contextlib.closing(store.overlapped(fetch, range(journal.head.sequence + 1, last + 1))) as fetched:
        for name, data, signature in fetched:
            journal.add(journal.check(data, signature, name))


def append(
    repository: Repository,
    journal: Journal,
    signer: Signer,
    kind: str,
    subjects: t.Sequence[Subject],
    body: t.Mapping[str, t.Any],
    *,
    time: t.Mapping[str, str | None],
    machine: str,
) -> Entry:
    """Add an entry to the repository and to `journal`; when somebody else was faster, read theirs and try again.

    Raises KeyProblem when readers would not believe the signer, Busy when others are always faster.
    """
    draft = Draft(kind, subjects, body, time, machine)
    for _attempt in range(ATTEMPTS):
        try:
            return append_once(repository, journal, signer, draft)
        except ObjectExists:
            refresh(repository, journal)
    raise Busy(f"the journal of {repository.store.location} was appended to by others {ATTEMPTS} times in a row; try again")


def append_once(repository: Repository, journal: Journal, signer: Signer, draft: Draft) -> Entry:
    """The same without a second try. Raises ObjectExists when the number is taken."""
    store, head = repository.store, journal.head
    sequence = head.sequence + 1
    name = f"{store.location}/{layout.entry_key(sequence)}"
    data = entries.to_bytes(draft, journal.repository_id, journal.deployment, sequence, head.sha256 or None, signer.principal)
    signature = signer.sign(data, layout.NAMESPACE_JOURNAL)
    # What we could not read back must not be written: it would end the journal for everybody.
    checked = journal.check(data, signature, name)
    _put_signature(repository, layout.entry_signature_key(sequence, checked.sha256), signature)
    store.put(layout.entry_key(sequence), data)
    journal.add(checked)
    return checked


def _put_signature(repository: Repository, key: str, signature: bytes) -> None:
    try:
        repository.store.put(key, signature)
    except ObjectExists as exc:
        if repository.store.read(key) != signature:
            raise StorageError(f"{repository.store.location}/{key} exists with other content; remove it and find out who made it") from exc
