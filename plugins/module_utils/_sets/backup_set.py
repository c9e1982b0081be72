# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: open, extend, commit or abort a set."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from .._ansible.boundary import Invocation
from .._caracal.source import source_checks
from .._crypto.allowed_signers import Verifier
from .._crypto.signing import Signer
from .._errors import OptionError, StorageError, TamperedData
from .._evidence import access, audit_retention, history, metrics
from .._evidence.access import Opened
from .._evidence.running import Running
from .._options import declared
from .._options.declared import Path, Rules, needed
from .._options.shared import RepositoryOptions, ServiceOptions
from .._reading import source_reading
from .._report import prometheus
from .._report.check import FAIL, PASS, CheckResult
from .._repository import commit as commits
from .._repository import creation, findings, parts
from .._repository import layout as keys
from .._repository.findings import Recorded
from .._repository.manifest import Manifest, Source
from .._repository.mark import HighWaterMark
from .._storage.schemes import open_store


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    RULES = Rules(
        required_if=(
            ("state", "extended", ("set_id", "staged", "signing_key")),
            ("state", "committed", ("set_id", "signing_key")),
            ("state", "aborted", ("set_id",)),
            ("state", "open", ("signing_key",)),
        )
    )

    access: RepositoryOptions
    set_id: str | None = None
    create_repository: bool = False
    signing_key: Path | None = None
    services: tuple[ServiceOptions, ...] = ()
    metrics_file: Path | None = None
    state: t.Literal["open", "extended", "committed", "aborted"]
    staged: Path | None = None
    exclusive: bool = False
    left_out: t.Mapping[str, object] = dataclasses.field(default_factory=dict)


class _Set(t.TypedDict):
    changed: bool
    set_id: str
    diff: dict[str, str]


class OpenResult(_Set, total=False):
    """An open set. There is no head if the repository does not exist yet."""

    journal_head: str


class SetResult(_Set):
    """A set, and the head of the journal."""

    journal_head: str


class ArtifactsResult(SetResult):
    """A set with the number and total size of its artifacts."""

    artifacts: int
    bytes: int


class _Findings(t.TypedDict):
    verdict: str
    checks: list[CheckResult]


class FindingsResult(_Findings, total=False):
    """Findings in the source of a set. `msg` is set for a verdict other than pass."""

    msg: str


class CommitResult(ArtifactsResult, FindingsResult):
    """A committed set, and the findings in its source."""


def run(invocation: Invocation[Options]) -> SetResult | OpenResult:
    use_cases: dict[str, t.Callable[[Invocation[Options]], SetResult | OpenResult]]
    use_cases = {"open": _open, "extended": _extend, "committed": _commit, "aborted": _abort}
    return use_cases[invocation.options.state](invocation)


def _signer(given: Options) -> Signer:
    return Signer(needed(given.signing_key, "signing_key"), keys.principal(keys.BACKUP, given.access.deployment))


def _open(invocation: Invocation[Options]) -> OpenResult:
    """Create a set ID, and the repository if requested. Nothing is stored for the set until a module adds a part."""
    given = invocation.options
    signer = _signer(given)
    set_id = keys.check_id(given.set_id) if given.set_id else keys.new_set_id(access.now(), os.urandom(5))
    running = Running(given.access, set_id)
    if not invocation.check_mode:
        running.refuse_other()
    line = f"set {set_id} (open)\n"
    result: OpenResult = {"changed": True, "set_id": set_id, "diff": {"before": "", "after": line}}
    if given.metrics_file:
        prometheus.check_place(given.metrics_file)
    if given.create_repository and open_store(given.access.repository, given.access.bucket).stat(keys.entry_key(1)) is None:
        _create(given, signer, invocation.check_mode)
        if invocation.check_mode:
            return result
    opened = access.open_repository(given.access, warn=invocation.warn)
    if set_id in [one.set_id for one in opened.catalog.committed()]:
        raise OptionError(f"set {set_id} is already committed; leave set_id out to open a new set")
    _try(given, signer, opened.verifier, keys.NAMESPACE_SET)
    begun = parts.read(opened.store, set_id, signer)
    opened.mark.advance(opened.journal, dry=invocation.check_mode)
    opened.store.check_writable(probe=not invocation.check_mode)
    if not invocation.check_mode:
        opened.store.prepare()
        if given.exclusive:
            running.begin()
    else:
        # Last, so that a preflight has checked everything else.
        running.refuse_other()
    if begun:
        result.update({"changed": False, "diff": {"before": line, "after": line}})
    return {**result, "journal_head": opened.head}


