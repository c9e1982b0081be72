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
from .._caracal import audit_blocks
from .._caracal.audit_blocks import Block
from .._crypto.recipients import Recipient
from .._stream import compression
from .options import Opened

BLOCKS_LIMIT = 256 << 20


@dataclasses.dataclass(frozen=True)
class History:
    """Of the newest set: its id, its blocks, and its leaf objects that all recipients of today can open."""

    set_id: str
    blocks: tuple[Block, ...]
    artifacts: dict[str, dict[str, t.Any]]

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
        return History("", (), {})
    last = opened.catalog.open(record.set_id)
    wanted = {recipient.fingerprint for recipient in recipients}
    shared: dict[str, dict[str, t.Any]] = {}
    blocks: list[Block] = []
    for artifact in last.manifest.artifacts:
        if artifact.kind == "blocks":
            data = opened.catalog.read_artifact(artifact)
            blocks = audit_blocks.from_tsv(compression.decompress(data, artifact.path, BLOCKS_LIMIT))
        stored = artifact.kind == "leaf" and wanted <= set(artifact.recipients) and opened.store.stat(artifact.path)
        if stored and stored.size == artifact.size:
            shared[artifact.path] = {**dataclasses.asdict(artifact), "shared_from": artifact.shared_from or record.set_id}
    return History(record.set_id, tuple(blocks), shared)
