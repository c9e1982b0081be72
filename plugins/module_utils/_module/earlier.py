# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What the newest committed set offers to the next one: leaves that need not be stored again, blocks to compare with."""

from __future__ import annotations

import dataclasses
import typing as t

from .._backupset import layout as keys
from .._backupset.artifact import BLOCKS, LEAF, Artifact
from .._caracal import audit_blocks
from .._caracal.audit_blocks import Block
from .._crypto.recipients import Recipient
from .._errors import StorageError, TamperedData
from .._stream import compression
from .options import Opened

BLOCKS_LIMIT = 256 << 20


@dataclasses.dataclass(frozen=True)
class History:
    """Of the newest set: its id, its blocks, and its leaf objects that all recipients of today can open.

    `problem` says why there is nothing to compare with although there is a set; a damaged set must not stop the next one.
    """

    set_id: str = ""
    blocks: tuple[Block, ...] = ()
    artifacts: dict[str, dict[str, t.Any]] = dataclasses.field(default_factory=dict)
    problem: str = ""

    def objects(self, leaf: str) -> dict[str, str]:
        """Content digest → path of the leaf's objects."""
        prefix = keys.leaf_folder(leaf) + "/"
        return {keys.leaf_digest(path): path for path in self.artifacts if path.startswith(prefix)}

    def artifact(self, path: str) -> dict[str, t.Any]:
        return self.artifacts[path]


def load(opened: Opened, recipients: t.Sequence[Recipient]) -> History:
    """The newest set's history; an empty one where there is no set yet."""
    record = opened.catalog.newest()
    if record is None:
        return History()
    try:
        manifest = opened.catalog.read(record.set_id).manifest
        listed = next(one for one in manifest.artifacts if one.kind == BLOCKS)
        data = compression.decompress(opened.catalog.read_artifact(listed), listed.path, BLOCKS_LIMIT)
    except (TamperedData, StorageError) as exc:
        return History(record.set_id, problem=exc.msg)
    wanted = {recipient.fingerprint for recipient in recipients}
    shared = {
        one.path: {**one.to_dict(), "shared_from": one.shared_from or record.set_id}
        for one in manifest.artifacts
        if one.kind == LEAF and wanted <= set(one.recipients) and _whole(opened, one)
    }
    return History(record.set_id, tuple(audit_blocks.from_tsv(data)), shared)


def _whole(opened: Opened, artifact: Artifact) -> bool:
    """Only its size: what a verification finds altered is stored anew with the next change of the leaf."""
    found = opened.store.stat(artifact.path)
    return found is not None and found.size == artifact.size