def _try(given: Options, signer: Signer, verifier: Verifier, *namespaces: str) -> None:
    """Raise an error if readers would not trust this signer."""
    for namespace in namespaces:
        trial = signer.sign(b"preflight", namespace)
        verifier.verify(b"preflight", trial, namespace, signer.principal, name=f"the trial signature of {given.signing_key}")


def _create(given: Options, signer: Signer, check_mode: bool) -> None:
    """Create a repository. Refuse if this host knows one for the deployment: it has vanished, and a new one would hide that."""
    known = HighWaterMark(given.access.high_water_mark).repositories_of(given.access.deployment)
    if known:
        raise TamperedData(
            f"{given.access.repository} contains no repository, but {given.access.high_water_mark} records {known[0]} of deployment "
            f"{given.access.deployment}; find the repository, and remove that file only if you removed the repository on purpose"
        )
    store = open_store(given.access.repository, given.access.bucket)
    access.check_outside(store, given.access)
    store.make_place(dry=True)
    HighWaterMark(given.access.high_water_mark).check_writable()
    verifier = Verifier.load(given.access.allowed_signers, given.access.revoked_keys)
    _try(given, signer, verifier, keys.NAMESPACE_REPOSITORY, keys.NAMESPACE_JOURNAL, keys.NAMESPACE_SET)
    if store.stat(keys.REPOSITORY):
        creation.begun(store, given.access.deployment, signer)
    if not check_mode:
        store.make_place()
        creation.create(store, given.access.deployment, signer, access.machine(), access.now, verifier=verifier)


def _commit(invocation: Invocation[Options]) -> ArtifactsResult | CommitResult:
    from .._assets import set_parts
    from .._assets.databases import dump_set

    given = invocation.options
    set_id = keys.check_id(needed(given.set_id, "set_id"))
    opened = access.open_repository(given.access, warn=invocation.warn)
    known = {one.set_id: one for one in opened.catalog.committed()}
    if set_id in known:
        found = opened.catalog.open(set_id).manifest
        if not invocation.check_mode:
            parts.delete(opened.store, set_id)
            Running(given.access, set_id).end()
        opened.mark.advance(opened.journal, dry=invocation.check_mode)
        return {**_committed(invocation, opened, found, changed=False), **_judged(opened, set_id, found.findings, [])}
    signer = _signer(given)
    _try(given, signer, opened.verifier, keys.NAMESPACE_SET, keys.NAMESPACE_JOURNAL)
    content = parts.read(opened.store, set_id, signer)
    if not content:
        if invocation.check_mode:
            return {**_empty(opened, set_id), **_judged(opened, set_id, (), [])}
        raise OptionError(f"set {set_id} has no artifact; run pg_encrypted_dump with this set_id first")
    manifest, text = set_parts.assemble(opened, set_id, content, given.left_out, given.services)
    if invocation.check_mode:
        opened.mark.check_writable()
        opened.store.check_writable(probe=False)
    else:
        # Record findings first, so that a killed run never leaves a set with unrecorded findings.
        history.record(opened, signer, set_id, manifest.findings)
        _enter(opened, signer, manifest, text, content[dump_set.PART]["sources"])
        Running(given.access, set_id).end()
    checks = [one for part in content.values() for one in part.get("checks", [])]
    return {**_committed(invocation, opened, manifest, changed=True), **_judged(opened, set_id, manifest.findings, checks)}


def _empty(opened: Opened, set_id: str) -> ArtifactsResult:
    """Return a result without artifacts: in check mode, earlier modules have added nothing to a new set."""
    nothing = {"before": "", "after": ""}
    return {"changed": True, "set_id": set_id, "journal_head": opened.head, "artifacts": 0, "bytes": 0, "diff": nothing}


_REPORTED = (*findings.LASTING, *source_checks.IDS)


def _judged(opened: Opened, set_id: str, recorded: t.Sequence[Recorded], found: t.Sequence[CheckResult]) -> FindingsResult:
    """Return the findings of this dump, or the findings that the journal records for the set.

    The set is created despite findings, since it is evidence.
    """
    of_source = source_reading.of_set(recorded, history.acknowledged(opened))
    kept = history.check(opened, {set_id: history.of_checks(found)})
    # `kept` also reports changed audit rows, and how to acknowledge them. `of_source` reports broken constraints.
    others = [str(one["message"]) for one in found if one["verdict"] == FAIL and one["id"] not in _REPORTED]
    audit = [f"{kept.message}; do not prune before you know who changed the audit tables"] if kept.verdict == FAIL else []
    failed = [*others, *(one.message for one in of_source if one.verdict == FAIL), *audit]
    result: FindingsResult = {"verdict": PASS, "checks": [one.to_result() for one in (kept, *of_source)]}
    if failed:
        result.update({"verdict": FAIL, "msg": f"set {set_id} is committed with findings: {'; '.join(failed)}"})
    return result


