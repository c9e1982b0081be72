# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What came before offers to the next set: leaves that need not be stored again, blocks to compare with."""

from __future__ import annotations

import dataclasses
import typing as t

from .._caracal.chains.block_history import Baseline
from .._crypto.recipients import Recipient
from .._errors import StorageError, TamperedData
from .._repository import layout as keys
from .._repository.artifact import LEAF, Artifact, ArtifactRecord
from . import baseline, history
from .access import Opened


@dataclasses.dataclass(frozen=True)
class History:
    """What the journal knows of the chains, and the leaf objects of the set `newest` that all recipients of today can open."""

    known: Baseline
    newest: str = ""
    artifacts: dict[str, Artifact] = dataclasses.field(default_factory=dict)
    # Digests of differences that the operator knows.
    acknowledged: frozenset[str] = frozenset()

    def objects(self, leaf: str) -> dict[str, str]:
        """Content digest → path of the leaf's objects."""
        prefix = keys.leaf_folder(leaf) + "/"
        return {keys.leaf_digest(path): path for path in self.artifacts if path.startswith(prefix)}

    def settled(self, leaf: str) -> bool:
        """Whether the newest set found the leaf as an earlier one had: then it is likely the same today."""
        return any(self.artifacts[path].shared_from != self.newest for path in self.objects(leaf).values())

    def artifact(self, path: str) -> ArtifactRecord:
        return self.artifacts[path].to_dict()


def load(opened: Opened, recipients: t.Sequence[Recipient], source: str) -> History:
    """For a set of the cluster with system identifier `source`. A damaged set must not stop the next one."""
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
    return dataclasses.replace(found, newest=record.set_id, artifacts=shared)


def _whole(opened: Opened, artifact: Artifact) -> bool:
    """Only its size: what a verification finds altered is stored anew with the next change of the leaf."""
    found = opened.store.stat(artifact.path)
    return found is not None and found.size == artifact.size
