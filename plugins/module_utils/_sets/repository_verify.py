# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: compare everything that the journal names with the stored objects."""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from .._ansible.boundary import Invocation
from .._crypto import header_proof
from .._crypto import recipients as age
from .._crypto.signing import Signer
from .._crypto.timestamps import Anchors
from .._errors import BackupError, OptionError
from .._evidence import access, history, metrics
from .._evidence.access import JournalResult, Opened
from .._options import declared
from .._options.declared import Path
from .._options.shared import RepositoryOptions
from .._report.check import FAIL, PASS, UNPROVEN, WARN, Check, judged
from .._report.text import plural
from .._repository import decisions, layout, objects
from .._repository import entry as entries
from .._repository import journal as journals
from .._repository.artifact import Artifact
from .._repository.catalog import StoredSet
from .._repository.decisions import Verification
from .._repository.findings import Recorded
from .._repository.manifest import Manifest
from .._stream import progress
from .._stream.progress import Progress
from . import lock_check, named_objects, set_holds, signature_checks, timestamp_check

MANIFESTS, DECRYPTABLE, ORPHANS, COVERAGE = "repository.manifests", "repository.decryptable", "repository.orphans", "repository.coverage"
LISTED = 50


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    access: RepositoryOptions
    signing_key: Path | None = None
    metrics_file: Path | None = None
    parts: int = 1
    part: int | None = None
    identity_files: tuple[Path, ...] = ()
    timestamp_roots: Path | None = None
    require_valid: bool = True


class RepositoryVerifyResult(metrics.MeasuredVerification, JournalResult):
    """The verdict with the part that was read, the number of parts, and the number of objects."""

    part: int
    parts: int
    objects: int
    sets: int


def run(invocation: Invocation[Options]) -> RepositoryVerifyResult:
    """Verify a repository.

    A fault in the journal raises an error, because nothing below it could be trusted. Other faults are failed checks.
    """
    with progress.shown() as display:
        return _verified(invocation, display)


def _verified(invocation: Invocation[Options], display: Progress) -> RepositoryVerifyResult:
    given = invocation.options
    opened = access.open_repository(given.access, warn=invocation.warn, everything=True)
    signer = access.signer(opened, given.access.deployment, given.signing_key, layout.DRILL) if given.signing_key else None
    identities = age.load_identities(given.identity_files) if given.identity_files else []
    access.check_outside(opened.store, given.access, timestamp_roots=given.timestamp_roots)
    anchors = Anchors.load(given.timestamp_roots) if given.timestamp_roots else None
    part = _part(opened, given)
    manifests, checks = _manifests(opened)
    stored = _unique(manifests.values())
    chosen = [one for one in stored if _turn(one.path, given.parts) == part]
    seen = [*_bytes(opened, stored, chosen, display), *_evidence(opened), *_decryptable(opened, stored, identities)]
    failed = _failed(manifests, [*checks, *seen])
    done = Verification(given.parts, part, len(chosen), failed)
    checks = [
        *_journal(opened, anchors),
        *access.countersignature_checks(opened, _drilled(opened, manifests)),
        *checks,
        *seen,
        *_stored(opened, manifests),
        _blocks(opened, given.parts, part, None if invocation.check_mode else signer),
        _coverage(opened, done, recorded=signer is not None),
    ]
    if signer and not invocation.check_mode:
        _enter(opened, signer, done)
    opened.mark.advance(opened.journal, dry=invocation.check_mode)
    result: RepositoryVerifyResult = {
        **judged(checks, given.require_valid),
        "part": part,
        "parts": given.parts,
        "objects": len(chosen),
        "bytes": sum(one.size for one in chosen),
        "changed": signer is not None,
        "sets": len(manifests),
        "failed_sets": list(failed),
        "journal_head": opened.head,
        "diff": {"before": "", "after": f"part {part} of {given.parts} verified\n" if signer else ""},
    }
    metrics.leave(given.metrics_file, invocation, lambda: metrics.of_verification(given.access.deployment, result, access.now()))
    return result


