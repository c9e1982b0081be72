# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Assemble the manifest and the RECOVERY.md from all parts of an open set.

Every part has `artifacts`, and the module's result for a repeated run (`result`). It may have `tools` (versions by name),
`timings` (seconds by step) and `key_ids` (public IDs of keys by name). It may also have `left_out` (reasons by asset),
`pairing` (verdict and message) and `images` (in the manifest's format).

The part `postgres` also has `sources`, `partitions`, `family`, `release` and `checks`. Its check `source.complete` must have passed.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import OptionError, VerificationFailed
from .._evidence import audit_retention, history, metrics
from .._evidence.access import Opened
from .._reading import completeness
from .._report.check import PASS, UNPROVEN, VERDICTS, CheckResult
from .._repository import artifact as artifacts
from .._repository import images, partitions, services
from .._repository import layout as keys
from .._repository import manifest as manifests
from .._repository.fields import Fields
from .._repository.manifest import Manifest, Pairing, PreviousSet
from . import recovery
from .databases import dump_set
from .databases.dump_database import SourceRecord

UNPAIRED = Pairing(UNPROVEN, "the set contains no secrets, so the keys for its sealed columns cannot be verified")
SECRETS = ("secrets.1", "secrets.2")
FIRST, SECOND = ".1", ".2"
Value = t.TypeVar("Value")


class StoredFile(t.TypedDict):
    """An artifact in the result of a module."""

    path: str
    size: int
    sha256: str


class PairingResult(t.TypedDict):
    """The proof which keys decrypt the encrypted columns."""

    verdict: str
    message: str


class SetPart(t.TypedDict, total=False):
    """A part as `Fields` checks it. Modules add their own fields, which are not in the manifest."""

    artifacts: list[artifacts.ArtifactRecord]
    tools: dict[str, str]
    timings: dict[str, float]
    key_ids: dict[str, str]
    left_out: dict[str, str]
    pairing: PairingResult
    images: list[images.ImageRecord]
    sources: list[SourceRecord]
    family: str | None
    release: str | None
    checks: list[CheckResult]
    partitions: list[dict[str, object]]


Parts = t.Mapping[str, SetPart]


def assemble(
    opened: Opened, set_id: str, made: t.Mapping[str, t.Mapping[str, object]], left_out: t.Mapping[str, object], ran: t.Sequence[t.Any] = ()
) -> tuple[Manifest, bytes]:
    """Return manifest and RECOVERY.md.

    `left_out` is added to the parts' own entries. `ran` are the services in the manifest's format. Raises OptionError for a set
    without a database, and VerificationFailed if the set may lack data of its source.
    """
    name = f"parts of set {set_id}"
    recorded = services.given(ran)
    content = t.cast("Parts", made)
    if dump_set.PART not in content:
        raise OptionError(f"set {set_id} has no database; run pg_encrypted_dump with this set_id first")
    _read_twice(set_id, content)
    for part_name, part in made.items():
        _check(Fields(part, f"part {part_name} of set {set_id}"), part)
    parts, database = content.values(), content[dump_set.PART]
    _complete(set_id, database)
    newest = opened.catalog.newest()
    pairing = next((part["pairing"] for part in parts if "pairing" in part), None)
    manifest = Manifest(
        set_id=set_id,
        repository=opened.repository.id,
        deployment=opened.repository.deployment,
        created=keys.id_time(set_id),  # the same bytes after a killed run
        previous=PreviousSet(newest.set_id, newest.entry.sequence, newest.manifest_sha256) if newest else None,
        family=database["family"],
        release=database["release"],
        sources=tuple(manifests.source(Fields(one, name)) for one in database["sources"]),
        artifacts=tuple(artifacts.parse(one, name, set_id) for part in parts for one in part["artifacts"]),
        pairing=Pairing(**pairing) if pairing else UNPAIRED,
        key_ids=_merged(part.get("key_ids", {}) for part in parts),
        tools=_merged(part.get("tools", {}) for part in parts),
        timings={**_timings(database["sources"]), **_merged(part.get("timings", {}) for part in parts)},
        left_out=_merged([*(part.get("left_out", {}) for part in parts), {str(one): str(reason) for one, reason in left_out.items()}]),
        services=recorded,
        images=tuple(one for part in parts for one in images.parse(part.get("images", []), name)),
        findings=history.of_checks(database.get("checks", [])),
        partitions=partitions.parse([Fields(one, name) for one in database.get("partitions", [])]),
    )
    text = recovery.render(manifest)
    return dataclasses.replace(manifest, artifacts=(*manifest.artifacts, artifacts.recovery(set_id, text))), text


def _check(fields: Fields, part: t.Container[str]) -> None:
    """Check the types, so that malformed data causes an error of one line. Raises TamperedData."""
    fields.array("artifacts")
    for field, take in _OPTIONAL.items():
        if field in part:
            take(fields, field)
    if "sources" in part:
        fields.optional_text("family")
        fields.optional_text("release")


def _complete(set_id: str, database: SetPart) -> None:
    """Raise VerificationFailed if the set's databases are incomplete, or if that is unknown. Such a set is never signed."""
    again = f"backup_set state=aborted set_id={set_id}, then create a new set"
    found = next((one for one in database.get("checks", []) if one["id"] == completeness.CHECK_ID), None)
    if found is None:
        raise VerificationFailed(f"set {set_id}: its dump is from another version and does not record whether it is complete; run {again}")
    if found["verdict"] != PASS:
        words = f"set {set_id} was not committed, because {found['id']} is {found['verdict']}: {found['message']}"
        raise VerificationFailed(f"{words}; then run {again}", checks=[found])


def _checks(fields: Fields, field: str) -> None:
    for one in fields.inners(field):
        one.text("id")
        one.one_of("verdict", VERDICTS)
        one.text("message")


def _pairing(fields: Fields, field: str) -> None:
    found = fields.inner(field)
    found.one_of("verdict", VERDICTS)
    found.text("message")
    found.end()


def _sources(fields: Fields, field: str) -> None:
    for one in fields.inners(field):
        if not all(type(one.take(name)) in (int, float) for name in ("seconds", "longest_wait")):
            raise one.fault("has invalid seconds")
        manifests.source(one)
        one.later_integer(audit_retention.FIELD)


_OPTIONAL: dict[str, t.Callable[[Fields, str], object]] = {
    "sources": _sources,
    "checks": _checks,
    "pairing": _pairing,
    "key_ids": Fields.table,
    "tools": Fields.table,
    "timings": Fields.numbers,
    "left_out": Fields.table,
    "images": Fields.array,
    "partitions": Fields.array,
}


def _read_twice(set_id: str, content: t.Collection[str]) -> None:
    """Raise OptionError if an asset that is read before and after the snapshot lacks its second reading.

    Without it, the secrets are not proved, the streams have no groups, and events that were sent meanwhile are missing.
    """
    for name in sorted(content):
        asset = name.removesuffix(FIRST)
        if asset != name and asset + SECOND not in content:
            raise OptionError(f"set {set_id} has no second reading of {asset}; run its module with reading=2, after the dump")


def _merged(tables: t.Iterable[t.Mapping[str, Value]]) -> dict[str, Value]:
    return {name: value for table in tables for name, value in table.items()}


def _timings(sources: t.Sequence[SourceRecord]) -> dict[str, float]:
    """Return how long each database took, and the longest time that another session waited for its locks."""
    took = {f"postgres.{one['database']}": one["seconds"] for one in sources}
    return {**took, **{f"{metrics.LOCK_WAIT}{one['database']}": one["longest_wait"] for one in sources}}
