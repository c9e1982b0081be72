# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The newest known state of the audit chains in the journal, the blocks of dropped partitions, and restores that cut the chains.

A set has the blocks of all rows. A checkpoint has the blocks that are new or changed since. After a restore, the chains are
those in the restored set.
"""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import typing as t

from .._caracal import releases
from .._caracal.chains import audit_blocks, block_history
from .._caracal.chains.audit_blocks import Block
from .._caracal.chains.block_history import Baseline
from .._caracal.releases import Detected
from .._errors import ObjectMissing, StorageError, TamperedData
from .._repository import entry as entries
from .._repository import records
from .._repository.artifact import BLOCKS, LEAF
from .._repository.entry import Entry
from .._stream import compression
from .access import Opened

BLOCKS_LIMIT = 256 << 20
SEALED_LIMIT = 64 << 20
# Writing a set takes less time than this, so older checkpoints cannot show a later point in time. Reading all checkpoints would
# take too long.
OVERTAKEN = datetime.timedelta(days=31)


@dataclasses.dataclass(frozen=True)
class Cut:
    """A restore that cut the chains: entry `sequence` restored set `set_id` into a cluster.

    It has the heads of the chains before and after.
    """

    sequence: int
    set_id: str
    time: datetime.datetime
    system_identifier: str
    before: records.Heads
    after: records.Heads


@dataclasses.dataclass(frozen=True)
class Step:
    """A set or checkpoint with its own blocks, and the known state before it. With `whole`, the blocks cover all rows."""

    entry: Entry
    known: Baseline
    blocks: tuple[Block, ...]
    whole: bool
    release: Detected | None


def load(opened: Opened, source: str | None = None) -> Baseline:
    """Return the newest readable blocks, or an empty baseline if there are none yet.

    `source` is the system identifier of the cluster that is read. With it, a restore into another cluster is skipped, since its
    data is not in this one. Damaged files cause a `problem` instead of an error. Then the blocks are older, or there are none.
    """
    return _last(opened, _line(opened, source))


def at(opened: Opened, name: str) -> Baseline:
    """Return the known state at an entry: the ID of a set or checkpoint, or the entry's number. Raises ObjectMissing."""
    journal = opened.journal
    sets, checkpoints = journal.of_kind(entries.SET), journal.of_kind(entries.CHECKPOINT)
    named = itertools.chain(
        (number for number in range(1, len(journal.entries) + 1) if name == str(number)),
        (one.sequence for one in sets if one.body.get("set") == name),
        (one.sequence for one in checkpoints if one.body.get("checkpoint") == name),
    )
    for number in named:
        return _last(opened, _line(opened, before=number + 1))
    raise ObjectMissing(
        f"the journal of {opened.store.location} contains no set, checkpoint or entry {name[:60]!a}; give another ID or number"
    )


def steps(opened: Opened, last: Entry) -> list[Step]:
    """Return the steps from the newest whole entry before `last` to `last`, a set or checkpoint. Return none if there is no earlier entry.

    Raises TamperedData, StorageError.
    """
    end, source = (_of_checkpoint(last), None) if last.kind == entries.CHECKPOINT else (_whole(opened, last), _source(opened, last))
    # A checkpoint of a later point in time than `last` was not compared with the same state.
    before = [one for one in _line(opened, source, last.sequence) if one.kind != entries.CHECKPOINT or not _is_later(one, end)]
    begun = _begin(opened, before, end)
    if begun is None:
        return []
    known, later = begun
    found: list[Step] = []
    for entry in (*later, last):
        blocks, whole = tuple(_blocks(opened, entry)), _is_whole(entry)
        about = end if entry == last else _of_checkpoint(entry)
        release = Detected(about.family, about.release, ()) if about.family else None
        found.append(Step(entry, known, blocks, whole, release))
        merged = {} if whole else {block.key: block for block in known.blocks}
        merged.update({block.key: block for block in blocks})
        newer = about if entry.sequence > known.sequence else known
        known = dataclasses.replace(newer, blocks=tuple(merged.values()))
    return found


def _begin(opened: Opened, before: t.Sequence[Entry], end: Baseline) -> tuple[Baseline, list[Entry]] | None:
    """Return the state of the newest whole entry that is not later than `end`, and the checkpoints that extend it, or None."""
    later: list[Entry] = []
    for index in range(len(before) - 1, -1, -1):
        if not _is_whole(before[index]):
            later.insert(0, before[index])
            continue
        known = _whole(opened, before[index])
        if known.time is None or end.time is None or known.time <= end.time:
            return known, [*_overtaken(before[:index], known), *later]
    return None


def _is_later(checkpoint: Entry, than: Baseline) -> bool:
    return than.time is not None and records.checkpoint(checkpoint).snapshot_time > than.time


def _source(opened: Opened, entry: Entry) -> str | None:
    """Return the cluster of a set's first database."""
    sources = opened.catalog.read(str(entry.body.get("set"))).manifest.sources
    return sources[0].system_identifier if sources else None


def cuts(opened: Opened) -> list[Cut]:
    """Return all restores of audit chains, in journal order.

    If an entry does not record the heads, they are computed from the earlier blocks.
    """
    found = []
    for entry in opened.journal.of_kind(entries.RESTORE):
        if not is_cut(entry):
            continue
        record = records.restore(entry)
        line = _line(opened, before=entry.sequence) if record.before is None else ()
        before = block_history.heads(_last(opened, line).blocks) if record.before is None else record.before
        after = block_history.heads(_last(opened, [entry]).blocks) if record.after is None else record.after
        found.append(Cut(entry.sequence, record.set_id, entry.judged, record.system_identifier, before, after))
    return found