def _stored(opened: Opened, manifests: dict[str, Manifest]) -> list[Check]:
    """Return the checks of sets and reports that read no artifact."""
    return [lock_check.check(opened, manifests), set_holds.check(opened, manifests), signature_checks.reports(opened), _orphans(opened)]


def _journal(opened: Opened, anchors: Anchors | None) -> list[Check]:
    return [
        Check("journal.chain", PASS, f"{len(opened.journal.entries)} entries, every signature and digest verified"),
        access.freshness_check(opened),
        timestamp_check.check(opened, anchors),
        signature_checks.journal(opened),
        *signature_checks.unsigned(opened),
        *access.shadowed_checks(opened),
    ]


def _part(opened: Opened, given: Options) -> int:
    """Return the chosen part, or the part after the last one recorded with the same number of parts. Raises OptionError."""
    parts, part = given.parts, given.part
    if parts < 1:
        raise OptionError(f"parts is {parts}; set it to 1 or more")
    if part is not None and not 1 <= part <= parts:
        raise OptionError(f"part {part} of {parts} does not exist; set part to a number from 1 to {parts}")
    if part is None and parts > 1 and not given.signing_key:
        raise OptionError("without signing_key the journal does not record which part was verified; set signing_key or part")
    last = next((one.part for one in reversed(decisions.verifications(opened.journal.entries)) if one.parts == parts), 0)
    return part or last % parts + 1


def _turn(path: str, parts: int) -> int:
    """Return the part of a path. It never changes, so one run for each part reads all objects that stay."""
    return int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], "big") % parts + 1


def _manifests(opened: Opened) -> tuple[dict[str, Manifest], list[Check]]:
    """Return the trusted manifests of all sets that were not pruned, and the checks of all manifests."""
    read = opened.catalog.manifests(opened.catalog.sets())
    found = {set_id: one for set_id, one in read.items() if isinstance(one, Manifest)}
    failed = [Check(MANIFESTS, FAIL, one.msg, details={"set": set_id}) for set_id, one in read.items() if isinstance(one, BackupError)]
    if failed:
        return found, failed
    if not found:
        return found, [Check(MANIFESTS, UNPROVEN, "the repository contains no set")]
    return found, [Check(MANIFESTS, PASS, f"{plural(len(found), 'set')}: every manifest and every RECOVERY.md was verified")]


def _drilled(opened: Opened, manifests: t.Iterable[str]) -> list[StoredSet]:
    """Return the sets with a manifest that a drill's entry names."""
    named = {key for one in opened.journal.of_kind(entries.DRILL) for key in one.subjects}
    return [opened.catalog.read(set_id) for set_id in manifests if layout.manifest_key(set_id) in named]


def _unique(manifests: t.Iterable[Manifest]) -> list[Artifact]:
    """Return the artifacts of the sets. A shared object is listed once for each digest recorded for it."""
    found = {(one.path, one.sha256, one.size): one for manifest in manifests for one in manifest.artifacts}
    return [found[key] for key in sorted(found)]


def _bytes(opened: Opened, stored: t.Sequence[Artifact], chosen: t.Sequence[Artifact], display: Progress) -> list[Check]:
    """Read the chosen objects completely, and check only the size of the others."""
    others = []
    for one in set(stored).difference(chosen):
        try:
            objects.check_size(opened.store, one)
        except BackupError as exc:
            others.append(Check(objects.CHECK_ID, FAIL, exc.msg, details={"path": one.path}))
    nothing = [Check(objects.CHECK_ID, UNPROVEN, "this part contains no object")]
    read = objects.verify(opened.store, chosen, display) if chosen else nothing
    return [*read, *sorted(others, key=lambda one: one.message)]


def _blocks(opened: Opened, parts: int, part: int, signer: Signer | None) -> Check:
    """Compare the signed audit blocks with earlier ones, for the sets of a part and for the newest set or checkpoint.

    With a signer, differences are recorded.
    """
    sets = [one for one in opened.journal.of_kind(entries.SET) if _turn(next(iter(one.subjects)), parts) == part]
    newest = opened.journal.numbers(entries.SET, entries.CHECKPOINT)[-1:]
    shown: dict[str, tuple[Recorded, ...]] = {}
    problem = ""
    for one in (*sets, *(entry for entry in opened.journal.at(newest) if entry not in sets)):
        try:
            shown.update(history.in_files(opened, one))
        except BackupError as exc:
            problem = problem or exc.msg
    if signer:
        for name, differences in shown.items():
            history.record(opened, signer, name, differences)
    return history.check(opened, shown, problem=problem)


