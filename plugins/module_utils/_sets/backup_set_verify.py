# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: verify a set as far as possible without decryption."""

from __future__ import annotations

import dataclasses
import typing as t

from .._ansible.boundary import Invocation
from .._caracal.source import source_checks
from .._evidence import access, history
from .._evidence.access import Opened
from .._options import declared
from .._options.shared import RepositoryOptions, StoredSetOptions
from .._reading import source_reading
from .._report.check import FAIL, PASS, UNPROVEN, Check, VerdictResult, judged
from .._repository import artifact as artifacts
from .._repository import catalog, images
from .._repository.catalog import StoredSet
from .._repository.services import RecordedService
from .._stream import progress
from .._stream.progress import Progress
from . import signature_checks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    access: RepositoryOptions
    stored: StoredSetOptions = dataclasses.field(default_factory=StoredSetOptions)
    require_valid: bool = True


class SetAssets(t.TypedDict):
    """The assets of a set in addition to databases. `replay` lists its replay directories."""

    secrets: bool
    redis: bool
    replay: list[str]


class SetFacts(t.TypedDict):
    """The manifest's description of a set."""

    release: str | None
    family: str | None
    snapshot_time: str
    bytes: int
    data_bytes: int
    artifacts: int
    databases: list[str]
    left_out: dict[str, str]
    services: list[RecordedService]
    images: list[images.ImageResult]
    assets: SetAssets
    sequence: int


class SetVerifyResult(VerdictResult):
    """The checks of a set, and its facts."""

    set_id: str
    journal_head: str
    set_facts: SetFacts


def run(invocation: Invocation[Options]) -> SetVerifyResult:
    """Verify a set. A fault in the journal, the signature or the IDs raises an error, because nothing below them could be trusted.

    Other faults are failed checks.
    """
    with progress.shown() as seen:
        return _verified(invocation, seen)


def _verified(invocation: Invocation[Options], seen: Progress) -> SetVerifyResult:
    given = invocation.options
    opened = access.open_repository(given.access, warn=invocation.warn, everything=True)
    record = opened.catalog.latest(given.stored.max_age) if given.stored.set_id == "latest" else opened.catalog.get(given.stored.set_id)
    found = opened.catalog.read(record.set_id)
    checks = [
        Check("journal.chain", PASS, f"{len(opened.journal.entries)} entries, every signature and digest verified"),
        access.freshness_check(opened),
        Check("set.signature", PASS, f"manifest and RECOVERY.md match entry {record.entry.sequence} of the journal"),
        *opened.catalog.verify_objects(found, seen),
        *signature_checks.unsigned(opened),
        *access.shadowed_checks(opened),
        *access.countersignature_checks(opened, [found]),
        _countersigned(opened, found),
        history.check_set(opened, record.entry),
        *source_reading.of_set(found.manifest.findings, history.acknowledged(opened)),
    ]
    opened.mark.advance(opened.journal, dry=invocation.check_mode)
    return {
        **judged(checks, given.require_valid),
        "set_id": record.set_id,
        "journal_head": opened.head,
        "set_facts": _facts(found),
    }


def is_broken(result: VerdictResult) -> bool:
    """Return whether the set differs from what was signed. Problems that its source already had do not prevent a restore."""
    checks = (one for one in result["checks"] if one["id"] not in (history.CHECK_ID, *source_checks.IDS))
    return any(one["verdict"] == FAIL and one["required"] for one in checks)


def _countersigned(opened: Opened, found: StoredSet) -> Check:
    drills = opened.catalog.countersignatures(found)
    if not drills:
        return Check("set.drilled", UNPROVEN, "no drill has passed with this set yet", required=False)
    return Check("set.drilled", PASS, f"drill {drills[-1].drill_id} passed, and its drill host countersigned the set", required=False)


def _facts(found: StoredSet) -> SetFacts:
    manifest = found.manifest
    return {
        "release": manifest.release,
        "family": manifest.family,
        "snapshot_time": access.timestamp(catalog.recovery_point(manifest, found.record.entry)),
        "bytes": manifest.size,
        "data_bytes": manifest.data_size,
        "artifacts": len(manifest.artifacts),
        "databases": [one.database for one in manifest.sources],
        "left_out": manifest.left_out,
        "services": [t.cast("RecordedService", dataclasses.asdict(one)) for one in manifest.services],
        "images": images.results(manifest.images, manifest.artifacts),
        "assets": {
            "secrets": any(one.kind == artifacts.SECRETS for one in manifest.artifacts),
            "redis": any(one.kind == artifacts.REDIS for one in manifest.artifacts),
            "replay": sorted({one.source for one in manifest.artifacts if one.kind == artifacts.REPLAY and one.source}),
        },
        "sequence": found.record.entry.sequence,
    }
