# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bodies of journal entries about audit blocks: checkpoints, and restores that cut a chain."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from . import layout
from .entry import Entry, body
from .fields import Fields, timestamp

# (chain, zone as COPY text) → highest sequence number.
Heads = dict[tuple[str, str], int]


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint. `base` is the number of the entry that has the earlier blocks, or 0 if the checkpoint has all blocks itself.

    `snapshot_time` is from the database's clock. `family` and `release` are None if unknown.
    """

    checkpoint_id: str
    base: int
    database: str
    system_identifier: str
    family: str | None
    release: str | None
    snapshot_time: datetime.datetime
    lsn: str
    standby: bool

    @property
    def key(self) -> str:
        """The key of the checkpoint's blocks."""
        return layout.checkpoint_key(self.checkpoint_id)

    def to_body(self) -> dict[str, object]:
        body = dataclasses.asdict(self)
        body["checkpoint"] = body.pop("checkpoint_id")
        return {**body, "snapshot_time": timestamp(self.snapshot_time)}


def checkpoint(entry: Entry) -> Checkpoint:
    """Parse a verified entry. Raises TamperedData."""
    fields = body(entry)
    found = Checkpoint(
        checkpoint_id=fields.text("checkpoint"),
        base=fields.integer("base"),
        database=fields.text("database"),
        system_identifier=fields.text("system_identifier"),
        family=fields.optional_text("family"),
        release=fields.optional_text("release"),
        snapshot_time=fields.time("snapshot_time"),
        lsn=fields.text("lsn"),
        standby=fields.flag("standby"),
    )
    fields.end()
    if not layout.is_id(found.checkpoint_id) or list(entry.subjects) != [found.key] or found.base >= entry.sequence:
        raise fields.fault("does not name the blocks of a checkpoint that extends an earlier entry")
    return found


@dataclasses.dataclass(frozen=True)
class Restore:
    """A restored set, with the chain heads of the replaced and of the restored databases; None if not recorded."""

    set_id: str
    system_identifier: str
    databases: tuple[str, ...]
    before: Heads | None
    after: Heads | None


def asset_body(asset: str, targets: t.Sequence[str]) -> dict[str, object]:
    """Return the entry body for a restore of `secrets`, `redis` or `replay`, with the targets. Such a restore cuts no chain."""
    return {"asset": asset, "targets": list(targets)}


def is_of_databases(entry: Entry) -> bool:
    """Return whether `restore` can parse this entry."""
    return "asset" not in entry.body


def restore(entry: Entry) -> Restore:
    """Parse a verified entry about databases. Raises TamperedData."""
    fields = body(entry)
    set_id = fields.text("set")
    if not layout.is_id(set_id) or list(entry.subjects) != [layout.manifest_key(set_id)]:
        raise fields.fault("does not name the manifest of a set")
    target = fields.inner("target")
    heads = fields.inner("heads") if "heads" in entry.body else None
    found = Restore(
        set_id=set_id,
        system_identifier=target.text("system_identifier"),
        databases=target.texts("databases"),
        before=None if heads is None else _heads(heads, "before"),
        after=None if heads is None else _heads(heads, "after"),
    )
    for one in (target, heads):
        if one:
            one.end()
    return found


def heads_body(before: t.Mapping[tuple[str, str], int], after: t.Mapping[tuple[str, str], int]) -> dict[str, list[list[str | int]]]:
    """Return the `heads` field for the body of a restore."""
    return {name: [[*zone, number] for zone, number in sorted(heads.items())] for name, heads in (("before", before), ("after", after))}


def _heads(fields: Fields, field: str) -> Heads:
    found: Heads = {}
    for item in fields.array(field):
        if not isinstance(item, list) or [type(value) for value in item] != [str, str, int] or tuple(item[:2]) in found:
            raise fields.fault(f"has an invalid {field}")
        found[item[0], item[1]] = item[2]
    return found