def _evidence(opened: Opened) -> list[Check]:
    """Compare the remaining files of pruned sets, checkpoints and drills with the digests in manifests and journal."""
    wrong = named_objects.evidence_faults(opened)
    if wrong:
        return [Check("repository.evidence", FAIL, f"{wrong[0]} ({len(wrong)} faults)", details={"faults": wrong[:LISTED]})]
    return [Check("repository.evidence", PASS, "all audit blocks and reports match the journal", required=False)]


def _decryptable(opened: Opened, stored: t.Sequence[Artifact], identities: t.Sequence[t.Any]) -> list[Check]:
    sealed = [one for one in stored if one.recipients]
    if not identities:
        return [Check(DECRYPTABLE, UNPROVEN, "no identity was given, so decryption was not tried", required=False)]
    if not sealed:
        return [Check(DECRYPTABLE, UNPROVEN, "there is no encrypted object to try the identities on")]
    failed = []
    for one in sealed:
        try:
            with opened.store.open_held(objects.find(opened.store, one.path, one.sha256, one.size)) as source:
                head = header_proof.header(source, one.path)
            if not any(header_proof.opens(head, identity, one.path) for identity in identities):
                failed.append(Check(DECRYPTABLE, FAIL, f"none of the identities decrypts {one.path}", details={"path": one.path}))
        except BackupError as exc:
            failed.append(Check(DECRYPTABLE, FAIL, exc.msg, details={"path": one.path}))
    return failed or [Check(DECRYPTABLE, PASS, f"the identities decrypt the headers of all {len(sealed)} encrypted objects")]


def _failed(manifests: t.Mapping[str, Manifest], checks: t.Sequence[Check]) -> tuple[str, ...]:
    """Return the sets with a fault. If an identity does not decrypt an object, that is a fault of the identity and not of the set."""
    wrong = [one for one in checks if one.verdict == FAIL and one.id != DECRYPTABLE]
    paths = {one.details.get("path") for one in wrong}
    by_object = {set_id for set_id, manifest in manifests.items() if paths & {one.path for one in manifest.artifacts}}
    return tuple(sorted(by_object | {one.details["set"] for one in wrong if "set" in one.details}))


def _orphans(opened: Opened) -> Check:
    found = named_objects.orphans(opened)
    if not found:
        return Check(ORPHANS, PASS, "every stored object belongs to the journal, a manifest or an open set", required=False)
    words = (
        f"{len(found)} objects belong to no set or entry, first {found[0]}; "
        "backup_prune removes leftovers of killed runs after its grace time"
    )
    return Check(ORPHANS, WARN, words, required=False, details={"paths": found[:LISTED]})


def _coverage(opened: Opened, done: Verification, *, recorded: bool) -> Check:
    """Check that this run and the earlier runs together have read all parts."""
    if done.parts == 1:
        return Check(COVERAGE, PASS, "every byte was read", required=False)
    known = [one.part for one in decisions.verifications(opened.journal.entries) if one.parts == done.parts][-(done.parts - 1) :]
    missing = sorted(set(range(1, done.parts + 1)) - {done.part} - (set(known) if recorded else set()))
    if missing:
        words = f"part {done.part} of {done.parts} was read; not read yet: {', '.join(map(str, missing))}"
        return Check(COVERAGE, UNPROVEN, words, required=False)
    return Check(COVERAGE, PASS, f"part {done.part} of {done.parts} was read, the others in earlier runs", required=False)


def _enter(opened: Opened, signer: Signer, done: Verification) -> None:
    subjects = [entries.subject(layout.REPOSITORY, opened.repository.sha256)]
    times, machine, body = access.times(), access.machine(), done.to_body()
    journals.append(opened.repository, opened.journal, signer, entries.VERIFICATION, subjects, body, time=times, machine=machine)
