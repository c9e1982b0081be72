# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The time at which the signer of each journal entry had to be valid, and the operator's corrections. Pure functions."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._crypto.allowed_signers import Authentic
from .._errors import KeyProblem, TamperedData
from . import decisions
from . import entry as entries
from .entry import Entry

# Allowed difference between the clocks of two hosts. Entries with a later time are neither written nor accepted.
SKEW = datetime.timedelta(minutes=10)


@dataclasses.dataclass(frozen=True)
class Signed:
    """An entry with verified bytes, number and role. `entry.judged` is still the time that the entry claims."""

    authentic: Authentic
    entry: Entry


@dataclasses.dataclass(frozen=True)
class Reach:
    """The times that a chain has reached at an entry: the latest time that counts, and the latest that any writer claims.

    Corrected entries do not count.
    """

    time: datetime.datetime
    claimed: datetime.datetime


def reaches(signed: t.Sequence[Signed], before: Reach | None = None) -> list[Reach]:
    """Return the reach of the chain at each entry. `before` is the reach before the first of them.

    Together with the current time, these values determine the result of `judge` at any later time.
    """
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
    """Return all entries, oldest first, with the time at which each signer had to be valid. Raises TamperedData, KeyProblem.

    With `before`, `signed` are the entries after a verified prefix. The prefix had reached the time `before`, and none
    of `signed` corrects an entry in it.

    A signer must be valid at the later of two times: the entry's own time, and the latest time that the chain has
    reached. An entry that a retired key dated back is therefore refused. An entry with a corrected time gets the time
    of the entry before it, and its own time has no effect on later entries.
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
    """Return the untrusted content (`what`) by entry number. The signer of a correction is checked like any other signer."""
    corrected = {one.sequence: what for one in found if one.sequence in assumed and one.sha256.startswith(assumed[one.sequence])}
    for one in found:
        if one.kind == entries.CORRECTION:
            correction = decisions.correction(one, found[: one.sequence - 1])
            if correction.what == decisions.ACKNOWLEDGED:
                continue
            for number in correction.entries:
                if corrected.get(number) != decisions.EVERYTHING:
                    corrected[number] = correction.what
    return corrected


def _check_clock(one: Signed, now: datetime.datetime) -> None:
    entry = one.entry
    if entry.latest > now + SKEW:
        raise TamperedData(
            f"{one.authentic.name} is dated {entry.latest:%Y-%m-%dT%H:%M:%SZ}, but the clock here shows {now:%Y-%m-%dT%H:%M:%SZ}; "
            f"set the clock of {entry.machine[:60]!a} or of this host. If the entry cannot be removed, correct its time: "
            f"journal_correct (entries: {entry.sequence}-{entry.sha256[:16]}, what: time)"
        )
