# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The repository's signed, hash-chained journal of events. Their order cannot be changed without detection."""

from __future__ import annotations

import typing as t

from .._crypto.allowed_signers import Verifier
from .._crypto.signing import Signer
from .._errors import Busy, ObjectExists, StorageError, TamperedData
from . import decisions, judging, layout, records, slots
from . import entry as entries
from .entry import Draft, Entry, Head, Subject
from .judging import Signed
from .prefix import Damaged, Prefix
from .repository import Repository
from .slots import Context

ATTEMPTS = 20


class Entries(t.Sequence[Entry]):
    """A selection of journal entries. Each entry is read on access."""

    def __init__(self, journal: Journal, numbers: t.Sequence[int]) -> None:
        self._journal = journal
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __eq__(self, other: object) -> bool:
        """Compare with a list of entries."""
        return isinstance(other, (Entries, list)) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    @t.overload
    def __getitem__(self, index: int) -> Entry: ...

    @t.overload
    def __getitem__(self, index: slice) -> Entries: ...

    def __getitem__(self, index: int | slice) -> Entry | Entries:
        if isinstance(index, slice):
            return Entries(self._journal, self._numbers[index])
        return self._journal.entry(self._numbers[index])


class Journal:
    """Verified entries in order. `append` and `refresh` add entries; entries are never removed."""

    def __init__(
        self,
        repository_id: str,
        deployment: str,
        verifier: Verifier,
        assumed: t.Mapping[int, str] | None = None,
        what: str = decisions.TIME,
    ) -> None:
        """Create a journal without entries.

        `assumed` maps numbers to digests, or their first digits: these entries are read as if an operator had corrected
        them. `unsigned` are keys after the head without a signed entry. `prefix` is the beginning that this host has
        verified before.
        """
        self.repository_id = repository_id
        self.deployment = deployment
        self.verifier = verifier
        self._assumed = (assumed or {}, what)
        self.unsigned: tuple[str, ...] = ()
        self.prefix: Prefix | None = None
        self._again: t.Callable[[], Journal] = lambda: self
        self._cached: dict[int, Entry] = {}
        # Entries after the prefix.
        self._signed: list[Signed] = []
        self._entries: list[Entry] = []

    def begin(self, prefix: Prefix, again: t.Callable[[], Journal]) -> None:
        """Start with the entries that were verified before, as long as their files are valid. `again` reads the whole journal."""
        self.prefix, self._again = prefix, again

    @property
    def entries(self) -> t.Sequence[Entry]:
        return Entries(self, range(1, self.head.sequence + 1)) if self.prefix else tuple(self._entries)

    @property
    def head(self) -> Head:
        """The newest entry; number 0 and an empty digest before the genesis entry."""
        if self._entries:
            return Head(self._entries[-1].sequence, self._entries[-1].sha256)
        return Head(len(self.prefix), self.prefix.sha256(len(self.prefix))) if self.prefix else Head(0, "")

    @property
    def context(self) -> Context:
        return Context(self.verifier, self.repository_id, self._assumed[0])

    @property
    def is_assumed(self) -> bool:
        """Return whether entries are read with assumed corrections that the journal does not contain."""
        return bool(self._assumed[0])

    def numbers(self, *kinds: str) -> list[int]:
        """Return the numbers of the entries of some kinds, in order."""
        behind = [one.sequence for one in self._entries if one.kind in kinds]
        return [*self.prefix.numbers(kinds), *behind] if self.prefix else behind

    def of_kind(self, *kinds: str) -> t.Sequence[Entry]:
        """Return the entries of some kinds, in order, with corrections applied."""
        return self.at(self.numbers(*kinds))

    def at(self, numbers: t.Sequence[int]) -> t.Sequence[Entry]:
        """Return the entries with these numbers."""
        return Entries(self, numbers)

    def entry(self, number: int) -> Entry:
        """Return an entry with corrections applied. Raises IndexError.

        If the prefix is damaged, the whole journal is read, with the errors of `read`.
        """
        if self.prefix and number <= len(self.prefix):
            try:
                if number not in self._cached:
                    self._cached[number] = self.prefix.entry(number)
                return self._cached[number]
            except Damaged:
                self._read_all()
        return self._entries[number - 1 - self._before]

    def signed(self, number: int) -> Signed:
        """Return an entry as its writer signed it, without corrections."""
        if self.prefix and number <= len(self.prefix):
            try:
                return self.prefix.signed(number)
            except Damaged:
                self._read_all()
        return self._signed[number - 1 - self._before]

    @property
    def _before(self) -> int:
        return len(self.prefix) if self.prefix else 0

    def _read_all(self) -> None:
        """Continue without the prefix."""
        head, found = self.head, self._again()
        if found.head.sequence < head.sequence or found.entries[head.sequence - 1].sha256 != head.sha256:
            raise TamperedData(f"the journal was rolled back or forked while it was read: entry {head} is gone; use another copy")
        self.prefix, self._signed, self._entries, self.unsigned = None, found._signed, found._entries, found.unsigned

    def system_identifiers(self) -> set[str]:
        """Return the system identifiers of all database clusters of sets and checkpoints.

        A restore compares its target with them, so that it does not overwrite a source cluster by accident.
        """
        found = {records.checkpoint(one).system_identifier for one in self.of_kind(entries.CHECKPOINT)}
        for one in self.of_kind(entries.SET):
            for source in entries.body(one).inners("source"):
                found.add(source.text("system_identifier"))
        return found

    def check(self, data: bytes, signature: bytes, name: str, pending: t.Sequence[Signed] = ()) -> Signed:
        """Verify an entry except for its time. It must follow the last of `pending`, or the head without `pending`.

        Raises TamperedData, KeyProblem, VersionMismatch.
        """
        authentic = self.verifier.authenticate(data, signature, layout.NAMESPACE_JOURNAL, name)
        found = entries.parse(data, name, self.repository_id, self.deployment)
        head = Head(pending[-1].entry.sequence, pending[-1].entry.sha256) if pending else self.head
        if found.sequence != head.sequence + 1:
            raise TamperedData(f"{name} contains entry number {found.sequence}: entries were exchanged; use another copy of the repository")
        if found.previous != (head.sha256 or None):
            raise TamperedData(f"{name} does not follow entry {head}: the journal was altered; use another copy of the repository")
        if (found.kind == entries.GENESIS) != (found.sequence == layout.GENESIS_SEQUENCE):
            raise TamperedData(
                f"{name} is of kind {found.kind}, but only the first entry is of kind genesis; use another copy of the repository"
            )
        entries.check_role(found.kind, found.principal, self.deployment, name)
        return Signed(authentic, found)

    def as_written(self, before: int | None = None) -> list[Entry]:
        """Return all entries, or the entries before a number, as their writers signed them, without corrections."""
        end = self.head.sequence + 1
        return [self.signed(number).entry for number in range(1, min(before or end, end))]

    def is_correctable(self, sequence: int) -> bool:
        return self.signed(sequence).entry.kind not in (entries.GENESIS, entries.CORRECTION)

    def judge(self, found: t.Sequence[Signed]) -> list[Entry]:
        """Evaluate the entries after the prefix again, with `found` at the end. Raises as `judging.judge`.

        A correction changes earlier entries. If `found` contains one, the prefix is dropped and all entries are
        evaluated again.
        """
        if self.prefix and any(one.entry.kind == entries.CORRECTION for one in found):
            self._unfold()
        before = self.prefix.reach.time if self.prefix else None
        return judging.judge([*self._signed, *found], *self._assumed, now=self.verifier.now(), before=before)

    def _unfold(self) -> None:
        """Load all entries of the prefix into memory. Their signatures were verified with the same key lists."""
        numbers = range(1, self.head.sequence + 1)
        signed, judged = [self.signed(one) for one in numbers], [self.entry(one) for one in numbers]
        self.prefix, self._signed, self._entries = None, signed, judged

    def add(self, found: t.Sequence[Signed]) -> None:
        self._entries = self.judge(found)
        self._signed += found


