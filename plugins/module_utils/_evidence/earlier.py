# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Data of earlier sets for the next one: partitions that need not be stored again, and audit blocks for comparison."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._caracal.chains import audit_blocks, audit_chains
from .._caracal.chains.audit_blocks import Block
from .._caracal.chains.block_history import Baseline
from .._crypto.recipients import Recipient
from .._errors import StorageError, TamperedData
from .._repository import layout as keys
from .._repository.artifact import LEAF, Artifact, ArtifactRecord
from .._repository.manifest import Manifest
from .._repository.partitions import Census
from . import baseline, history
from .access import Opened


@dataclasses.dataclass(frozen=True)
class Stored:
    """A partition in the newest set: the key of its object and its blocks. See `Partition` for the rest."""

    key: str
    blocks: tuple[Block, ...]
    census: Census
    last_read: datetime.datetime
    unique: str


@dataclasses.dataclass(frozen=True)
class History:
    """Entries of the journal about the chains, and the partition objects of the set `newest` that all current recipients can decrypt.

    `stored` has the partitions with a census, by database and `schema.table`.
    """

    known: Baseline
    newest: str = ""
    artifacts: dict[str, Artifact] = dataclasses.field(default_factory=dict)
    # Digests of differences that the operator has acknowledged.
    acknowledged: frozenset[str] = frozenset()
    stored: dict[tuple[str, str], Stored] = dataclasses.field(default_factory=dict)

    def objects(self, leaf: str) -> dict[str, str]:
        """Return content digest → path of the partition's objects."""
        prefix = keys.leaf_folder(leaf) + "/"
        return {keys.leaf_digest(path): path for path in self.artifacts if path.startswith(prefix)}

    def settled(self, leaf: str) -> bool:
        """Return True if the partition was unchanged in the newest set. Then it is probably still unchanged."""
        return any(self.artifacts[path].shared_from != self.newest for path in self.objects(leaf).values())

    def redo(self, database: str) -> str:
        """Return the redo point of the censuses of a database. They have the same one, if any."""
        return next((one.census.redo for (name, _leaf), one in self.stored.items() if name == database and one.census.redo), "")

    def artifact(self, path: str) -> ArtifactRecord:
        return self.artifacts[path].to_dict()


def load(opened: Opened, recipients: t.Sequence[Recipient], source: str) -> History:
    """Return the history for a set of the cluster with system identifier `source`. A damaged set must not prevent the next one."""
    found = History(baseline.load(opened, source), acknowledged=history.acknowledged(opened))
    record = opened.catalog.newest()
    if record is None or found.known.problem:
        return found
    try:
        manifest = opened.catalog.read(record.set_id).manifest
    except (TamperedData, StorageError):
        return found
    wanted = {recipient.fingerprint for recipient in recipients}
    shared = {
        one.path: dataclasses.replace(one, shared_from=one.shared_from or record.set_id)
        for one in manifest.artifacts
        if one.kind == LEAF and wanted <= set(one.recipients) and _whole(opened, one)
    }
    return dataclasses.replace(found, newest=record.set_id, artifacts=shared, stored=_stored(manifest, shared, found.known.blocks))


def _stored(manifest: Manifest, shared: t.Mapping[str, Artifact], blocks: t.Iterable[Block]) -> dict[tuple[str, str], Stored]:
    """Return the partitions of which object, blocks and census belong together: the digest of the blocks is in the object's name."""
    of_leaf: dict[str, list[Block]] = {}
    for block in blocks:
        if block.chain == audit_chains.AUDIT.name:
            of_leaf.setdefault(block.leaf, []).append(block)
    keys_of = {(one.database, one.leaf): one.path for one in shared.values()}
    found = {}
    for one in manifest.partitions:
        path = keys_of.get((one.database, one.leaf))
        own = tuple(of_leaf.get(one.leaf.partition(".")[2], ()))
        if path and one.census and keys.leaf_digest(path) == audit_blocks.leaf_digest(own):
            found[one.database, one.leaf] = Stored(path, own, one.census, one.last_read, one.unique)
    return found


def _whole(opened: Opened, artifact: Artifact) -> bool:
    """Check only the size. If a verification finds changed content, it is stored again with the next change of the partition."""
    found = opened.store.stat(artifact.path)
    return found is not None and found.size == artifact.size
