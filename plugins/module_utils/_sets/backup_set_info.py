# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: list the sets of a repository with their drills, and select the set to drill next."""

from __future__ import annotations

import dataclasses
import datetime
import math
import os
import typing as t

from .._ansible.boundary import Invocation
from .._errors import BackupError, OptionError
from .._evidence import access, drill_set
from .._evidence.access import Opened
from .._options import declared
from .._options.shared import RepositoryOptions
from .._report import set_table
from .._report.set_table import DrillInfo, ListedSet
from .._repository import catalog, decisions, images, layout, selection
from .._repository import entry as entries
from .._repository.catalog import SetRecord
from .._repository.decisions import Hold
from .._repository.fields import timestamp
from .._repository.manifest import Manifest
from .._repository.selection import Drilled

SEED = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    access: RepositoryOptions
    select: str | None = None
    within: float | None = None


class SetInfo(ListedSet):
    """A set as described by the journal and its manifest."""

    sequence: int
    family: str | None
    artifacts: int | None
    databases: list[str] | None
    images: list[images.ImageResult] | None
    left_out: dict[str, str] | None


class SetInfoResult(t.TypedDict):
    """All sets, with either the set chosen by `select` or the table for the console."""

    changed: bool
    lines: list[str] | None
    sets: list[SetInfo]
    selected: str | None
    reason: str | None
    journal_head: str
    freshness: str


def run(invocation: Invocation[Options]) -> SetInfoResult:
    """List the sets in the journal. An untrusted manifest is reported in its own set and does not affect the others."""
    given = invocation.options
    within = _within(given)
    opened = access.open_repository(given.access, warn=invocation.warn)
    records, drilled = opened.catalog.sets(), selection.drills(opened.journal.of_kind(entries.DRILL))
    last, held = {one.set_id: one for one in drilled}, decisions.holds(opened.journal.of_kind(entries.HOLD))
    manifests = opened.catalog.manifests(records)
    result: SetInfoResult = {
        "changed": False,
        "lines": None,
        "sets": [_set(one, manifests[one.set_id], last.get(one.set_id), held.get(one.set_id, {})) for one in records],
        "selected": None,
        "reason": None,
        "journal_head": opened.head,
        "freshness": opened.freshness,
    }
    if given.select:
        chosen = selection.choose(records, drilled, given.select, now=access.now(), within=within, seed=os.urandom(SEED))
        result.update({"selected": chosen.record.set_id, "reason": chosen.reason})
    else:
        _tell(result, opened, given.access.deployment)
    opened.mark.advance(opened.journal, dry=invocation.check_mode)
    return result


def _tell(result: SetInfoResult, opened: Opened, deployment: str) -> None:
    """Add the locks and the table for an interactive user. A call with `select` omits them, since they need one request for each set."""
    for one in result["sets"]:
        until = opened.store.locked_until(layout.manifest_key(one["set_id"]))
        one["locked_until"] = timestamp(until) if until else None
    result["lines"] = set_table.render(result["sets"], deployment, opened.head, opened.freshness, access.now())


def _within(given: Options) -> datetime.timedelta | None:
    hours = given.within
    if hours is None:
        return None
    if not (math.isfinite(hours) and 0 < hours <= 24 * 36525):
        raise OptionError(f"within is {hours} hours; give a time above zero, at most a century")
    if given.select not in selection.WAYS:
        raise OptionError(f"within applies only to select {', '.join(selection.WAYS)}, not to {given.select or 'no select'}; omit within")
    return datetime.timedelta(hours=hours)


def _set(record: SetRecord, manifest: Manifest | BackupError, drill: Drilled | None, holds: t.Mapping[str, Hold]) -> SetInfo:
    """Return a set with the data of its manifest. If the manifest is not trusted, these fields are null and `problem` is the reason."""
    entry = record.entry
    about: SetInfo = {
        "set_id": record.set_id,
        "sequence": entry.sequence,
        "committed": timestamp(entry.judged),
        "last_drill": None if drill is None else _drill(drill),
        "holds": decisions.results(holds),
        "snapshot_time": None,
        "release": None,
        "family": None,
        "bytes": None,
        "artifacts": None,
        "databases": None,
        "assets": None,
        "images": None,
        "left_out": None,
        "problem": None,
        "locked_until": None,
    }
    if isinstance(manifest, BackupError):
        return {**about, "problem": manifest.msg}
    return {
        **about,
        "snapshot_time": timestamp(catalog.recovery_point(manifest, entry)),
        "release": manifest.release,
        "family": manifest.family,
        "bytes": manifest.size,
        "artifacts": len(manifest.artifacts),
        "databases": [one.database for one in manifest.sources],
        "assets": sorted(drill_set.by_class(manifest.artifacts)),
        "images": images.results(manifest.images, manifest.artifacts),
        "left_out": manifest.left_out,
    }


def _drill(drill: Drilled) -> DrillInfo:
    return {
        "drill_id": drill.drill_id,
        "verdict": drill.verdict,
        "sequence": drill.entry.sequence,
        "time": timestamp(drill.entry.judged),
    }
