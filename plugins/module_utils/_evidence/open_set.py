# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An open set as a module sees that adds artifacts to it: to whom they are sealed, where they go, what is there already."""

from __future__ import annotations

import dataclasses
import typing as t

from .._crypto import recipients as age
from .._crypto import strict_json
from .._crypto.recipients import Recipient
from .._crypto.sealing import Sealed, Sealer
from .._crypto.signing import Signer
from .._errors import KeyProblem, ObjectExists, OptionError
from .._options.shared import OpenSetOptions, RecipientOptions, RepositoryOptions
from .._repository import artifact as artifacts
from .._repository import layout as keys
from .._repository import objects, parts
from .._repository.artifact import Artifact
from .._storage.base import Store
from .._storage.schemes import open_store
from . import access
from .access import Opened
from .running import Running


@dataclasses.dataclass(frozen=True)
class OpenSet:
    """`opened` is None for a stage, and in check mode for a repository that is still to be made; `signer` is None for a stage."""

    set_id: str
    store: Store
    recipients: tuple[Recipient, ...]
    opened: Opened | None
    signer: Signer | None
    running: Running | None = None

    def parts(self) -> dict[str, dict[str, t.Any]]:
        """What modules have made for this set so far."""
        return parts.read(self.store, self.set_id, self.signer) if self.signer else parts.read_unsigned(self.store, self.set_id)

    def add_part(self, name: str, content: t.Mapping[str, object]) -> None:
        """`content` as `set_parts` reads it. Last of all, since it makes the artifacts that it names the set's."""
        parts.write(self.store, self.set_id, name, content, self.signer)
        if self.running:
            self.running.renew()

    def refuse_leftovers(self, keys_of_part: t.Iterable[str]) -> None:
        """Before the work: whether the objects of a part that is still to be made are there already. Raises ObjectExists.

        They are a killed run's, or those of a run that is at work now. Nobody can tell, and the part of a run that lives would name
        bytes that another one had replaced; so nothing is overwritten.
        """
        for key in keys_of_part:
            if self.store.stat(key) is not None:
                stage = "" if self.opened else f" on the backup host, remove {self.store.location},"
                raise ObjectExists(
                    f"{self.store.location}/{key} exists, but no part of set {self.set_id} names it: an earlier run failed or still runs; "
                    f"stop it, then run backup_set state=aborted set_id={self.set_id}{stage} and open a new set"
                )

    def check_writable(self, *, probe: bool) -> None:
        """Whether the store takes objects; of a repository that is still to be made, whether it can be. Raises StorageError."""
        if self.opened is None and self.signer is not None:
            self.store.make_place(dry=True)
        else:
            self.store.check_writable(probe=probe)

    def sealed(self, path: str) -> t.ContextManager[tuple[Sealer, t.Callable[[str], Sealed]]]:
        """A sealer into a new object that will lie at `path`, and the function that publishes it there."""
        return objects.sealed(self.store, path.rpartition("/")[0], self.recipients, path)

    def artifact(self, kind: str, path: str, made: Sealed, source: str | None = None) -> Artifact:
        return artifacts.sealed(kind, path, made, self.recipients, source=source)

    def details(self, of: Artifact, content: t.Mapping[str, object]) -> Artifact:
        """The sealed inventory of an artifact, published beside it."""
        return self.details_of(of.path, of.source, content)

    def details_of(self, of: str, source: str | None, content: t.Mapping[str, object]) -> Artifact:
        """The same by path, also where there was nothing to put into an artifact."""
        path = keys.details_key(of)
        with self.sealed(path) as (sealer, publish):
            sealer.write(strict_json.dumps({"format": keys.FORMAT, "set": self.set_id, "of": of, **content}))
            made = publish(path)
        return self.artifact(artifacts.DETAILS, path, made, source)


def stage(given: OpenSetOptions, path: str, recipients: RecipientOptions) -> OpenSet:
    """A folder for artifacts of a set, on a host without the repository. The backup host, which has its journal, takes them in."""
    found = _off_host(age.load(recipients.recipients, recipients.recipients_files), None, recipients)
    return OpenSet(keys.check_id(given.set_id), open_store(path), tuple(found), None, None)


def load(
    given: RepositoryOptions, target: OpenSetOptions, signing_key: str | None, recipients: RecipientOptions, check_mode: bool
) -> OpenSet:
    """The set in a repository; a committed set is refused."""
    set_id = keys.check_id(target.set_id)
    store, opened = open_store(given.repository, given.bucket), None
    if not (check_mode and target.create_repository and store.stat(keys.entry_key(keys.GENESIS_SEQUENCE)) is None):
        opened = access.open_repository(given)
        if set_id in [one.set_id for one in opened.catalog.committed()]:
            raise OptionError(f"set {set_id} is committed and cannot be changed; open a new set")
    signer = _signer(given.deployment, signing_key)
    running = Running(given, set_id)
    if not check_mode:
        running.renew()
    return OpenSet(set_id, store, tuple(_recipients(recipients, signer, signing_key)), opened, signer, running)


def _signer(deployment: str, signing_key: str | None) -> Signer:
    if not signing_key:
        raise OptionError("signing_key is not set; set it to the key that will sign the set, since it also signs the parts")
    return Signer(signing_key, keys.principal(keys.BACKUP, deployment))


def _recipients(given: RecipientOptions, signer: Signer, signing_key: str | None) -> list[Recipient]:
    """Parsed, none of them the signing key, and no identity of theirs on this host."""
    found = age.load(given.recipients, given.recipients_files)
    age.refuse_signing_key(found, signer.fingerprint)
    return _off_host(found, signing_key, given)


def _off_host(found: list[Recipient], signing_key: str | None, given: RecipientOptions) -> list[Recipient]:
    """The same recipients, none of whose private keys lies on this host. Raises KeyProblem."""
    here = age.identities_on_host(found, access.key_folders(signing_key, given))
    if here:
        raise KeyProblem(f"{here[0]} is a private key that decrypts backups, and it is on the backup host; move it to the drill host")
    return found
