# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Databases of one set: dumped one after the other, each under its own snapshot, then one inventory for all."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import time
import typing as t

from .._backupset import layout as keys
from .._caracal import audit_blocks, block_history, releases
from .._caracal.audit_blocks import Block
from .._crypto import strict_json
from .._crypto.recipients import Recipient
from .._crypto.sealing import Sealed, Sealer
from .._errors import VersionMismatch
from .._report.check import UNPROVEN, Check
from .._sources.client_binaries import ClientTools
from .._sources.postgres import catalog, dump, roles, snapshot
from .._sources.postgres.server import Server, Session
from .._stream import compression, workers
from . import earlier, reading
from .options import Opened

PART = "postgres"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the dump of a set needs."""

    opened: Opened
    set_id: str
    server: Server
    client: ClientTools
    recipients: tuple[Recipient, ...]
    jobs: int

    @property
    def fingerprints(self) -> list[str]:
        return [recipient.fingerprint for recipient in self.recipients]


def layout_of(session: Session, database: str) -> reading.Layout:
    """The tables of a database; the one named `caracal` must be Caracal's."""
    read = reading.layout(session)
    if read.detected is None and database == releases.OWN_DATABASE:
        raise VersionMismatch(f"database {database} has no schema_migrations, so it is no Caracal database; correct databases")
    return read


@dataclasses.dataclass
class Dumped:
    """One database: its inventory, blocks and artifacts."""

    inventory: dict[str, t.Any]
    blocks: list[Block]
    artifacts: list[dict[str, t.Any]]
    source: dict[str, t.Any]
    check: Check | None


def dump_all(plan: Plan, seen: t.Sequence[dict[str, t.Any]]) -> dict[str, t.Any]:
    """Everything into the store; returns the set's part: artifacts for the manifest, and the module's result."""
    history = earlier.load(plan.opened, plan.recipients)
    before = _roles(plan, seen)
    dumped = [_dump(plan, one, history) for one in seen]
    after = _roles(plan, seen)
    if after != before:
        after = _roles(plan, seen)
    inventory = {"format": keys.FORMAT, "set": plan.set_id, "roles": after, "databases": [one.inventory for one in dumped]}
    blocks = [block for one in dumped for block in one.blocks]
    artifacts = [artifact for one in dumped for artifact in one.artifacts]
    artifacts.append(_seal_inventory(plan, inventory))
    artifacts.append(_put_blocks(plan, blocks))
    checks = [one.check.to_result() for one in dumped if one.check]
    # Whatever the order of the databases, the one with migrations says what was backed up.
    own = next((one.inventory for one in dumped if one.inventory["family"]), dumped[0].inventory)
    return {
        "artifacts": artifacts,
        "sources": [one.source for one in dumped],
        "family": own["family"],
        "release": own["release"],
        "tools": {"pg_dump": plan.client.version_text},
        "checks": checks,
        "result": {
            "databases": [{name: one.source[name] for name in _PUBLIC} for one in dumped],
            "artifacts": [
                {"path": a["path"], "size": a["size"], "sha256": a["sha256"], "shared": a["shared_from"] is not None} for a in artifacts
            ],
            "checks": checks,
            "bytes": sum(a["size"] for a in artifacts if a["shared_from"] is None),
        },
    }


_PUBLIC = ("database", "release", "sight", "clock_offset", "snapshot_time", "seconds")


def _roles(plan: Plan, seen: t.Sequence[dict[str, t.Any]]) -> dict[str, t.Any]:
    """Roles are in no snapshot, so they are read before and after."""
    found: dict[str, t.Any] = {"roles": {}, "members": []}
    for one in seen:
        with Session(plan.server, one["database"]) as session:
            found = roles.merge(found, roles.read(session))
    return found


