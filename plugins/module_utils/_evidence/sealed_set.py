# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A committed set for readers: first verified, then decrypted with an identity."""

from __future__ import annotations

import typing as t

from .._caracal.chains import audit_blocks
from .._caracal.chains.audit_blocks import Block
from .._crypto import strict_json
from .._errors import TamperedData, VersionMismatch
from .._inventory import SetInventory
from .._repository import objects
from .._repository.artifact import Artifact
from .._repository.catalog import StoredSet
from .._stream import compression
from . import baseline
from .access import Opened

INVENTORY_FORMAT = 1
INVENTORY_LIMIT = 64 << 20


class SealedSet:
    """The set `set_id` (or `latest`) of an opened repository."""

    def __init__(self, opened: Opened, set_id: str, identity_files: t.Sequence[str], max_age: int | None = None) -> None:
        self._opened = opened
        self._identities = identity_files
        record = opened.catalog.latest(max_age) if set_id == "latest" else opened.catalog.get(set_id)
        self.open_set = opened.catalog.open(record.set_id)
        self.signed = opened.catalog.signed(self.open_set)
        self.set_id = record.set_id

    def artifacts(self, kind: str, database: str | None = None) -> list[Artifact]:
        return _of_kind(self.open_set, kind, database)

    def one(self, kind: str, database: str | None = None) -> Artifact:
        """Return the only artifact of its kind. Raise TamperedData if there is not exactly one, since the set then cannot be restored."""
        return _only(self.open_set, kind, database)

    def inventory(self) -> SetInventory:
        """Return the decrypted inventory, as the backup wrote it."""
        return inventory(self._opened, self.open_set, self._identities)

    def blocks(self) -> list[Block]:
        artifact = self.one("blocks")
        data = self._opened.catalog.read_artifact(artifact)
        return audit_blocks.from_tsv(compression.decompress(data, artifact.path, baseline.BLOCKS_LIMIT))


def inventory(opened: Opened, open_set: StoredSet, identity_files: t.Sequence[str]) -> SetInventory:
    """Return the decrypted inventory of a set whose signed files were verified.

    Raises TamperedData, VersionMismatch, WrongIdentity.
    """
    artifact, set_id = _only(open_set, "inventory"), open_set.record.set_id
    with objects.open_sealed(opened.catalog.signed(open_set), artifact.path, identity_files) as source:
        found = strict_json.loads(source.read_all(INVENTORY_LIMIT))
    if found.get("format") != INVENTORY_FORMAT:
        raise VersionMismatch(
            f"{artifact.path} has format {found.get('format')}, but this release reads format {INVENTORY_FORMAT}; "
            "install a newer release of the collection"
        )
    if found.get("set") != set_id:
        raise TamperedData(f"{artifact.path} is the inventory of set {found.get('set')}, not of {set_id}; use another set")
    return t.cast("SetInventory", found)


def _of_kind(open_set: StoredSet, kind: str, database: str | None = None) -> list[Artifact]:
    return [one for one in open_set.manifest.artifacts if one.kind == kind and database in (None, one.database)]


def _only(open_set: StoredSet, kind: str, database: str | None = None) -> Artifact:
    found = _of_kind(open_set, kind, database)
    if len(found) != 1:
        where = database or "the set"
        raise TamperedData(
            f"set {open_set.record.set_id} has {len(found)} artifacts of kind {kind} for {where}, expected 1; use another set"
        )
    return found[0]
