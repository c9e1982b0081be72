# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An open set for modules that add artifacts to it: its recipients, its store, and its parts."""

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
    """An open set.

    `opened` is None for a stage, and in check mode for a repository that does not exist yet. `signer` is None for a stage.
    """

    set_id: str
    store: Store
    recipients: tuple[Recipient, ...]
    opened: Opened | None
    signer: Signer | None
    running: Running | None = None

    def parts(self) -> dict[str, dict[str, t.Any]]:
        """Return the parts that modules have added to this set."""
        return parts.read(self.store, self.set_id, self.signer) if self.signer else parts.read_unsigned(self.store, self.set_id)

    def add_part(self, name: str, content: t.Mapping[str, object]) -> None:
        """Add a part in the format of `set_parts`. It must be last, since it makes its artifacts belong to the set."""
        parts.write(self.store, self.set_id, name, content, self.signer)
        if self.running:
            self.running.renew()

    def refuse_leftovers(self, keys_of_part: t.Iterable[str]) -> None:
        """Raise ObjectExists if objects of a new part exist already. Call it before the work.

        The objects are from a run that was killed or that is still running, which cannot be distinguished. If they were
        overwritten, the part of a running process would refer to replaced objects.
        """
        for key in keys_of_part:
            if self.store.stat(key) is not None:
                stage = "" if self.opened else f" on the backup host, remove {self.store.location},"
                raise ObjectExists(
                    f"{self.store.location}/{key} exists, but no part of set {self.set_id} names it: an earlier run failed or still runs; "
                    f"stop it, then run backup_set state=aborted set_id={self.set_id}{stage} and open a new set"
                )

    def check_writable(self, *, probe: bool) -> None:
        """Check that the store accepts objects, or that a missing repository can be created. Raises StorageError."""
        if self.opened is None and self.signer is not None:
            self.store.make_place(dry=True)
        else:
            self.store.check_writable(probe=probe)

    def sealed(self, path: str) -> t.ContextManager[tuple[Sealer, t.Callable[[str], Sealed]]]:
        """Return a sealer for a new object at `path`, and the function that publishes it there."""
        return objects.sealed(self.store, path.rpartition("/")[0], self.recipients, path)

    def artifact(self, kind: str, path: str, made: Sealed, source: str | None = None) -> Artifact:
        return artifacts.sealed(kind, path, made, self.recipients, source=source)

    def details(self, of: Artifact, content: t.Mapping[str, object]) -> Artifact:
        """Publish the encrypted inventory of an artifact next to it, and return it."""
        return self.details_of(of.path, of.source, content)

    def details_of(self, of: str, source: str | None, content: t.Mapping[str, object]) -> Artifact:
        """Do the same for a path, even if there was no content for an artifact."""
        path = keys.details_key(of)
        with self.sealed(path) as (sealer, publish):
            sealer.write(strict_json.dumps({"format": keys.FORMAT, "set": self.set_id, "of": of, **content}))
            made = publish(path)
        return self.artifact(artifacts.DETAILS, path, made, source)


def stage(given: OpenSetOptions, path: str, recipients: RecipientOptions) -> OpenSet:
    """Return a directory for artifacts of a set, on a host without the repository. The backup host, which has the journal, imports them."""
    found = _off_host(age.load(recipients.recipients, recipients.recipients_files), None, recipients)
    return OpenSet(keys.check_id(given.set_id), open_store(path), tuple(found), None, None)


def load(
    given: RepositoryOptions, target: OpenSetOptions, signing_key: str | None, recipients: RecipientOptions, check_mode: bool
) -> OpenSet:
    """Return the set in a repository. Raise OptionError for a committed set."""
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
    """Return the parsed recipients, after checking that they do not include the signing key and have no identity on this host."""
    found = age.load(given.recipients, given.recipients_files)
    age.refuse_signing_key(found, signer.fingerprint)
    return _off_host(found, signing_key, given)


def _off_host(found: list[Recipient], signing_key: str | None, given: RecipientOptions) -> list[Recipient]:
    """Return the same recipients. Raise KeyProblem if a private key of one is on this host."""
    here = age.identities_on_host(found, access.key_folders(signing_key, given))
    if here:
        raise KeyProblem(f"{here[0]} is a private key that decrypts backups, and it is on the backup host; move it to the drill host")
    return found
