# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The identity of a repository: `repository.json`, written once and signed."""

from __future__ import annotations

import dataclasses
import datetime
import re

from .._crypto import strict_json
from .._crypto.allowed_signers import Verifier
from .._errors import KeyProblem, ObjectMissing, OptionError
from .._storage.base import Store
from . import entry, layout
from .fields import Fields

TYPE = "repository"
MAY_CREATE = (layout.BACKUP, layout.OPERATOR)
_REPOSITORY_ID = re.compile(r"[0-9a-f]{32}\Z")


@dataclasses.dataclass(frozen=True)
class Repository:
    """A store with backups of one deployment. `sha256` is the digest of `repository.json`, which the genesis entry names."""

    store: Store
    id: str
    deployment: str
    created: datetime.datetime
    sha256: str


def load(store: Store, verifier: Verifier, deployment: str | None = None) -> Repository:
    """Return the repository in `store` after verifying its signature. `deployment` None accepts any.

    Raises ObjectMissing if there is none, OptionError if it belongs to another deployment, VersionMismatch,
    TamperedData, KeyProblem.
    """
    if store.stat(layout.REPOSITORY) is None:
        raise ObjectMissing(f"{store.location} contains no repository; check the path, or create one (create_repository)")
    for key in (layout.REPOSITORY_SIGNATURE, layout.entry_key(layout.GENESIS_SEQUENCE)):
        if store.stat(key) is None:
            raise ObjectMissing(
                f"{store.location} has no {key}; if its creation was interrupted, create it again, otherwise use another copy"
            )
    repository = verified(store, verifier)
    if deployment is not None:
        expect(repository, deployment)
    return repository


def creators(deployment: str) -> list[str]:
    """Return the principals that may create a repository of the deployment."""
    return [layout.principal(role, deployment) for role in MAY_CREATE]


def expect(repository: Repository, deployment: str) -> None:
    """Raise OptionError for a repository of another deployment."""
    if repository.deployment != deployment:
        raise OptionError(
            f"{repository.store.location} belongs to deployment {repository.deployment}, not to {deployment}; "
            "correct the option repository or deployment"
        )


def verified(store: Store, verifier: Verifier) -> Repository:
    """Return the identity after verifying its signature. Raises TamperedData, KeyProblem."""
    name = f"{store.location}/{layout.REPOSITORY}"
    data, signature = store.read(layout.REPOSITORY), store.read(layout.REPOSITORY_SIGNATURE)
    authentic = verifier.authenticate(data, signature, layout.NAMESPACE_REPOSITORY, name)
    repository, principal = parse(store, data)
    if principal not in creators(repository.deployment):
        raise KeyProblem(f"{name} is signed as {principal}, which may not create a repository; use another repository")
    authentic.signed_by(principal, repository.created)
    return repository


def parse(store: Store, data: bytes) -> tuple[Repository, str]:
    """Return the repository, and the principal that it names as its writer."""
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
