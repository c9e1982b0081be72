# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Committing a set. Objects written before the journal entry are garbage until that entry names them."""

from __future__ import annotations

import hashlib
import typing as t

from .._crypto.signing import Signer
from .._errors import KeyProblem, ObjectExists, OptionError, TamperedData
from .._storage.base import Store
from . import artifact as artifacts
from . import entry as entries
from . import journal as journals
from . import layout, objects, parts
from .catalog import Catalog
from .entry import Entry
from .journal import Journal
from .manifest import Manifest
from .repository import Repository


def commit(
    repository: Repository,
    journal: Journal,
    signer: Signer,
    manifest: Manifest,
    recovery: bytes,
    *,
    body: t.Mapping[str, object],
    time: t.Mapping[str, str | None],
    machine: str,
) -> Entry:
    """Write RECOVERY.md, the signature, the manifest and the journal entry, in this order, then remove the parts.

    `body` is added to the entry, together with the set ID. A second call with the same arguments changes nothing
    (`journal.head` stays) and returns the entry. If a commit was killed, the same call completes the set. Raises
    ObjectExists if the ID has other content.
    """
    data = manifest.to_bytes()
    _check_ids(repository, signer, manifest, recovery)
    digest = hashlib.sha256(data).hexdigest()
    known = [one for one in Catalog(repository, journal, journal.verifier).committed() if one.set_id == manifest.set_id]
    if known and known[0].manifest_sha256 != digest:
        raise ObjectExists(f"set {manifest.set_id} is committed with other content and cannot be changed; open a new set")
    if known:
        parts.delete(repository.store, manifest.set_id)
        return known[0].entry
    _write(repository, journal, signer, manifest, data, recovery)
    subjects = [entries.subject(layout.manifest_key(manifest.set_id), digest)]
    content = {**body, "set": manifest.set_id}
    made = journals.append(repository, journal, signer, entries.SET, subjects, content, time=time, machine=machine)
    parts.delete(repository.store, manifest.set_id)
    return made


def _write(repository: Repository, journal: Journal, signer: Signer, manifest: Manifest, data: bytes, recovery: bytes) -> None:
    set_id, store = manifest.set_id, repository.store
    for one in manifest.artifacts:
        if one != manifest.recovery:
            objects.check_size(store, one)
        if one.shared_from is not None:
            store.extend(one.path, objects.find(store, one.path, one.sha256, one.size))
    signature = signer.sign(data, layout.NAMESPACE_SET)
    # Verify before writing: with an untrusted signature the set could not be read later.
    journal.verifier.verify(data, signature, layout.NAMESPACE_SET, signer.principal, name=f"the manifest of set {set_id}")
    _put(store, layout.recovery_key(set_id), recovery)
    _put(store, layout.backup_signature_key(set_id), signature)
    _put(store, layout.manifest_key(set_id), data)


def _put(store: Store, key: str, data: bytes) -> None:
    """Write an object. An existing object with the same content, left by an interrupted commit, is accepted."""
    try:
        store.put(key, data)
    except ObjectExists as exc:
        if store.read(key) != data:
            raise ObjectExists(f"{store.location}/{key} exists with other content from another commit; open a new set") from exc


def _check_ids(repository: Repository, signer: Signer, manifest: Manifest, recovery: bytes) -> None:
    principal = layout.principal(layout.BACKUP, repository.deployment)
    if signer.principal != principal:
        raise KeyProblem(f"a set must be signed by {principal}, not by {signer.principal}; use the signing key of {principal}")
    if (manifest.repository, manifest.deployment) != (repository.id, repository.deployment):
        raise OptionError(f"set {manifest.set_id} belongs to another repository than {repository.store.location}; open a new set there")
    if manifest.recovery != artifacts.recovery(manifest.set_id, recovery):
        raise TamperedData(f"RECOVERY.md of set {manifest.set_id} does not match its manifest; commit the set again")