def read(
    repository: Repository,
    verifier: Verifier,
    assumed: t.Mapping[int, str] | None = None,
    what: str = decisions.TIME,
    prefix: Prefix | None = None,
) -> Journal:
    """Read the whole journal and verify every signature, number, digest and ID. The entries of a `prefix` are already verified.

    Raises TamperedData, KeyProblem, VersionMismatch.
    """
    journal = Journal(repository.id, repository.deployment, verifier, assumed, what)
    # Only the last entry of the prefix is checked: each later entry names the digest of the entry before it.
    if prefix and slots.has(repository.store, len(prefix), prefix.sha256(len(prefix)), journal.context):
        journal.begin(prefix, lambda: read(repository, verifier))
    refresh(repository, journal)
    if not journal.entries:
        raise TamperedData(f"the journal of {repository.store.location} has no entry; use another copy of the repository")
    if journal.entries[0].subjects != {layout.REPOSITORY: repository.sha256}:
        raise TamperedData(f"the journal of {repository.store.location} belongs to another {layout.REPOSITORY}; use another copy")
    return journal


def refresh(repository: Repository, journal: Journal) -> None:
    """Read and verify the entries appended since the last read."""
    signed: list[Signed] = []

    def take(data: bytes, signature: bytes, name: str) -> None:
        signed.append(journal.check(data, signature, name, signed))

    journal.unsigned = slots.read(repository.store, journal.head.sequence, journal.context, take)
    journal.add(signed)