def dropped(opened: Opened, wanted: t.Callable[[t.Sequence[Block]], bool]) -> list[Block]:
    """Return the last known blocks of partitions that do not exist in the newest state, the newest first.

    After each older set or checkpoint, `wanted` receives the blocks found so far. The search ends when it returns False.
    Unreadable files are skipped.
    """
    leaves = {block.leaf for block in load(opened).blocks}
    found: dict[tuple[str, str, str, str], Block] = {}
    for entry in reversed(opened.journal.of_kind(entries.SET, entries.CHECKPOINT)):
        if not wanted(tuple(found.values())):
            break
        try:
            for block in _blocks(opened, entry):
                if block.leaf not in leaves:
                    found.setdefault(block.key, block)
        except (TamperedData, StorageError):
            continue
    return list(found.values())


def _line(opened: Opened, source: str | None = None, before: int | None = None) -> t.Sequence[Entry]:
    """Return sets, checkpoints, and restores that cut the chains, up to the entry before `before`."""
    journal = opened.journal
    end = before or len(journal.entries) + 1
    cutting = [one.sequence for one in journal.of_kind(entries.RESTORE) if one.sequence < end and is_cut(one, source)]
    made = [number for number in journal.numbers(entries.SET, entries.CHECKPOINT) if number < end]
    return journal.at(sorted([*made, *cutting]))


def _last(opened: Opened, line: t.Sequence[Entry]) -> Baseline:
    problem = ""
    for index in range(len(line) - 1, -1, -1):
        if not _is_whole(line[index]):
            continue
        try:
            return _extended(opened, line, index, problem)
        except (TamperedData, StorageError) as exc:
            problem = problem or exc.msg
        if line[index].kind == entries.RESTORE:
            break
    return Baseline(problem=problem)


def is_cut(entry: Entry, source: str | None = None) -> bool:
    """Return True if an entry records that the chains were replaced. Entries without heads list only the restored databases."""
    if entry.kind != entries.RESTORE or not records.is_of_databases(entry):
        return False
    record = records.restore(entry)
    if source not in (None, record.system_identifier):
        return False
    return bool(record.before or record.after) if record.before is not None else releases.OWN_DATABASE in record.databases


def _is_whole(entry: Entry) -> bool:
    return entry.kind != entries.CHECKPOINT or records.checkpoint(entry).base == 0


def _extended(opened: Opened, line: t.Sequence[Entry], index: int, problem: str) -> Baseline:
    """Return the blocks of a whole entry and of its readable checkpoints, up to the first unreadable one."""
    found = _whole(opened, line[index])
    blocks = {block.key: block for block in found.blocks}
    later = itertools.takewhile(lambda one: not _is_whole(one), line[index + 1 :])
    for entry in (*_overtaken(line[:index], found), *later):
        try:
            blocks.update({block.key: block for block in _blocks(opened, entry)})
        except (TamperedData, StorageError) as exc:
            problem = problem or exc.msg
            break
        if entry.sequence > found.sequence:
            found = _of_checkpoint(entry)
    return dataclasses.replace(found, blocks=tuple(sorted(blocks.values(), key=Block.line)), problem=problem)


def _overtaken(before: t.Sequence[Entry], whole: Baseline) -> list[Entry]:
    """Return checkpoints that precede a set in the journal but show a later point in time, because the set was still being written."""
    if whole.time is None:
        return []
    first = whole.time - OVERTAKEN
    since = itertools.takewhile(lambda one: one.kind != entries.RESTORE and one.judged >= first, reversed(before))
    checkpoints = [one for one in since if one.kind == entries.CHECKPOINT]
    return [one for one in reversed(checkpoints) if records.checkpoint(one).snapshot_time > whole.time]


def _whole(opened: Opened, entry: Entry) -> Baseline:
    if entry.kind == entries.CHECKPOINT:
        return dataclasses.replace(_of_checkpoint(entry), blocks=tuple(_blocks(opened, entry)))
    set_id = str(entry.body.get("set"))
    manifest = opened.catalog.read(set_id).manifest
    with_leaves = {one.database for one in manifest.artifacts if one.kind == LEAF}
    # An artifact from an earlier set has the database name of that time.
    times = [one.snapshot_time for one in manifest.sources if one.database in with_leaves or len(manifest.sources) == 1]
    name = f"set {set_id}" + (f" (restored, journal entry {entry.sequence})" if entry.kind == entries.RESTORE else "")
    # Entries before a restore are older than it, regardless of the time of its snapshot.
    time = None if entry.kind == entries.RESTORE else max(times, default=None)
    return Baseline(tuple(_blocks(opened, entry)), name, entry.sequence, manifest.family, manifest.release, time)


def _of_checkpoint(entry: Entry) -> Baseline:
    checkpoint = records.checkpoint(entry)
    return Baseline(
        (), f"checkpoint {checkpoint.checkpoint_id}", entry.sequence, checkpoint.family, checkpoint.release, checkpoint.snapshot_time
    )


def _blocks(opened: Opened, entry: Entry) -> list[Block]:
    """Return the blocks of a set, also of a restored set, or of a checkpoint. Raises TamperedData, StorageError."""
    if entry.kind == entries.CHECKPOINT:
        path = records.checkpoint(entry).key
        data = opened.catalog.read_named(entry, path, SEALED_LIMIT)
    else:
        manifest = opened.catalog.read(str(entry.body.get("set"))).manifest
        listed = next((one for one in manifest.artifacts if one.kind == BLOCKS), None)
        if listed is None:
            return []
        path, data = listed.path, opened.catalog.read_artifact(listed)
    try:
        return audit_blocks.from_tsv(compression.decompress(data, path, BLOCKS_LIMIT))
    except ValueError as exc:
        raise TamperedData(f"{path} is not a valid file of audit blocks ({exc}); use another copy of the repository") from exc
