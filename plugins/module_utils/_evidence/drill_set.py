# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The set of a drill, as far as it can be trusted, and the identities that decrypt it."""

from __future__ import annotations

import dataclasses
import typing as t

from .._crypto import header_proof
from .._crypto import recipients as age
from .._errors import BackupError, KeyProblem, ObjectMissing, TamperedData
from .._report.check import FAIL, UNPROVEN, Check
from .._report.drill import RecipientsResult, RestoredSet, Who
from .._repository import artifact as artifacts
from .._repository import catalog, layout, objects
from .._repository import entry as entries
from .._repository.artifact import Artifact
from .._repository.catalog import SetRecord, StoredSet
from .access import Opened

SIGNATURE_CHECK = "set.signature"
DATABASES, SECRETS, REPLAY, REDIS, IMAGES = "databases", "secrets", "replay", "redis", "images"
# The kind of an artifact. For the encrypted inventory of a replay or Redis artifact, the directory determines the class.
_CLASSES = {
    artifacts.DUMP: DATABASES,
    artifacts.SCHEMA: DATABASES,
    artifacts.LEAF: DATABASES,
    artifacts.INVENTORY: DATABASES,
    artifacts.SECRETS: SECRETS,
    artifacts.REPLAY: REPLAY,
    artifacts.REDIS: REDIS,
    artifacts.IMAGE: IMAGES,
}


@dataclasses.dataclass(frozen=True)
class DrilledSet:
    """A set in the journal. `problem` is the reason why its manifest is not trusted or readable. Then `open_set` is None."""

    record: SetRecord
    open_set: StoredSet | None
    problem: Check | None

    @property
    def databases(self) -> list[str]:
        if self.open_set:
            return [source.database for source in self.open_set.manifest.sources]
        entry = self.record.entry
        return [one.text("database") for one in entries.body(entry).inners("source")]

    @property
    def release(self) -> tuple[str | None, str | None]:
        """Family and release, or None if they are unknown."""
        return (self.open_set.manifest.family, self.open_set.manifest.release) if self.open_set else (None, None)

    @property
    def keeps_images(self) -> bool:
        return bool(self.open_set and self.open_set.manifest.images)

    @property
    def key_ids(self) -> dict[str, str]:
        return self.open_set.manifest.key_ids if self.open_set else {}


def read(opened: Opened, set_id: str) -> DrilledSet:
    """Return the set. A broken set can be drilled too, and the verdict reports the problem.

    Raises ObjectMissing if the journal does not contain the set.
    """
    record = opened.catalog.get(set_id)
    try:
        return whole(opened, set_id)
    except BackupError as exc:
        verdict = FAIL if isinstance(exc, TamperedData | KeyProblem | ObjectMissing) else UNPROVEN
        return DrilledSet(record, None, Check(SIGNATURE_CHECK, verdict, exc.msg))


def whole(opened: Opened, set_id: str) -> DrilledSet:
    """Return the set. Raise the reason why its manifest cannot be trusted or read."""
    return DrilledSet(opened.catalog.get(set_id), opened.catalog.read(set_id), None)


def facts(opened: Opened, drilled: DrilledSet, identity_files: t.Sequence[str]) -> RestoredSet:
    """Return the facts about the restored set. Its recovery point is the oldest snapshot of its databases."""
    entry, open_set = drilled.record.entry, drilled.open_set
    if open_set is None:
        release, size = entry.body.get("release"), entry.body.get("bytes")
        return RestoredSet(
            id=drilled.record.set_id,
            sequence=entry.sequence,
            release=release if isinstance(release, str) else None,
            family=None,
            snapshot_time=None,
            artifacts=None,
            bytes=size if isinstance(size, int) else None,
            maker=Who(entry.principal, "", entry.machine),
        )
    manifest = open_set.manifest
    signature = opened.store.read(layout.backup_signature_key(manifest.set_id))
    made_by = opened.verifier.verify(open_set.manifest_bytes, signature, layout.NAMESPACE_SET, entry.principal, entry.judged)
    return RestoredSet(
        id=manifest.set_id,
        sequence=entry.sequence,
        release=manifest.release,
        family=manifest.family,
        snapshot_time=catalog.recovery_point(manifest, entry),
        artifacts=len(manifest.artifacts),
        bytes=manifest.size,
        maker=Who(entry.principal, made_by.fingerprint, entry.machine),
        assets=list(by_class(manifest.artifacts)),
        left_out=manifest.left_out,
        recipients=_recipients(opened, manifest.artifacts, identity_files),
    )


def by_class(found: t.Iterable[Artifact]) -> dict[str, list[Artifact]]:
    """Group encrypted artifacts by class: databases, secrets, replay, redis, images."""
    classes: dict[str, list[Artifact]] = {}
    for one in found:
        if one.recipients:
            other = REDIS if "/redis/" in one.path else REPLAY
            classes.setdefault(_CLASSES.get(one.kind, other), []).append(one)
    return classes


def _recipients(opened: Opened, found: t.Iterable[Artifact], identity_files: t.Sequence[str]) -> list[RecipientsResult]:
    """Return the recipients of each class.

    `sealed_to` are the recipients that can decrypt all of it. `opened_by` are this host's identities that can, or None without
    an identity.
    """
    identities = age.load_identities(identity_files) if identity_files else []
    result: list[RecipientsResult] = []
    for name, members in sorted(by_class(found).items()):
        sealed_to = sorted(set.intersection(*(set(one.recipients) for one in members)))
        opened_by = _opened_by(opened, members, identities) if identities else None
        result.append({"assets": name, "sealed_to": sealed_to, "opened_by": opened_by})
    return result


def _opened_by(opened: Opened, members: t.Sequence[Artifact], identities: t.Sequence[t.Any]) -> list[str] | None:
    """Return fingerprints of the identities that decrypt every artifact.

    One artifact for each list of recipients is tested. Returns None if one cannot be read.
    """
    samples = {one.recipients: one for one in members}.values()
    try:
        heads = [(_head(opened, one), one.path) for one in samples]
        return [_name(identity) for identity in identities if all(header_proof.opens(head, identity, name) for head, name in heads)]
    except BackupError:
        return None


def _head(opened: Opened, artifact: Artifact) -> bytes:
    with opened.store.open_held(objects.find(opened.store, artifact.path, artifact.sha256, artifact.size)) as source:
        return header_proof.header(source, artifact.path)


def _name(identity: t.Any) -> str:
    """Return the fingerprint of the public key, as in the manifest. An SSH identity does not provide its fingerprint."""
    public = getattr(identity, "to_public", None)
    return age.fingerprint(str(public())) if public else "an SSH key"
