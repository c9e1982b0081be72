# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare the current audit blocks with those in the journal: every recorded row must still exist unchanged.

Up to the recorded head of a zone, no row may be changed, missing or inserted. Above it, new rows are normal. A
partition that was dropped is not a loss, because the journal contains its blocks.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ..._report.check import FAIL, UNPROVEN, WARN, Check
from .. import findings, releases
from ..findings import Finding
from ..releases import Detected
from .audit_blocks import Block

CHECK_ID = "blocks.journal"

# This release hashes content as it was received. Every later release of its family hashes what is stored, and its first
# start rewrites the chain columns of all earlier rows.
HASHES_RECEIVED = "2026-06-04"

# Reads one block again, with only the rows up to sequence number `head`. Returns None if there are none.
Reread = t.Callable[[Block, int], "Block | None"]
Zone = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Baseline:
    """The last state of the chains in the journal.

    `name` is for messages ("set 2026…", "checkpoint 2026…"). `sequence` is the number of the entry, and `time` is the
    time of the snapshot. `problem` is the reason why a newer entry could not be used.
    """

    blocks: tuple[Block, ...] = ()
    name: str = ""
    sequence: int = 0
    family: str | None = None
    release: str | None = None
    time: datetime.datetime | None = None
    problem: str = ""


def heads(blocks: t.Iterable[Block]) -> dict[Zone, int]:
    """Return the highest sequence number by (chain, zone)."""
    found: dict[Zone, int] = {}
    for block in blocks:
        if block.seq_high != "-":
            zone = block.chain, block.zone
            found[zone] = max(found.get(zone, 0), int(block.seq_high))
    return found


def is_reanchored(known: Baseline, now: Detected | None) -> bool:
    """Return whether the release was upgraded since in a way that rewrites all chain columns."""
    later = [release.name for release in releases.RELEASES if now and release.family == now.family and release.name != HASHES_RECEIVED]
    return now is not None and known.release == HASHES_RECEIVED and known.family == now.family and now.release in later


def compare(
    known: Baseline,
    current: t.Sequence[Block],
    leaves: t.Collection[str],
    reread: Reread,
    now: Detected | None,
    unread: int = 0,
    acknowledged: t.Collection[str] = (),
) -> Check:
    """Compare the blocks with the journal's.

    The verdict is `warn` if chain columns are new after an upgrade, or if the operator has acknowledged the difference.
    It is `unproven` if there is nothing to compare with, or if the newest entry cannot be read.

    `leaves` are the existing tables. `unread` is the number of current blocks that were copied from `known` without
    reading their rows. `acknowledged` are the digests of differences that the operator has acknowledged.
    """
    if not known.blocks:
        words = f"nothing to compare with: {known.problem}" if known.problem else "no earlier set or checkpoint has audit blocks"
        return Check(CHECK_ID, UNPROVEN, f"{words}; new audit blocks cover every row from now on", required=False)
    found = differences(known, current, leaves, reread, now)
    old = sum(block.leaf in leaves for block in known.blocks)
    words = f"{old} audit blocks match the blocks recorded in {known.name}" + (
        f", {unread} of them without reading their rows again" if unread else ""
    )
    dropped = sorted({block.leaf for block in known.blocks} - set(leaves))
    details: dict[str, t.Any] = {"since": known.name, "sequence": known.sequence, "unread": unread, "dropped_leaves": dropped}
    details["acknowledged"] = sum(one.digest in acknowledged for one in found)
    check = findings.check(CHECK_ID, found, words, accepted=acknowledged, **details)
    if found:
        check = dataclasses.replace(check, message=f"audit rows differ from {known.name}: {check.message}")
    if known.problem and check.verdict != FAIL:
        check = dataclasses.replace(
            check, verdict=UNPROVEN, message=f"compared only with {known.name}, because {known.problem}: {check.message}"
        )
    return check


def differences(
    known: Baseline, current: t.Sequence[Block], leaves: t.Collection[str], reread: Reread, release: Detected | None
) -> list[Finding]:
    """Return the differences between `current` and `known`, up to the heads of `known`."""
    reanchored = is_reanchored(known, release)
    old = {block.key: block for block in known.blocks if block.leaf in leaves}
    gone = {block.key for block in known.blocks} - old.keys()
    new = {block.key: block for block in current if block.key not in gone}
    lowered = _lowered(old, new)
    found = [*_cut(known.sequence, old, lowered)]
    known_heads = heads(known.blocks)
    for key, block in sorted((new | old).items()):
        before, now = old.get(key), new.get(key)
        if before == now or (before is not None and _high(before) > lowered.get(key[:2], _high(before))):
            continue
        if block.seq_high != "-":
            now = _up_to(known_heads.get(key[:2], 0), now, reread)
        if before != now:
            found.append(_finding(known.sequence, block, before, now, reanchored))
    return found


