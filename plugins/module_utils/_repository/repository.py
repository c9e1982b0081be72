# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The identity of a repository: `repository.json`, written once and signed."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import re
import typing as t

from .._crypto import strict_json
from .._crypto.allowed_signers import Verifier
from .._crypto.signing import Signer
from .._errors import KeyProblem, ObjectExists, ObjectMissing, OptionError
from .._storage.base import Store
from . import entry, journal, layout
from .fields import Fields, timestamp

TYPE = "repository"
MAY_CREATE = (layout.BACKUP, layout.OPERATOR)
_REPOSITORY_ID = re.compile(r"[0-9a-f]{32}\Z")


@dataclasses.dataclass(frozen=True)
class Repository:
    """A store that holds backups of one deployment. `sha256` is that of `repository.json`; the genesis entry names it."""

    store: Store
    id: str
    deployment: str
    created: datetime.datetime
    sha256: str


def create(
    store: Store,
    deployment: str,
    signer: Signer,
    machine: str,
    clock: t.Callable[[], datetime.datetime],
    *,
    verifier: Verifier,
    entropy: t.Callable[[int], bytes] = os.urandom,
) -> Repository:
    """Write identity, signature and genesis entry; a creation that was interrupted is completed.

    Raises ObjectExists when there is a repository already, KeyProblem when `verifier` would not believe `signer`.
    """
    if signer.principal not in _creators(deployment):
        raise KeyProblem(f"{signer.principal} may not create a repository; sign as {' or '.join(_creators(deployment))}")
    if store.stat(layout.entry_key(journal.GENESIS_SEQUENCE)):
        raise ObjectExists(f"{store.location} holds a repository already; use it, or give an empty directory")
    now = clock()
    fresh = {
        "type": TYPE,
        "format": layout.FORMAT,
        "repository": entropy(16).hex(),
        "deployment": deployment,
        "created": timestamp(now),
        "writer": {"principal": signer.principal, "machine": machine},
    }
    _identify(store, deployment, signer, verifier, strict_json.dumps(fresh))
    repository = _verified(store, verifier)
    empty = journal.Journal(repository.id, repository.deployment, verifier)
    time = {"host": timestamp(now), "database": None, "store": None}
    subjects = [entry.subject(layout.REPOSITORY, repository.sha256)]
    journal.append_once(repository, empty, signer, entry.Draft(entry.GENESIS, subjects, {}, time, machine))
    return repository


def _identify(store: Store, deployment: str, signer: Signer, verifier: Verifier, data: bytes) -> None:
    """Identity first, then its signature: whoever finds one without the other signs the very same, so that two creators agree."""
    signature = _sign(data, signer, verifier)
    try:
        store.put(layout.REPOSITORY, data)
    except ObjectExists:
        data = begun(store, deployment, signer)
        signature = _sign(data, signer, verifier)
    with contextlib.suppress(ObjectExists):
        store.put(layout.REPOSITORY_SIGNATURE, signature)


def begun(store: Store, deployment: str, signer: Signer) -> bytes:
    """What an interrupted creation has left. Raises OptionError when it is another deployment's, KeyProblem when another signer's."""
    data = store.read(layout.REPOSITORY)
    repository, principal = _parse(store, data)
    _expect(repository, deployment)
    if principal != signer.principal:
        raise KeyProblem(f"{principal} began to create {store.location}; complete it with that signing key, or give an empty directory")
    return data


def _sign(data: bytes, signer: Signer, verifier: Verifier) -> bytes:
    """What nobody would believe is not written."""
    signature = signer.sign(data, layout.NAMESPACE_REPOSITORY)
    verifier.verify(data, signature, layout.NAMESPACE_REPOSITORY, signer.principal, name=layout.REPOSITORY)
    return signature


def load(store: Store, verifier: Verifier, deployment: str | None = None) -> Repository:
    """The repository in `store`, its signature verified; `deployment` None accepts any.

    Raises ObjectMissing when there is none, OptionError when it is another deployment's, VersionMismatch, TamperedData, KeyProblem.
    """
    if store.stat(layout.REPOSITORY) is None:
        raise ObjectMissing(f"{store.location} holds no repository; check the path, or create one (create_repository)")
    for key in (layout.REPOSITORY_SIGNATURE, layout.entry_key(journal.GENESIS_SEQUENCE)):
        if store.stat(key) is None:
            raise ObjectMissing(f"{store.location} has no {key}; if its creation was interrupted, create it again, else use another copy")
    repository = _verified(store, verifier)
    if deployment is not None:
        _expect(repository, deployment)
    return repository


def _creators(deployment: str) -> list[str]:
    return [layout.principal(role, deployment) for role in MAY_CREATE]


def _expect(repository: Repository, deployment: str) -> None:
    if repository.deployment != deployment:
        raise OptionError(
            f"{repository.store.location} belongs to deployment {repository.deployment}, not to {deployment}; "
            "correct repository or deployment"
        )


def _verified(store: Store, verifier: Verifier) -> Repository:
    name = f"{store.location}/{layout.REPOSITORY}"
    data, signature = store.read(layout.REPOSITORY), store.read(layout.REPOSITORY_SIGNATURE)
    authentic = verifier.authenticate(data, signature, layout.NAMESPACE_REPOSITORY, name)
    repository, principal = _parse(store, data)
    if principal not in _creators(repository.deployment):
        raise KeyProblem(f"{name} is signed as {principal}, who may not create one; use another repository")
    authentic.signed_by(principal, repository.created)
    return repository


def _parse(store: Store, data: bytes) -> tuple[Repository, str]:
    """The repository and the principal that it says wrote it."""
    name = f"{store.location}/{layout.REPOSITORY}"
    fields = Fields(strict_json.loads(data, name), name)
    fields.head(TYPE)
    repository = Repository(
        store=store,
        id=fields.text("repository", _REPOSITORY_ID),
        deployment=fields.text("deployment", layout.DEPLOYMENT),
        created=fields.time("created"),
        sha256=entry.sha256(data),
    )
    writer = fields.inner("writer")
    principal = writer.text("principal")
    writer.text("machine")
    writer.end()
    fields.end()
    return repository, principal
