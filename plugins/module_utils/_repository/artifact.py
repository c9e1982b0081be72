# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One stored object of a set, as described in the manifest."""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from .._crypto.recipients import Recipient
from .._crypto.sealing import Sealed
from .._errors import TamperedData
from .._storage.base import check_key
from .._stream import compression
from . import layout
from .fields import Fields

DUMP, SCHEMA, LEAF, INVENTORY, BLOCKS, RECOVERY = "dump", "schema", "leaf", "inventory", "blocks", "recovery"
REPLAY, SECRETS, REDIS, DETAILS, IMAGE = "replay", "secrets", "redis", "details", "image"
KINDS = (DUMP, SCHEMA, LEAF, INVENTORY, BLOCKS, RECOVERY, REPLAY, SECRETS, REDIS, DETAILS, IMAGE)
COMPRESSIONS = ("zstd", "none")
_OF_THE_SET = {INVENTORY: layout.inventory_key, BLOCKS: layout.blocks_key, RECOVERY: layout.recovery_key}


class ArtifactRecord(t.TypedDict):
    """An artifact in the manifest or in a part of a set; `Artifact` describes the fields."""

    path: str
    kind: str
    size: int
    sha256: str
    compression: str
    recipients: list[str]
    database: str | None
    leaf: str | None
    source: str | None
    shared_from: str | None


@dataclasses.dataclass(frozen=True)
class Artifact:
    """One artifact. `size` in bytes and `sha256` in hex are of the stored bytes.

    `recipients` are fingerprints; public artifacts have none. `database`, `leaf` (`schema.table`) and `source` (a
    replay directory, a Redis server or a digest) identify the content. `shared_from` is the set that created the
    artifact if it is another set. An artifact of kind `details` is the encrypted inventory of another artifact.
    """

    path: str
    kind: str
    size: int
    sha256: str
    compression: str
    recipients: tuple[str, ...] = ()
    database: str | None = None
    leaf: str | None = None
    source: str | None = None
    shared_from: str | None = None

    def to_dict(self) -> ArtifactRecord:
        return {
            "path": self.path,
            "kind": self.kind,
            "size": self.size,
            "sha256": self.sha256,
            "compression": self.compression,
            "recipients": list(self.recipients),
            "database": self.database,
            "leaf": self.leaf,
            "source": self.source,
            "shared_from": self.shared_from,
        }


def sealed(kind: str, path: str, made: Sealed, recipients: t.Sequence[Recipient], **of: str | None) -> Artifact:
    """Return the artifact that was encrypted for `recipients` and published at `path`. `of` is `database`, `leaf` or `source`."""
    return Artifact(path, kind, made.size, made.sha256, compression.NAME, tuple(one.fingerprint for one in recipients), **of)


def recovery(set_id: str, data: bytes) -> Artifact:
    """Return the artifact of RECOVERY.md."""
    return Artifact(layout.recovery_key(set_id), RECOVERY, len(data), hashlib.sha256(data).hexdigest(), "none")


def parse(data: object, name: str, set_id: str) -> Artifact:
    """Parse an artifact of set `set_id` from a manifest or a part.

    Raises TamperedData, also for a path that the set may not name.
    """
    fields = Fields(data, name)
    found = Artifact(
        path=fields.text("path"),
        kind=fields.one_of("kind", KINDS),
        size=fields.integer("size"),
        sha256=fields.sha256("sha256"),
        compression=fields.one_of("compression", COMPRESSIONS),
        recipients=fields.texts("recipients"),
        database=fields.optional_text("database"),
        leaf=fields.optional_text("leaf"),
        source=fields.optional_text("source"),
        shared_from=fields.optional_text("shared_from"),
    )
    fields.end()
    _check_place(found, name, set_id)
    if found.path.endswith(".age") != bool(found.recipients):
        raise fields.fault(f"names {found.path} with {len(found.recipients)} recipients, which contradicts the file name")
    return found


def _check_place(found: Artifact, name: str, set_id: str) -> None:
    """Raise TamperedData for a path that the set may not name.

    An object shared between sets has the ID of the set that created it in its path. All other artifacts are in the
    set's own directory.
    """
    check_key(found.path)
    maker = found.shared_from or set_id
    if found.kind in _OF_THE_SET:
        right = found.path == _OF_THE_SET[found.kind](set_id) and found.shared_from is None
    elif found.kind == IMAGE:
        right = layout.is_id(maker) and found.path in [layout.image_key(found.source or "", maker, layer=one) for one in (True, False)]
    elif found.path.startswith(f"{layout.OBJECTS}/"):
        right = layout.is_id(maker) and f".{maker}." in found.path
    else:
        right = found.path.startswith(f"{layout.set_folder(set_id)}/") and found.shared_from is None
    if not right:
        raise TamperedData(f"{name} names {found.path}, which does not belong to set {set_id}; use another copy of the set")