def _dump(plan: Plan, seen: dict[str, t.Any], history: earlier.History) -> Dumped:
    started = time.monotonic()
    database = seen["database"]
    with snapshot.Snapshot(plan.server, database) as held:
        read = layout_of(held.session, database)
        source = dump.Source(
            held.place, plan.client.paths["pg_dump"], plan.client.paths["psql"], plan.opened.store.location, plan.recipients
        )
        archive, schema, facts, rest, *leaves = workers.run_all(_tasks(plan, source, read, history), plan.jobs)
        blocks = [*rest.blocks, *(block for leaf in leaves for block in leaf.blocks)]
        check = None
        if read.leaves:
            check = _compare(held.place, read, history, blocks)
        inventory = reading.assemble(database, read, facts, rest, leaves)
    with Session(plan.server, database) as session:
        inventory["sequences"] = catalog.sequences(session)
    artifacts = [
        _artifact(plan, "dump", database, keys.dump_key(plan.set_id, database), archive),
        _artifact(plan, "schema", database, keys.schema_key(plan.set_id, database), schema),
        *(_leaf_artifact(plan, database, leaf, history) for leaf in leaves),
    ]
    inventory["plain"] = {artifact["path"]: artifact.pop("plain") for artifact in artifacts}
    facts_of_source = {**seen, **held.facts, "snapshot_time": held.facts["time"], "seconds": round(time.monotonic() - started, 3)}
    return Dumped(inventory, blocks, artifacts, facts_of_source, check)


def _compare(place: snapshot.Place, read: reading.Layout, history: earlier.History, blocks: list[Block]) -> Check:
    if history.problem:
        words = f"set {history.set_id} cannot be compared with: {history.problem}"
        return Check(block_history.CHECK_ID, UNPROVEN, words, required=False)
    return reading.compare_with_earlier(place, read, history.blocks, blocks, history.set_id)


def _tasks(plan: Plan, source: dump.Source, read: reading.Layout, history: earlier.History) -> list[workers.Task]:
    """The archive first, since it holds locks; then the leaves by size, with the small readings in between."""
    database = source.place.database
    names = [table.name for table in read.tables if table.schema == "public"]
    folder = keys.postgres_folder(plan.set_id)
    tasks: list[workers.Task] = [
        (dump.archive, (source, folder, keys.dump_key(plan.set_id, database), read.partitioned)),
        (dump.schema_archive, (source, folder, keys.schema_key(plan.set_id, database))),
        (reading.facts, (source.place, names, source.pg_dump)),
        (reading.rest, (source.place, read.rest)),
    ]
    for leaf in read.leaves:
        name = functools.partial(keys.leaf_key, leaf.name, set_id=plan.set_id)
        tasks.append((reading.sealed_leaf, (source, leaf, folder, name, history.objects(leaf.name))))
    return tasks


def _artifact(plan: Plan, kind: str, database: str | None, path: str, sealed: Sealed, leaf: str | None = None) -> dict[str, t.Any]:
    return {
        "kind": kind,
        "database": database,
        "leaf": leaf,
        "path": path,
        "size": sealed.size,
        "sha256": sealed.sha256,
        "compression": compression.NAME,
        "recipients": plan.fingerprints,
        "shared_from": None,
        "plain": {"size": sealed.plain_size, "sha256": sealed.plain_sha256},
    }


def _leaf_artifact(plan: Plan, database: str, leaf: reading.Leaf, history: earlier.History) -> dict[str, t.Any]:
    if leaf.sealed is None:
        return {**history.artifact(leaf.key or ""), "plain": None}
    return _artifact(plan, "leaf", database, leaf.key or "", leaf.sealed, f"{leaf.table.schema}.{leaf.table.name}")


def _seal_inventory(plan: Plan, inventory: dict[str, t.Any]) -> dict[str, t.Any]:
    path = keys.inventory_key(plan.set_id)
    with plan.opened.store.writer(keys.set_folder(plan.set_id)) as out:
        sealer = Sealer(out, plan.recipients)
        try:
            sealer.write(strict_json.dumps(inventory))
            sealed = sealer.finish()
        finally:
            sealer.close()
        out.publish(path)
    artifact = _artifact(plan, "inventory", None, path, sealed)
    del artifact["plain"]
    return artifact


def _put_blocks(plan: Plan, blocks: t.Sequence[Block]) -> dict[str, t.Any]:
    """Public: zones by id and digests, so that anyone can compare them with a later set."""
    path, data = keys.blocks_key(plan.set_id), compression.compress(audit_blocks.to_tsv(blocks))
    plan.opened.store.put(path, data)
    sealed = Sealed(0, "", len(data), hashlib.sha256(data).hexdigest())
    artifact = _artifact(plan, "blocks", None, path, sealed)
    del artifact["plain"]
    return {**artifact, "recipients": []}
