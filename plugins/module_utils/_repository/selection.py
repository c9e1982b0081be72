# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Selection of the set to drill. Pure: the same journal, time and seed give the same set."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import typing as t

from .._errors import BackupError, ObjectMissing, VerificationFailed
from .._report.check import FAIL, PASS
from . import entry as entries
from . import layout
from .catalog import SetRecord
from .entry import Entry

LATEST, OLDEST, RANDOM = "latest", "oldest", "random"
WAYS = (LATEST, OLDEST, RANDOM)


@dataclasses.dataclass(frozen=True)
class Drilled:
    """A drill as recorded in the journal."""

    drill_id: str
    set_id: str
    verdict: str
    entry: Entry

    @property
    def tested(self) -> bool:
        """Return whether the drill passed or failed its set. Any other drill proved nothing and must be repeated."""
        return self.verdict in (PASS, FAIL)


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The selected set, with the reason as text."""

    record: SetRecord
    reason: str


def drills(found: t.Iterable[Entry]) -> list[Drilled]:
    """Return the drills among verified entries, oldest first. Raises TamperedData."""
    return [_drilled(one) for one in found if one.kind == entries.DRILL]


def _drilled(entry: Entry) -> Drilled:
    fields = entries.body(entry)
    found = Drilled(fields.text("drill"), fields.text("set"), fields.text("verdict"), entry)
    if not layout.is_id(found.set_id) or layout.manifest_key(found.set_id) not in entry.subjects:
        raise fields.fault("does not name the manifest of the drilled set")
    return found


def choose(
    sets: t.Sequence[SetRecord],
    drilled: t.Sequence[Drilled],
    way: str,
    *,
    now: datetime.datetime,
    within: datetime.timedelta | None,
    seed: bytes,
) -> Chosen:
    """Return one of `sets`: the newest, the oldest, a random one, or the one with the ID `way`.

    Except for a named set, its entry must be at most `within` before `now`. RANDOM selects by seed among the sets that
    were never tested. If all were tested, it selects the set with the oldest last test. Raises ObjectMissing,
    VerificationFailed.
    """
    if way not in WAYS:
        named = [one for one in sets if one.set_id == layout.check_id(way)]
        if not named:
            raise ObjectMissing(f"set {way} was not committed, or was pruned; give the ID of another set")
        return Chosen(named[0], "named by its ID")
    # Order by number and not by time, so that a wrong clock cannot influence which set is tested.
    ordered = sorted(sets, key=lambda one: one.entry.sequence)
    fitting = [one for one in ordered if within is None or now - one.entry.judged <= within]
    if not fitting:
        raise _none(ordered, now, within)
    if way == RANDOM:
        return _at_random(fitting, drilled, seed)
    return Chosen(fitting[-1], "the newest") if way == LATEST else Chosen(fitting[0], "the oldest")


def _at_random(fitting: t.Sequence[SetRecord], drilled: t.Sequence[Drilled], seed: bytes) -> Chosen:
    last = {one.set_id: one for one in sorted(drilled, key=lambda one: one.entry.sequence) if one.tested}
    fresh = [one for one in fitting if one.set_id not in last]
    if fresh:
        return Chosen(fresh[_index(seed, fresh)], f"at random, one of {len(fresh)} never tested sets")
    longest = min(fitting, key=lambda one: last[one.set_id].entry.sequence)
    return Chosen(longest, f"all sets were tested, this one longest ago in drill {last[longest.set_id].drill_id}")


def _index(seed: bytes, among: t.Sequence[SetRecord]) -> int:
    """Return a position that depends only on the seed and the sets. With 256 bits, all sets are equally likely."""
    names = "\n".join(one.set_id for one in among).encode()
    return int.from_bytes(hashlib.sha256(seed + b"\0" + names).digest(), "big") % len(among)


def _none(ordered: t.Sequence[SetRecord], now: datetime.datetime, within: datetime.timedelta | None) -> BackupError:
    if not ordered or within is None:
        return ObjectMissing("the journal contains no set; run a backup first")
    hours = (now - ordered[-1].entry.judged).total_seconds() / 3600
    bound = within.total_seconds() / 3600
    return VerificationFailed(
        f"the newest set {ordered[-1].set_id} is {hours:.1f} hours old, more than {bound:g}; run a backup first, or choose a longer time"
    )
