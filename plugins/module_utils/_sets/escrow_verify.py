# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: verify that identities can decrypt a whole set, using only the headers of its objects."""

from __future__ import annotations

import dataclasses
import typing as t

from .._ansible.boundary import Invocation
from .._crypto import header_proof
from .._crypto import recipients as age
from .._errors import BackupError, KeyProblem, StageFailed
from .._evidence import access, drill_set, restore_entry
from .._evidence.access import JournalResult, Opened
from .._options import declared
from .._options.declared import Path
from .._options.shared import RepositoryOptions, StoredSetOptions
from .._report.check import FAIL, PASS, Check, VerdictResult, judged
from .._repository import entry as entries
from .._repository import journal as journals
from .._repository import layout as keys
from .._repository import objects
from .._repository.artifact import Artifact
from .._repository.catalog import StoredSet
from .._repository.decisions import Escrow
from .._stream import process

TIMEOUT = 60.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    access: RepositoryOptions
    stored: StoredSetOptions = dataclasses.field(default_factory=StoredSetOptions)
    identity_files: tuple[Path, ...]
    signing_key: Path | None = None
    require_valid: bool = True


class EscrowResult(VerdictResult, JournalResult):
    """The recipients with an identity that decrypts the set, and the number of encrypted objects."""

    set_id: str
    proved: list[str]
    objects: int


def run(invocation: Invocation[Options]) -> EscrowResult:
    """Check that the identities together can decrypt every object of the set.

    An identity is recorded as proved if it can decrypt all objects that are encrypted for it.
    """
    given = invocation.options
    opened = access.open_repository(given.access, warn=invocation.warn)
    record = opened.catalog.latest(given.stored.max_age) if given.stored.set_id == "latest" else opened.catalog.get(given.stored.set_id)
    identities = {_recipient(path, one): one for path in given.identity_files for one in age.load_identities([path])}
    signer = restore_entry.signer(opened, given.access.deployment, given.signing_key) if given.signing_key else None
    found = opened.catalog.open(record.set_id)
    checks, proved = _prove(opened, found, identities)
    sealed = sum(bool(one.recipients) for one in found.manifest.artifacts)
    if proved and signer and not invocation.check_mode:
        subjects = [entries.subject(keys.manifest_key(record.set_id), record.manifest_sha256)]
        body = Escrow(record.set_id, tuple(proved), sealed).to_body()
        times, machine = access.times(), access.machine()
        journals.append(opened.repository, opened.journal, signer, entries.ESCROW, subjects, body, time=times, machine=machine)
    opened.mark.advance(opened.journal, dry=invocation.check_mode)
    return {
        **judged([*checks, access.freshness_check(opened)], given.require_valid),
        "changed": bool(proved and signer),
        "set_id": record.set_id,
        "proved": proved,
        "objects": sealed,
        "journal_head": opened.head,
        "diff": {"before": "", "after": "".join(f"{one} decrypts {record.set_id}\n" for one in proved) if signer else ""},
    }


def _prove(opened: Opened, found: StoredSet, identities: t.Mapping[str, object]) -> tuple[list[Check], list[str]]:
    """Return a check for each class of assets, a check of the identities, and the proved recipients."""
    wanting: set[str] = set()
    opening: set[str] = set()
    checks = []
    for name, members in sorted(drill_set.by_class(found.manifest.artifacts).items()):
        faults = []
        for one in members:
            opens, fault = _try(opened, one, identities)
            opening |= opens
            wanting |= set(one.recipients) & identities.keys() - opens
            faults += [fault] if fault else []
        words = f"{faults[0]} ({len(faults)} of {len(members)} objects)" if faults else f"the identities decrypt all {len(members)} objects"
        checks.append(Check(f"escrow.{name}", FAIL if faults else PASS, words))
    idle = sorted(identities.keys() - opening - wanting)
    words = f"{len(identities)} identities tried; each decrypts at least one object"
    if idle:
        words = f"no object of {found.manifest.set_id} is encrypted for {idle[0]}; give the identity of a recipient"
    checks.append(Check("escrow.identities", FAIL if idle else PASS, words))
    return checks, sorted(opening - wanting)


def _try(opened: Opened, one: Artifact, identities: t.Mapping[str, object]) -> tuple[set[str], str]:
    """Return the recipients that can decrypt an object, and its fault.

    It is a fault if no identity decrypts the object, or if a recipient in the manifest does not.
    """
    try:
        with opened.store.open_held(objects.find(opened.store, one.path, one.sha256, one.size)) as source:
            head = header_proof.header(source, one.path)
        opens = {recipient for recipient, identity in identities.items() if header_proof.opens(head, identity, one.path)}
    except BackupError as exc:
        return set(), exc.msg
    lacking = sorted(set(one.recipients) & identities.keys() - opens)
    if lacking:
        return (
            opens,
            f"{lacking[0]} is a recipient of {one.path} but cannot decrypt it: the object was altered; use another copy of the set",
        )
    if not opens:
        return opens, f"no identity decrypts {one.path}; give the identity of {' or '.join(sorted(one.recipients))}"
    return opens, ""


def _recipient(path: str, identity: t.Any) -> str:
    """Return the fingerprint of the public key, as in manifests."""
    public = getattr(identity, "to_public", None)
    if public:
        return age.fingerprint(str(public()))
    try:
        line = process.run(["ssh-keygen", "-y", "-P", "", "-f", path], timeout=TIMEOUT).decode("utf-8", "replace")
    except StageFailed as exc:
        raise KeyProblem.caused_by(exc, f"{path}: ssh-keygen cannot derive its public key ({exc.msg}); give an unencrypted key") from exc
    return age.fingerprint(" ".join(line.split()[:2]))
