# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verify and decrypt the Redis artifacts of a committed set."""

from __future__ import annotations

import dataclasses
import typing as t

from ..._crypto import strict_json
from ..._errors import ObjectMissing, TamperedData
from ..._evidence.access import Opened
from ..._evidence.sealed_set import SealedSet
from ..._report.check import FAIL
from ..._repository import artifact as artifacts
from ..._repository import layout as keys
from ..._repository import objects
from ..._repository.artifact import Artifact
from .redis_readings import SOURCE, KeyDetails, StreamDetails

DETAILS_LIMIT = 16 << 20


class ReadingDetails(t.TypedDict):
    """The encrypted inventory of one reading."""

    streams: list[StreamDetails]
    values: list[KeyDetails]


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """Both readings. `streams` has each stream's record from the second reading, or from the first if the stream is only there.

    `values` are the names of other keys.
    """

    set_id: str
    paths: tuple[str, str]
    streams: list[StreamDetails]
    values: list[str]

    def names(self) -> list[str]:
        return [one["name"] for one in self.streams] + self.values


def load(opened: Opened, the_set: SealedSet, identity_files: t.Sequence[str]) -> Snapshot:
    """Return the snapshot. Every byte is first verified against the manifest.

    Raises ObjectMissing for a set without both readings, TamperedData.
    """
    paths = tuple(keys.redis_key(the_set.set_id, number) for number in (1, 2))
    own = [one for one in the_set.open_set.manifest.artifacts if one.source == SOURCE]
    found = {one.path for one in own if one.kind == artifacts.REDIS}
    if not found:
        raise ObjectMissing(f"set {the_set.set_id} has no Redis streams; use another set, or groups_only for an empty Redis")
    if found != set(paths):
        raise ObjectMissing(
            f"set {the_set.set_id} contains only one of the two readings of the streams, so it has no groups; "
            "use another set, or groups_only for an empty Redis"
        )
    bad = [check for check in objects.verify(opened.store, own) if check.verdict == FAIL]
    if bad:
        raise TamperedData(f"set {the_set.set_id}: {bad[0].message}", checks=[check.to_result() for check in bad])
    first, second = (_details(the_set, own, path, identity_files) for path in paths)
    latest: dict[str, StreamDetails] = {one["name"]: {**one, "groups": []} for one in first["streams"]}
    latest |= {one["name"]: one for one in second["streams"]}
    return Snapshot(the_set.set_id, (paths[0], paths[1]), list(latest.values()), [one["name"] for one in first["values"]])


def _details(the_set: SealedSet, own: t.Sequence[Artifact], path: str, identity_files: t.Sequence[str]) -> ReadingDetails:
    key = keys.details_key(path)
    if key not in [one.path for one in own]:
        raise TamperedData(f"set {the_set.set_id} has no {key}; use another copy of the set")
    with objects.open_sealed(the_set.signed, key, identity_files) as source:
        found = strict_json.loads(source.read_all(DETAILS_LIMIT), key)
    if (found.get("format"), found.get("set"), found.get("of")) != (keys.FORMAT, the_set.set_id, path):
        raise TamperedData(f"{key} belongs to another set or another artifact; use another copy of the set")
    return t.cast("ReadingDetails", found)