def compare_signed(known: Baseline, blocks: t.Sequence[Block], whole: bool, now: Detected | None) -> list[Finding]:
    """Return the same differences from signed blocks only, without rows. Changes in a block that has grown since cannot be
    detected.

    With `whole`, `blocks` are all blocks of that time, otherwise only new or different ones. A partition without blocks
    was dropped.
    """
    before = {block.key: block for block in known.blocks}
    if not whole:
        known = dataclasses.replace(known, blocks=tuple(before[block.key] for block in blocks if block.key in before))
    leaves = {block.leaf for block in blocks}
    return differences(known, blocks, leaves, lambda block, _head: before.get(block.key), now)


def _digest(*parts: object) -> str:
    """Return an unambiguous digest of the parts. One part is the number of the compared entry, so a later recurrence has another digest."""
    return findings.digest(CHECK_ID, *parts)


def _up_to(head: int, now: Block | None, reread: Reread) -> Block | None:
    """Return the block without rows that were added later."""
    if now is None or _high(now) <= head:
        return now
    return None if int(now.seq_low) > head else reread(now, head)


def _high(block: Block) -> int:
    return 0 if block.seq_high == "-" else int(block.seq_high)


def _lowered(old: t.Mapping[t.Any, Block], new: t.Mapping[t.Any, Block]) -> dict[Zone, int]:
    """Return the current head of each zone with a head below the recorded one. The head is -1 if the zone has no rows left."""
    present = {key[:2] for key in new}
    now = heads(new.values())
    known = {key[:2]: 0 for key in old} | heads(old.values())
    left = {zone: now.get(zone, 0) if zone in present else -1 for zone in known}
    return {zone: head for zone, head in left.items() if head < known[zone]}


def _cut(since: int, old: t.Mapping[t.Any, Block], lowered: t.Mapping[Zone, int]) -> t.Iterator[Finding]:
    known = heads(old.values())
    for zone, head in sorted(lowered.items()):
        top = known.get(zone, 0)
        digest = _digest(since, "cut", *zone, head, top)
        if head < 0:
            rows = sum(block.rows for key, block in old.items() if key[:2] == zone)
            words = f"{findings.zone_name(zone[1])} has no rows, although the journal records {rows} rows"
            yield Finding("zone_gone", *zone, min(1, top), top, words, digest=digest)
        else:
            yield Finding("truncated", *zone, head + 1, top, f"truncated: the head is {head}, but the journal records {top}", digest=digest)


_WORDS = {
    "block_chain_changed": "the chain columns were changed, but the content is the same",
    "block_edited": "content was changed",
    "block_added_rows": "rows were inserted below the head that was recorded",
    "unnumbered_rows": "rows without a sequence number were added, and new rows cannot be distinguished from old ones",
    "reanchored": "another release computed the chain columns again; the content is the same",
}
_VERDICTS = {"unnumbered_rows": UNPROVEN, "reanchored": WARN}


def _finding(since: int, block: Block, before: Block | None, now: Block | None, reanchored: bool) -> Finding:
    """Return the finding for one block that differs up to the head of entry `since`. `block` gives its position."""
    had, has = (one.rows if one else 0 for one in (before, now))
    if before is None or has > had:
        kind = "unnumbered_rows" if block.seq_high == "-" else "block_added_rows"
    elif now is None or has < had:
        kind = "block_missing_rows"
    elif before.content != now.content:
        kind = "block_edited"
    else:
        kind = "reanchored" if reanchored else "block_chain_changed"
    missing = f"{had - has} of {had} rows are missing" if has else f"its {had} rows are missing"
    words, verdict = _WORDS.get(kind, missing), _VERDICTS.get(kind, FAIL)
    both = [one for one in (before, now) if one]
    low, high = min(0 if one.seq_low == "-" else int(one.seq_low) for one in both), max(_high(one) for one in both)
    digest = _digest(since, *(one and one.line().decode() for one in (before, now)))
    return Finding(kind, block.chain, block.zone, low, high, words, verdict, block.leaf, digest)