def append(
    repository: Repository,
    journal: Journal,
    signer: Signer,
    kind: str,
    subjects: t.Sequence[Subject],
    body: t.Mapping[str, object],
    *,
    time: t.Mapping[str, str | None],
    machine: str,
) -> Entry:
    """Append an entry to the repository and to `journal`. If another writer was faster, read its entry and try again.

    Raises KeyProblem if readers would not trust the signer, and Busy if other writers are always faster.
    """
    draft = Draft(kind, subjects, body, time, machine)
    for _attempt in range(ATTEMPTS):
        head = journal.head
        try:
            return append_once(repository, journal, signer, draft)
        except ObjectExists:
            refresh(repository, journal)
        taken = journal.head == head and layout.entry_key(head.sequence + 1) in journal.unsigned
        if taken and (made := _append_over(repository, journal, signer, draft)):
            return made
    raise Busy(f"other writers appended to the journal of {repository.store.location} {ATTEMPTS} times in a row; try again")


def append_once(repository: Repository, journal: Journal, signer: Signer, draft: Draft) -> Entry:
    """Append an entry without a retry. Raises ObjectExists if the number is in use."""
    data, checked = _sign(repository, journal, signer, draft)
    repository.store.put(layout.entry_key(checked.entry.sequence), data)
    journal.add([checked])
    return journal.entries[-1]


def _sign(repository: Repository, journal: Journal, signer: Signer, draft: Draft) -> tuple[bytes, Signed]:
    """Sign the next entry. Only its signature is written to the repository."""
    store, head = repository.store, journal.head
    sequence = head.sequence + 1
    name = f"{store.location}/{layout.entry_key(sequence)}"
    data = entries.to_bytes(draft, journal.repository_id, journal.deployment, sequence, head.sha256 or None, signer.principal)
    signature = signer.sign(data, layout.NAMESPACE_JOURNAL)
    # Check the entry before it is written: an entry that cannot be read would make the journal unreadable for all hosts.
    checked = journal.check(data, signature, name)
    journal.judge([checked])
    _put_signature(repository, layout.entry_signature_key(sequence, checked.entry.sha256), signature)
    return data, checked


def _append_over(repository: Repository, journal: Journal, signer: Signer, draft: Draft) -> Entry | None:
    """Append an entry at a number with data that no trusted key signed. Returns None if another writer's entry counts.

    In a store with versions, the new entry is written over that data. All readers and writers use the oldest signed
    version. Raises KeyProblem, and StorageError in a store without versions.
    """
    store = repository.store
    slots.refuse_unknown_signer(store, journal.head.sequence + 1, journal.context, journal.head.sha256)
    data, checked = _sign(repository, journal, signer, draft)
    store.put_over(layout.entry_key(checked.entry.sequence), data)
    if slots.first_signed(store, checked.entry.sequence, journal.context) != data:
        refresh(repository, journal)
        return None
    journal.add([checked])
    return journal.entries[-1]


def _put_signature(repository: Repository, key: str, signature: bytes) -> None:
    try:
        repository.store.put(key, signature)
    except ObjectExists as exc:
        if repository.store.read(key) != signature:
            raise StorageError(
                f"{repository.store.location}/{key} exists with other content; remove it and find out who created it"
            ) from exc
