# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sets of a repository. Only a set that the journal names exists."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import typing as t

from .._crypto.allowed_signers import Verifier
from .._errors import BackupError, ObjectMissing, TamperedData, VerificationFailed
from .._reasons import ALTERED_OBJECT
from .._report.check import Check
from .._storage.base import READ_LIMIT
from .._stream.progress import SILENT, Progress
from . import decisions, layout, manifest, objects
from . import entry as entries
from .artifact import Artifact
from .entry import Entry
from .journal import Journal
from .manifest import Manifest
from .repository import Repository

SEALED = ".age"


@dataclasses.dataclass(frozen=True)
class SetRecord:
    """A set as recorded in the journal."""

    entry: Entry
    set_id: str
    manifest_sha256: str


@dataclasses.dataclass(frozen=True)
class StoredSet:
    """A set with verified signed files."""

    manifest: Manifest
    manifest_bytes: bytes
    record: SetRecord


@dataclasses.dataclass(frozen=True)
class Countersignature:
    """The signature of a passed drill on the same manifest. `sequence` is the number of the drill's journal entry."""

    drill_id: str
    sequence: int
    fingerprint: str


class Catalog:
    """The sets recorded in a verified journal, with access to their verified content.

    The catalog follows the journal: it includes entries that are added later.
    """

    def __init__(self, repository: Repository, journal: Journal, verifier: Verifier) -> None:
        self._repository = repository
        self._store = repository.store
        self._journal = journal
        self._verifier = verifier
        self._ended: tuple[dict[str, Entry], dict[str, Entry]] = ({}, {})

    def committed(self) -> list[SetRecord]:
        """Return all sets ever committed, oldest first. Raises TamperedData if two entries name different manifests of one set."""
        found: dict[str, SetRecord] = {}
        for one in self._journal.of_kind(entries.SET):
            made = record(one)
            if found.setdefault(made.set_id, made).manifest_sha256 != made.manifest_sha256:
                raise TamperedData(f"the journal names two manifests of set {made.set_id}; use another copy of the repository")
        return list(found.values())

    def condemned(self) -> dict[str, Entry]:
        """Return the sets that a prune entry ends, with that entry, even if their objects are still stored. Raises TamperedData.

        A prune entry does not end a set on hold. An attacker with a stolen prune key therefore cannot make readers
        ignore a held set.
        """
        found: dict[str, Entry] = {}
        standing: decisions.Holds = {}
        waiting = collections.deque(self._journal.of_kind(entries.HOLD))
        for one in self._journal.of_kind(entries.PRUNE):
            ends = decisions.prune(one).sets
            while waiting and waiting[0].sequence < one.sequence:
                decisions.enter(standing, waiting.popleft())
            found.update((set_id, one) for set_id in ends if not standing.get(set_id))
        return found

    def pruned(self) -> dict[str, Entry]:
        """Return the sets that were ended and have lost an object, with the entry that ended each. Raises TamperedData.

        An entry alone does not end a set.
        """
        condemned = self.condemned()
        if condemned != self._ended[0]:
            sizes = {one.key: one.size for one in self._store.held(layout.SETS)} if condemned else {}
            sealed = {key.split("/")[1] for key in sizes if key.endswith(SEALED) and key.count("/") > 1}
            ended = {set_id: one for set_id, one in condemned.items() if set_id not in sealed or not self._is_whole(set_id, sizes)}
            self._ended = (condemned, ended)
        return self._ended[1]

    def _is_whole(self, set_id: str, sizes: t.Mapping[str, int]) -> bool:
        """Return whether all encrypted artifacts of the set's own directory are stored.

        A set with an untrusted manifest counts as whole, because such a manifest does not prove that the set was
        pruned.
        """
        folder = f"{layout.set_folder(set_id)}/"
        try:
            artifacts = self.read(set_id).manifest.artifacts
        except BackupError:
            return True
        return all(objects.is_there(self._store, one, sizes) for one in artifacts if one.path.startswith(folder) and one.recipients)

    def sets(self) -> list[SetRecord]:
        """Return the sets that were not pruned, in the order of the journal, oldest first. Raises TamperedData."""
        pruned = self.pruned()
        return [one for one in self.committed() if one.set_id not in pruned]

    def newest(self) -> SetRecord | None:
        """Return the set with the highest entry number, or None if there is no set."""
        return max(self.sets(), key=lambda one: one.entry.sequence, default=None)

    def latest(self, max_age: float | None = None) -> SetRecord:
        """Return the newest set. Raises ObjectMissing, and VerificationFailed if it is older than `max_age` hours."""
        found = self.newest()
        if found is None:
            raise ObjectMissing(f"{self._store.location} has no backup set; create one first")
        age = self._verifier.now() - found.entry.judged
        if max_age is not None and age > datetime.timedelta(hours=max_age):
            hours = age.total_seconds() / 3600
            raise VerificationFailed(f"the newest set {found.set_id} is {hours:.1f} hours old, more than {max_age:g}; run a backup first")
        return found

    def get(self, set_id: str) -> SetRecord:
        """Return a set. Raises ObjectMissing if it was not committed or was pruned."""
        found = self.find(set_id)
        ended = self.pruned().get(set_id)
        if ended:
            raise ObjectMissing(f"set {set_id} was pruned, see entry {ended.sequence} of the journal; give the ID of another set")
        return found

    def find(self, set_id: str) -> SetRecord:
        """Return a set, even if it was pruned. Raises ObjectMissing if it was not committed."""
        for one in self.committed():
            if one.set_id == set_id:
                return one
        raise ObjectMissing(f"set {set_id[:60]!a} is not in the journal of {self._store.location}: it was not committed; give another ID")

    def read(self, set_id: str) -> StoredSet:
        """Read a set. Its manifest, signature, IDs and RECOVERY.md are verified.

        Works for a pruned set too, because its audit blocks are still needed. Raises TamperedData, KeyProblem,
        ObjectMissing, VersionMismatch.
        """
        record = self.find(set_id)
        name = f"{self._store.location}/{layout.manifest_key(set_id)}"
        data = objects.read(self._store, layout.manifest_key(set_id), record.manifest_sha256, READ_LIMIT)
        if data is None:
            raise TamperedData(f"{name} does not match entry {record.entry.sequence} of the journal; use another copy of the set")
        signature = self._store.read(layout.backup_signature_key(set_id))
        self._verify(data, signature, layout.BACKUP, record.entry.judged, name)
        found = manifest.parse(data, name)
        expected = (set_id, self._repository.id, self._repository.deployment)
        if (found.set_id, found.repository, found.deployment) != expected:
            raise TamperedData(f"{name} is the manifest of another set, repository or deployment; use another copy of the set")
        self.read_artifact(found.recovery)
        return StoredSet(found, data, record)

    def manifests(self, records: t.Iterable[SetRecord]) -> dict[str, Manifest | BackupError]:
        """Return the manifests of sets by set ID, in the given order; for an untrusted manifest, the error.

        Reads several at a time if the store benefits from it.
        """

        def read(record: SetRecord) -> tuple[str, Manifest | BackupError]:
            try:
                return record.set_id, self.read(record.set_id).manifest
            except BackupError as exc:
                return record.set_id, exc

        return dict(self._store.overlapped(read, records))

    def open(self, set_id: str) -> StoredSet:
        """Like `read`, for a set that was not pruned, and check that every artifact is stored with its size.

        Raises ObjectMissing, TamperedData.
        """
        self.get(set_id)
        found = self.read(set_id)
        for one in found.manifest.artifacts:
            objects.check_size(self._store, one)
        return found

    def read_artifact(self, artifact: Artifact) -> bytes:
        """Return the stored bytes of a small artifact after comparing their SHA-256. Raises ObjectMissing, TamperedData."""
        data = objects.read(self._store, artifact.path, artifact.sha256, artifact.size, artifact.size)
        if data is None:
            raise TamperedData(f"{self._store.location}/{artifact.path} was altered; use another copy of the set", reason=ALTERED_OBJECT)
        return data

    def read_named(self, entry: Entry, key: str, limit: int) -> bytes:
        """Return the stored bytes of an object named by `entry`.

        Raises ObjectMissing, TamperedData, and StorageError if it is larger than `limit`.
        """
        data = objects.read(self._store, key, entry.subjects[key], limit)
        if data is None:
            raise TamperedData(f"{self._store.location}/{key} does not match entry {entry.sequence} of the journal; use another copy")
        return data

    def verify_objects(self, open_set: StoredSet, progress: Progress = SILENT) -> list[Check]:
        """Compare every stored byte with the manifest. Returns one passed check, or one failed check for each faulty artifact."""
        return objects.verify(self._store, open_set.manifest.artifacts, progress)

    def signed(self, open_set: StoredSet) -> objects.SignedObjects:
        """Return a reader for the artifacts that compares them with their signed digests."""
        return objects.SignedObjects(self._store, open_set.manifest.artifacts)

    def countersignatures(self, open_set: StoredSet, faults: list[str] | None = None) -> list[Countersignature]:
        """Return the verified countersignatures of drills that the journal names.

        An invalid countersignature is skipped, since it proves nothing and is not an error of the set. The reason is
        appended to `faults`.
        """
        found = []
        set_id = open_set.record.set_id
        for one in self._journal.of_kind(entries.DRILL):
            for name in one.subjects:
                drill_id = layout.drill_of(name)
                if drill_id is None or open_set.record.manifest_sha256 not in one.subjects.values():
                    continue
                key = layout.countersignature_key(set_id, drill_id)
                try:
                    if self._store.stat(key):
                        signer = self._verify(open_set.manifest_bytes, self._store.read(key), layout.DRILL, one.judged, key)
                        found.append(Countersignature(drill_id, one.sequence, signer))
                except BackupError as exc:
                    if faults is not None:
                        faults.append(exc.msg)
        return found

    def _verify(self, data: bytes, signature: bytes, role: str, at: datetime.datetime, name: str) -> str:
        principal = layout.principal(role, self._repository.deployment)
        return self._verifier.verify(data, signature, layout.NAMESPACE_SET, principal, at, name).fingerprint


def recovery_point(made: Manifest, entered: Entry) -> datetime.datetime:
    """Return the time of the set's oldest snapshot, but not later than the set's entry.

    A retired key could sign a set with an entry dated back. Such a set counts as at least as old as its entry.
    """
    return min(made.recovery_point, entered.judged)


def record(entry: Entry) -> SetRecord:
    """Parse a verified entry. Raises TamperedData."""
    set_id = entry.body.get("set")
    if not isinstance(set_id, str) or not layout.is_id(set_id) or list(entry.subjects) != [layout.manifest_key(set_id)]:
        raise TamperedData(f"entry {entry.sequence} of the journal does not name the manifest of a set; {entries.taken_back(entry)}")
    return SetRecord(entry, set_id, entry.subjects[layout.manifest_key(set_id)])
