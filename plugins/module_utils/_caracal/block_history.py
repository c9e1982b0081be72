# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Today's audit blocks against those that the journal remembers: every row that was there must still be there.

Below the head that a zone had then, nothing may have changed, be missing or have been put in; above it, new
rows are what an audit log is for. A leaf that was dropped is no loss: its blocks stay in the earlier set.
"""

from __future__ import annotations

import typing as t

from .._report.check import FAIL, PASS, UNPROVEN, Check
from .audit_blocks import Block

CHECK_ID = "blocks.journal"

# Reads one block again, only the rows with a sequence number up to `head`; None when there are none.
Reread = t.Callable[[Block, int], "Block | None"]


def heads(blocks: t.Iterable[Block]) -> dict[tuple[str, str], int]:
    """(chain, zone) → highest sequence number."""
    found: dict[tuple[str, str], int] = {}
    for block in blocks:
        if block.seq_high != "-":
            zone = block.chain, block.zone
            found[zone] = max(found.get(zone, 0), int(block.seq_high))
    return found


def compare(previous: t.Sequence[Block], current: t.Sequence[Block], leaves: t.Collection[str], reread: Reread, set_id: str) -> Check:
    """`pass`, `unproven` (nothing to compare with) or `fail` that names chain, zone, leaf and block."""
    if not previous:
        return Check(CHECK_ID, UNPROVEN, "no earlier set has audit blocks; from now on they bind every row", required=False)
    old, new, known = {block.key: block for block in previous}, {block.key: block for block in current}, heads(previous)
    wrong: list[str] = []
    unsure: list[str] = []
    dropped: set[str] = set()
    for key in sorted(old.keys() | new.keys()):
        before, now = old.get(key), new.get(key)
        if before == now:
            continue
        if before is not None and before.leaf not in leaves:
            dropped.add(before.leaf)
            continue
        complaint = _difference(before, now, known.get(key[:2], 0), reread)
        if complaint:
            (unsure if key[3] == "-" and complaint == _GREW else wrong).append(
                f"{key[0]} chain of zone {key[1]}, leaf {key[2]}, block {key[3]}: {complaint}"
            )
    details = {"set": set_id, "differences": wrong[:50], "unproven": unsure[:50], "dropped_leaves": sorted(dropped)}
    if wrong:
        return Check(CHECK_ID, FAIL, f"audit rows changed since set {set_id}; first: {wrong[0]}", required=False, details=details)
    if unsure:
        return Check(
            CHECK_ID, UNPROVEN, f"rows without sequence number cannot be compared; first: {unsure[0]}", required=False, details=details
        )
    return Check(CHECK_ID, PASS, f"{len(old)} audit blocks as in set {set_id}", required=False, details=details)


_GREW = "grew"


def _difference(before: Block | None, now: Block | None, head: int, reread: Reread) -> str:
    """Why the rows up to `head` are not what they were; empty when they are."""
    if now is not None and now.block == "-":
        return _GREW if before is None or now.rows > before.rows else "rows are missing or changed"
    if now is not None and int(now.seq_high) > head:
        now = None if int(now.seq_low) > head else reread(now, head)
    if before == now:
        return ""
    if now is None:
        return f"its {before.rows if before else 0} rows are gone"
    if before is None or now.rows > before.rows:
        return "rows were put in below the head of then"
    if now.rows < before.rows:
        return f"{before.rows - now.rows} of {before.rows} rows are gone"
    return "content was changed" if now.content != before.content else "chain columns were changed, the content is the same"