def _enter(opened: Opened, signer: Signer, manifest: Manifest, text: bytes, sources: t.Sequence[t.Mapping[str, object]]) -> None:
    """Commit the set. `sources` has the format of the part that describes the databases."""
    about = [_body(one, recorded) for one, recorded in zip(manifest.sources, sources, strict=True)]
    body = {"source": about, "release": manifest.release, "bytes": manifest.size}
    times, machine = access.times(manifest), access.machine()
    commits.commit(opened.repository, opened.journal, signer, manifest, text, body=body, time=times, machine=machine)
    try:
        opened.mark.advance(opened.journal)
    except StorageError as exc:
        raise exc.reworded(f"set {manifest.set_id} is committed, but {exc.msg}") from exc


def _body(source: Source, recorded: t.Mapping[str, object]) -> dict[str, object]:
    """Return what the journal must record of a source, so that it is known without the manifest or the encrypted inventory."""
    retention = {name: recorded[name] for name in (audit_retention.FIELD,) if name in recorded}
    return {"database": source.database, "system_identifier": source.system_identifier, **retention}


def _committed(invocation: Invocation[Options], opened: Opened, manifest: Manifest, changed: bool) -> ArtifactsResult:
    _measure(invocation, opened, manifest)
    listing = "".join(f"{one.path} {one.size}\n" for one in manifest.artifacts)
    return {
        "changed": changed,
        "set_id": manifest.set_id,
        "journal_head": opened.head,
        "artifacts": len(manifest.artifacts),
        "bytes": manifest.size,
        "diff": {"before": "" if changed else listing, "after": listing},
    }


def _measure(invocation: Invocation[Options], opened: Opened, manifest: Manifest) -> None:
    """Write metrics, unless an older set is committed again: the metrics describe the newest set."""
    newest = opened.catalog.newest()
    if invocation.check_mode or (newest and newest.set_id == manifest.set_id):
        metrics.leave(invocation.options.metrics_file, invocation, lambda: metrics.of_set(opened, manifest, newest.entry) if newest else [])


def _extend(invocation: Invocation[Options]) -> ArtifactsResult:
    """Add the artifacts that another host has staged."""
    from .._assets import staging

    given = invocation.options
    set_id = keys.check_id(needed(given.set_id, "set_id"))
    opened = access.open_repository(given.access, warn=invocation.warn)
    if set_id in [one.set_id for one in opened.catalog.committed()]:
        raise OptionError(f"set {set_id} is committed and cannot be changed; open a new set")
    if not invocation.check_mode:
        Running(given.access, set_id).renew()
    stage = staging.Stage(needed(given.staged, "staged"), set_id, _signer(given))
    new, names = stage.missing_in(opened.store)
    opened.store.check_writable(probe=not invocation.check_mode)
    if not invocation.check_mode:
        stage.copy(new, names, opened.store)
    listing = "".join(f"{one.path} {one.size}\n" for one in stage.artifacts.values())
    return {
        "changed": bool(new or names),
        "set_id": set_id,
        "journal_head": opened.head,
        "artifacts": len(stage.artifacts),
        "bytes": sum(one.size for one in stage.artifacts.values()),
        "diff": {"before": "" if new or names else listing, "after": listing},
    }


def _abort(invocation: Invocation[Options]) -> SetResult:
    """Delete an open set: its parts and the objects that it created. Objects shared from other sets are not deleted."""
    given = invocation.options
    set_id = keys.check_id(needed(given.set_id, "set_id"))
    if not invocation.check_mode:
        # First, since the set is finished on this host even if the repository cannot be reached.
        Running(given.access, set_id).end()
    opened = access.open_repository(given.access, warn=invocation.warn)
    if set_id in [one.set_id for one in opened.catalog.committed()]:
        raise OptionError(f"set {set_id} is committed, so it cannot be aborted; backup_prune removes it when retention allows")
    folder = keys.set_folder(set_id)
    shared = [one.key for one in opened.store.list(keys.OBJECTS) if f".{set_id}." in one.key]
    own = [one.key for one in opened.store.list(folder)] + shared
    left = opened.store.clear(folder, dry=True) + len(shared)
    if not invocation.check_mode:
        for key in shared:
            opened.store.delete(key)
        opened.store.clear(folder)
    diff = {"before": "".join(f"{key}\n" for key in own), "after": ""}
    return {"changed": left > 0, "set_id": set_id, "journal_head": opened.head, "diff": diff}
