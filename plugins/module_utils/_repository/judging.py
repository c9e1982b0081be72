# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When the signer of each entry of a journal had to be valid, and what an operator has corrected. Pure."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._crypto.allowed_signers import Authentic
from .._errors import KeyProblem, TamperedData
from . import decisions
from . import entry as entries
from .entry import Entry

# How far the clocks of two hosts may differ. Nothing is written or read that is later.
SKEW = datetime.timedelta(minutes=10)


@dataclasses.dataclass(frozen=True)
class Signed:
    """An entry whose bytes, number and role were verified. `entry.judged` is still its own claim."""

    authentic: Authentic
    entry: Entry


@dataclasses.dataclass(frozen=True)
class Reach:
    """How far a chain has come with an entry: the latest time that counts, and the latest that any writer claims. Corrected ones aside."""

    time: datetime.datetime
    claimed: datetime.datetime


def reaches(signed: t.Sequence[Signed], before: Reach | None = None) -> list[Reach]:
    """Of each entry, where `before` is what the chain has reached before the first of them; what `judge` rests on at any later time."""
    corrected = _corrected([one.entry for one in signed], {}, decisions.TIME)
    found: list[Reach] = []
    for entry in (one.entry for one in signed):
        if before is None:
            before = Reach(entry.judged, entry.latest)
        elif entry.sequence not in corrected:
            before = Reach(max(before.time, entry.judged), max(before.claimed, entry.latest))
        found.append(before)
    return found


def judge(
    signed: t.Sequence[Signed],
    assumed: t.Mapping[int, str],
    what: str,
    *,
    now: datetime.datetime,
    before: datetime.datetime | None = None,
) -> list[Entry]:
    """All entries, oldest first; or those behind others, which had reached the time `before` and which none of them corrects. Raises
    TamperedData, KeyProblem.

    A signer must have been valid at the entry's own time, and not earlier than the latest that the chain has reached: so a retired key
    which dates its entry back is refused. A corrected time counts as that of the entry before, and for nothing behind it.
    """
    corrected = _corrected([one.entry for one in signed], assumed, what)
    found: list[Entry] = []
    latest = before
    for one in signed:
        entry, wrong = one.entry, corrected.get(one.entry.sequence)
        if wrong is None:
            _check_clock(one, now)
            latest = max(latest or entry.judged, min(entry.judged, now))
        judged = latest or now
        if wrong == decisions.EVERYTHING:
            entry = dataclasses.replace(entry, kind=entries.TAKEN_BACK)
        else:
            _check_signer(one, min(judged, now))
        found.append(dataclasses.replace(entry, judged=min(judged, now)))
    return found


def _check_signer(one: Signed, at: datetime.datetime) -> None:
    try:
        one.authentic.signed_by(one.entry.principal, at)
    except KeyProblem as exc:
        if one.entry.kind in (entries.GENESIS, entries.CORRECTION):
            raise
        raise exc.reworded(f"{exc.msg}; if a stolen key signed it, {entries.taken_back(one.entry)}") from exc


def _corrected(found: t.Sequence[Entry], assumed: t.Mapping[int, str], what: str) -> dict[int, str]:
    """Number of an entry → what of it is not believed. Whoever signed a correction is judged in its turn."""
    corrected = {one.sequence: what for one in found if one.sequence in assumed and one.sha256.startswith(assumed[one.sequence])}
    for one in found:
        if one.kind == entries.CORRECTION:
            said = decisions.correction(one, found[: one.sequence - 1])
            if said.what == decisions.ACKNOWLEDGED:
                continue
            for number in said.entries:
                if corrected.get(number) != decisions.EVERYTHING:
                    corrected[number] = said.what
    return corrected


def _check_clock(one: Signed, now: datetime.datetime) -> None:
    entry = one.entry
    if entry.latest > now + SKEW:
        raise TamperedData(
            f"{one.authentic.name} is dated {entry.latest:%Y-%m-%dT%H:%M:%SZ}, but the clock here shows {now:%Y-%m-%dT%H:%M:%SZ}; "
            f"set the clock of {entry.machine[:60]!a} or of this host. If the entry cannot be removed, correct its time: "
            f"journal_correct (entries: {entry.sequence}-{entry.sha256[:16]}, what: time)"
        )
