# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dump the databases of one set, one after the other. Each has its own snapshot, and all share one inventory."""

from __future__ import annotations

import hashlib
import typing as t

from ..._caracal.chains import audit_blocks
from ..._caracal.chains.audit_blocks import Block
from ..._caracal.source import source_checks
from ..._crypto import strict_json
from ..._crypto.sealing import Sealed
from ..._drivers.postgres import roles
from ..._drivers.postgres.server import Session
from ..._evidence import earlier
from ..._evidence.sealed_census import SealedCensus
from ..._inventory import ClusterRoles, SetInventory
from ..._reading import completeness
from ..._report.check import CheckResult
from ..._repository import layout as keys
from ..._repository import objects
from ..._repository.artifact import ArtifactRecord
from ..._stream import compression
from .dump_database import DatabaseResult, DatabaseSight, DumpJob, PartitionResult, SourceRecord, artifact, dump_database, public

PART = "postgres"


class DumpedFile(t.TypedDict):
    """An artifact in the result. `shared` means that another set created it."""

    path: str
    size: int
    sha256: str
    shared: bool


class DumpResult(t.TypedDict):
    """The dump's part of the module's result."""

    artifacts: list[DumpedFile]
    bytes: int
    checks: list[CheckResult]
    left_out: dict[str, str]
    databases: list[DatabaseResult]
    partitions: list[PartitionResult]


class DumpPart(t.TypedDict):
    """The dump's part of the set. `sealed` is the census of encrypted values by database."""

    artifacts: list[ArtifactRecord]
    sources: list[SourceRecord]
    partitions: list[dict[str, object]]
    family: str | None
    release: str | None
    sealed: dict[str, SealedCensus]
    tools: dict[str, str]
    checks: list[CheckResult]
    left_out: dict[str, str]
    result: DumpResult


def dump_all(job: DumpJob, seen: t.Sequence[DatabaseSight]) -> DumpPart:
    """Dump all databases into the store. Return the set's part: artifacts for the manifest, and the module's result."""
    job.progress.begin("dumping", sum(one["size"] for one in seen))
    history = earlier.load(job.opened, job.target.recipients, seen[0]["system_identifier"])
    before = _roles(job, seen)
    dumped = [dump_database(job, one, history) for one in seen]
    after = _roles(job, seen)
    if after != before:
        after = _roles(job, seen)
    blocks = [block for one in dumped for block in one.blocks]
    artifacts = [made for one in dumped for made in one.artifacts]
    databases = [one.inventory for one in dumped]
    artifacts.append(_seal_inventory(job, {"format": keys.FORMAT, "set": job.target.set_id, "roles": after, "databases": databases}))
    artifacts.append(_put_blocks(job, blocks))
    accounts = [one.account for one in dumped]
    of_source = source_checks.checks([scan for one in dumped for scan in one.scans], history.acknowledged)
    found = (completeness.check(accounts), *of_source, *(check for one in dumped for check in one.checks))
    checks = [check.to_result() for check in found]
    left_out = {name: reason for one in accounts for name, reason in one.left_out.items()}
    # The database with migrations determines family and release, in any order of databases.
    own = next((one.inventory for one in dumped if one.inventory["family"]), dumped[0].inventory)
    return {
        "artifacts": artifacts,
        "sources": [one.source for one in dumped],
        "partitions": [proven.to_dict() for one in dumped for proven, *_reasons in one.partitions],
        "family": own["family"],
        "release": own["release"],
        "sealed": {one.inventory["database"]: one.sealed for one in dumped if one.sealed},
        "tools": {"pg_dump": job.client.version_text},
        "checks": checks,
        "left_out": left_out,
        "result": {
            "databases": [public(one.source) for one in dumped],
            "artifacts": [_file(one) for one in artifacts],
            "checks": checks,
            "left_out": left_out,
            "partitions": [proven for one in dumped for proven in one.partition_results()],
            "bytes": sum(a["size"] for a in artifacts if a["shared_from"] is None),
        },
    }


def _file(made: ArtifactRecord) -> DumpedFile:
    return {"path": made["path"], "size": made["size"], "sha256": made["sha256"], "shared": made["shared_from"] is not None}


def _roles(job: DumpJob, seen: t.Sequence[DatabaseSight]) -> ClusterRoles:
    """Return the roles. They are in no snapshot, so they are read before and after the dump."""
    found: ClusterRoles = {"roles": {}, "members": []}
    for one in seen:
        with Session(job.server, one["database"]) as session:
            found = roles.merge(found, roles.read(session))
    return found


def _seal_inventory(job: DumpJob, inventory: SetInventory) -> ArtifactRecord:
    path = keys.inventory_key(job.target.set_id)
    with objects.sealed(job.opened.store, keys.set_folder(job.target.set_id), job.target.recipients, path) as (sealer, publish):
        sealer.write(strict_json.dumps(inventory))
        sealed = publish(path)
    return artifact(job, "inventory", None, path, sealed)


def _put_blocks(job: DumpJob, blocks: t.Sequence[Block]) -> ArtifactRecord:
    """Store the audit blocks unencrypted. They contain only zone IDs and digests, so anyone can compare them with a later set."""
    path, data = keys.blocks_key(job.target.set_id), compression.compress(audit_blocks.to_tsv(blocks))
    job.opened.store.put(path, data)
    sealed = Sealed(0, "", len(data), hashlib.sha256(data).hexdigest())
    return {**artifact(job, "blocks", None, path, sealed), "recipients": []}
