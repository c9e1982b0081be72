# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Use case of the module of the same name: whether identities open a whole set, from the headers of its objects alone."""

from __future__ import annotations

import typing as t

from .._backupset import entry as entries
from .._backupset import journal as journals
from .._backupset import layout as keys
from .._backupset.artifact import Artifact
from .._backupset.catalog import OpenSet
from .._backupset.decisions import Escrow
from .._crypto import header_proof
from .._crypto import recipients as age
from .._errors import BackupError, KeyProblem, StageFailed
from .._report.check import FAIL, PASS, Check
from .._stream import process
from . import drill_set, options, restore_entry
from .boundary import Invocation
from .options import Opened

TIMEOUT = 30.0


def run(invocation: Invocation) -> dict[str, t.Any]:
    """Each identity is asked for each class of assets: one that opens all sealed objects of the set is entered into the journal."""
    given = invocation.options
    opened = options.open_repository(given)
    record = opened.catalog.latest(given["max_age"]) if given["set_id"] == "latest" else opened.catalog.get(given["set_id"])
    identities = {_recipient(path, one): one for path in given["identity_files"] for one in age.load_identities([path])}
    signer = restore_entry.signer(opened, given) if given["signing_key"] else None
    found = opened.catalog.open(record.set_id)
    checks, proved = _prove(opened, found, identities)
    sealed = sum(bool(one.recipients) for one in found.manifest.artifacts)
    if proved and signer and not invocation.check_mode:
        subjects = [entries.subject(keys.manifest_key(record.set_id), record.manifest_sha256)]
        body = Escrow(record.set_id, tuple(proved), sealed).to_body()
        times, machine = options.times(), options.machine()
        journals.append(opened.repository, opened.journal, signer, entries.ESCROW, subjects, body, time=times, machine=machine)
    opened.mark.advance(opened.journal, dry=invocation.check_mode)
    return {
        **options.judged([*checks, options.freshness_check(opened)], given["require_valid"]),
        "changed": bool(proved and signer),
        "set_id": record.set_id,
        "proved": proved,
        "objects": sealed,
        "journal_head": opened.head,
        "diff": {"before": "", "after": "".join(f"{one} opens {record.set_id}\n" for one in proved) if signer else ""},
    }


def _prove(opened: Opened, found: OpenSet, identities: t.Mapping[str, t.Any]) -> tuple[list[Check], list[str]]:
    """A check for each identity and class of assets, and the recipients whose identity opens everything."""
    checks, proved = [], []
    for recipient, identity in sorted(identities.items()):
        own = [
            _check(opened, name, members, recipient, identity)
            for name, members in sorted(drill_set.by_class(found.manifest.artifacts).items())
        ]
        checks += own
        proved += [recipient] if own and all(one.verdict == PASS for one in own) else []
    return checks, proved


def _check(opened: Opened, name: str, members: t.Sequence[Artifact], recipient: str, identity: t.Any) -> Check:
    closed = []
    for one in members:
        try:
            with opened.store.open(one.path) as source:
                opens = header_proof.opens(header_proof.header(source, one.path), identity, one.path)
        except BackupError as exc:
            return Check(f"escrow.{name}", FAIL, exc.msg, details={"recipient": recipient})
        closed += [] if opens else [one]
    if not closed:
        return Check(f"escrow.{name}", PASS, f"{recipient} opens all {len(members)} objects", details={"recipient": recipient})
    sealed_to = recipient in closed[0].recipients
    why = "though it is sealed to it; the object is not what was signed" if sealed_to else "it is not sealed to it"
    words = f"{recipient} does not open {closed[0].path} and {len(closed) - 1} more of {len(members)} objects: {why}"
    return Check(f"escrow.{name}", FAIL, words, details={"recipient": recipient})


def _recipient(path: str, identity: t.Any) -> str:
    """The fingerprint of the public half, as manifests have it."""
    public = getattr(identity, "to_public", None)
    if public:
        return age.fingerprint(str(public()))
    try:
        line = process.run(["ssh-keygen", "-y", "-P", "", "-f", path], timeout=TIMEOUT).decode("utf-8", "replace")
    except StageFailed as exc:
        raise KeyProblem(f"{path}: ssh-keygen cannot tell its public half ({exc.msg}); give an unencrypted key") from exc
    return age.fingerprint(" ".join(line.split()[:2]))
