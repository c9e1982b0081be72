# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Creating a repository: its signed identity and the first entry of its journal."""

from __future__ import annotations

import contextlib
import datetime
import os
import typing as t

from .._crypto import strict_json
from .._crypto.allowed_signers import Verifier
from .._crypto.signing import Signer
from .._errors import KeyProblem, ObjectExists
from .._storage.base import Store
from . import entry, layout
from . import journal as journals
from . import repository as repositories
from .fields import timestamp
from .journal import Journal
from .repository import Repository


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
    """Write the identity, its signature and the genesis entry. Completes an interrupted creation.

    Raises ObjectExists if there is a repository already, and KeyProblem if `verifier` does not trust `signer`.
    """
    if signer.principal not in repositories.creators(deployment):
        raise KeyProblem(f"{signer.principal} may not create a repository; sign as {' or '.join(repositories.creators(deployment))}")
    if store.stat(layout.entry_key(layout.GENESIS_SEQUENCE)):
        raise ObjectExists(f"{store.location} already contains a repository; use it, or give an empty directory")
    now = clock()
    fresh = {
        "type": repositories.TYPE,
        "format": layout.FORMAT,
        "repository": entropy(16).hex(),
        "deployment": deployment,
        "created": timestamp(now),
        "writer": {"principal": signer.principal, "machine": machine},
    }
    _identify(store, deployment, signer, verifier, strict_json.dumps(fresh))
    repository = repositories.verified(store, verifier)
    empty = Journal(repository.id, repository.deployment, verifier)
    time = {"host": timestamp(now), "database": None, "store": None}
    subjects = [entry.subject(layout.REPOSITORY, repository.sha256)]
    journals.append_once(repository, empty, signer, entry.Draft(entry.GENESIS, subjects, {}, time, machine))
    return repository


def _identify(store: Store, deployment: str, signer: Signer, verifier: Verifier, data: bytes) -> None:
    """Write the identity, then its signature.

    If the identity exists without a signature, sign the existing bytes. Two concurrent creators then agree on one
    identity.
    """
    signature = _sign(data, signer, verifier)
    try:
        store.put(layout.REPOSITORY, data)
    except ObjectExists:
        data = begun(store, deployment, signer)
        signature = _sign(data, signer, verifier)
    with contextlib.suppress(ObjectExists):
        store.put(layout.REPOSITORY_SIGNATURE, signature)


def begun(store: Store, deployment: str, signer: Signer) -> bytes:
    """Return the identity that an interrupted creation left behind.

    Raises OptionError if it belongs to another deployment, and KeyProblem if another signer wrote it.
    """
    data = store.read(layout.REPOSITORY)
    repository, principal = repositories.parse(store, data)
    repositories.expect(repository, deployment)
    if principal != signer.principal:
        raise KeyProblem(
            f"{principal} began to create {store.location}; complete it with the signing key of {principal}, or give an empty directory"
        )
    return data


def _sign(data: bytes, signer: Signer, verifier: Verifier) -> bytes:
    """Sign `data` and verify the signature, so that no untrusted signature is written."""
    signature = signer.sign(data, layout.NAMESPACE_REPOSITORY)
    verifier.verify(data, signature, layout.NAMESPACE_REPOSITORY, signer.principal, name=layout.REPOSITORY)
    return signature
