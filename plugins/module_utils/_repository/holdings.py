# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of how sets are kept against the configured policy: ages, legal bounds, proofs of identities, other copies.

Pure functions.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t

from .._report.budget import EXPOSED
from .._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, Check
from .._report.text import duration, plural
from . import archive_days, decisions
from . import entry as entries
from .catalog import SetRecord
from .entry import Entry
from .fields import parse_timestamp
from .journal import Journal
from .selection import Drilled

PREFIX = "retention.backups"
DAY = datetime.timedelta(days=1)
# An identity that was not used for this long may be lost.
PROOF_LASTS = 400 * DAY
# Allowed difference between the clocks of two hosts.
SKEW = datetime.timedelta(minutes=5)
# The end of an export's name, with its hour.
_HOUR = re.compile(r"/([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2})\.parquet\Z")


@dataclasses.dataclass(frozen=True)
class Newest:
    """The newest set. `snapshot` is the time of its oldest snapshot, or None if its manifest is not trusted.

    `problem` is the reason for an untrusted manifest. `sealed` has the recipient fingerprints of each encrypted
    artifact. They can differ, because classes of assets may have recipients of their own.
    """

    set_id: str
    snapshot: datetime.datetime | None
    sealed: frozenset[frozenset[str]] = frozenset()
    problem: str = ""


@dataclasses.dataclass(frozen=True)
class Covered:
    """The newest set or checkpoint ("set 2026…"), and the time of its snapshot according to the database's clock."""

    name: str
    time: datetime.datetime


@dataclasses.dataclass(frozen=True)
class Copy:
    """Another copy of the encrypted sets, and the time of its last verification."""

    name: str
    verified: datetime.datetime


def newest(found: Newest | None, now: datetime.datetime, budget: datetime.timedelta) -> Check:
    """Check how old the newest set is."""
    name = f"{PREFIX}.newest"
    if found is None:
        return Check(name, FAIL, "the journal contains no set; run a backup")
    if found.snapshot is None:
        return Check(name, FAIL, f"the newest set {found.set_id} cannot be trusted: {found.problem}")
    return _age(name, f"the snapshot of the newest set {found.set_id}", found.snapshot, now, budget)


def tail(found: Covered | None, now: datetime.datetime, budget: datetime.timedelta) -> Check:
    """Check the age of the newest entry that covers audit rows.

    Later rows can be edited, cut off or replaced by an attacker who has the audit key.
    """
    name = f"{PREFIX}.tail"
    if found is None:
        return Check(name, FAIL, "no set or checkpoint covers any audit row; run a backup")
    check = _age(name, f"the snapshot of {found.name}, the newest that covers audit rows,", found.time, now, budget)
    remedy = "; run audit_checkpoint more often" if check.verdict == FAIL else ""
    return dataclasses.replace(check, message=f"{check.message}; {EXPOSED}{remedy}")


def covered(journal: Journal) -> Covered | None:
    """Return the newest set or checkpoint, or None if the journal has none. Raises TamperedData."""
    newest = [journal.at([numbers[-1]])[0] for kind in (entries.SET, entries.CHECKPOINT) if (numbers := journal.numbers(kind))]
    return max((_covered(entry) for entry in newest), key=lambda one: one.time, default=None)


def _covered(entry: Entry) -> Covered:
    when = entry.time["database"]
    named = f"{entry.kind} {entries.body(entry).text('set' if entry.kind == entries.SET else 'checkpoint')}"
    return Covered(named, parse_timestamp(when) if when else entry.judged)


def drilled(found: t.Sequence[Drilled], now: datetime.datetime, budget: datetime.timedelta) -> Check:
    """Check the age of the last passed drill. A drill that failed after it takes precedence."""
    name, tested = f"{PREFIX}.drill", [one for one in found if one.tested]
    if not tested:
        return Check(name, FAIL, "no drill has passed or failed yet, so no set is proved to restore; run restore_drill")
    last = tested[-1]
    if last.verdict != PASS:
        words = f"the last drill {last.drill_id} of set {last.set_id} failed; see its report, fix the cause and drill again"
        return Check(name, FAIL, words, details={"drill_id": last.drill_id})
    return _age(name, f"the last drill that passed, {last.drill_id},", last.entry.judged, now, budget)


def kept_long_enough(committed: t.Sequence[SetRecord], journal: t.Sequence[Entry], now: datetime.datetime, least: int) -> Check:
    """Check that no set was pruned before `least` days.

    The oldest remaining set is then at least that old, or is the first set ever made.
    """
    name, made = f"{PREFIX}.kept_at_least", {one.set_id: one.entry.judged for one in committed}
    if not made:
        return Check(name, UNPROVEN, "the journal contains no set")
    ended = {set_id: one.judged for one in journal if one.kind == entries.PRUNE for set_id in decisions.prune(one).sets}
    early = {set_id: when - made[set_id] for set_id, when in ended.items() if set_id in made and when - made[set_id] < least * DAY}
    details: dict[str, t.Any] = {"days": least, "ended": len(ended), "early": sorted(early)[:50]}
    if early:
        first = min(early)
        words = (
            f"{plural(len(early), 'set')} pruned at less than {least} days, first {first} at {duration(early[first].total_seconds())}; "
            "correct the rules of backup_prune"
        )
        return Check(name, FAIL, words, details=details)
    left = [when for set_id, when in made.items() if set_id not in ended]
    if not left:
        return Check(name, FAIL, "every set was pruned; run a backup", details=details)
    oldest = (now - min(left)).total_seconds()
    words = f"no set was pruned at less than {least} days; sets left: {len(left)}, the oldest is {duration(oldest)} old"
    return Check(name, PASS, words, details={**details, "oldest_seconds": oldest})


def not_kept_too_long(kept: t.Sequence[SetRecord], journal: t.Sequence[Entry], now: datetime.datetime, most: int) -> Check:
    """Check that no set is older than `most` days, except sets on hold."""
    name = f"{PREFIX}.kept_at_most"
    if not kept:
        return Check(name, UNPROVEN, "the journal contains no set")
    held = decisions.holds(journal)
    old = [one for one in kept if now - one.entry.judged > most * DAY]
    over = [one.set_id for one in old if one.set_id not in held]
    details = {"days": most, "over": over[:50], "held": len(old) - len(over)}
    if over:
        words = f"{plural(len(over), 'set')} older than the allowed {most} days, first {over[0]}; run backup_prune"
        return Check(name, FAIL, words, details=details)
    excepted = f", except {details['held']} on hold" if details["held"] else ""
    return Check(name, PASS, f"none of {plural(len(kept), 'set')} is older than {most} days{excepted}", details=details)


def archive(journal: t.Sequence[Entry], now: datetime.datetime, budget: datetime.timedelta) -> Check:
    """Check the age of the last archived hour, counted from the end of that hour."""
    name = f"{PREFIX}.archive"
    hours = [hour[1] for key in archive_days.entered(journal) if (hour := _HOUR.search(key))]
    if not hours:
        return Check(name, FAIL, "the journal contains no archived export; run audit_archive")
    end = datetime.datetime.strptime(f"{max(hours)}+0000", "%Y-%m-%dT%H%z") + datetime.timedelta(hours=1)
    return _age(name, f"the last archived hour {max(hours)}", end, now, budget)


def proved(wanted: t.Collection[str], last: Newest | None, journal: t.Sequence[Entry], now: datetime.datetime) -> Check:
    """Check that new artifacts are encrypted for the break-glass recipients, and that their identities were tried recently.

    `wanted` are the fingerprints of these recipients.
    """
    name = f"{PREFIX}.break_glass"
    if not wanted:
        words = "the break-glass recipients are unknown, so their identities cannot be proved to exist; set break_glass_files"
        return Check(name, UNPROVEN, words, required=False)
    sealed = last.sealed if last else frozenset()
    where = f"the newest set {last.set_id}" if last else "any set"
    missing = sorted(set(wanted).difference(*sealed))
    if missing:
        words = f"no artifact of {where} is encrypted for the break-glass recipient {missing[0]}; add it to the recipients"
        return Check(name, FAIL, words)
    closed = sorted(min(one) for one in sealed if not one & set(wanted))
    if closed:
        words = f"artifacts of {where} are encrypted for {closed[0]} but for no break-glass recipient; add one to each class of assets"
        return Check(name, FAIL, words)
    proofs = decisions.escrows(journal)
    stale = sorted(one for one in wanted if one not in proofs or now - proofs[one].judged > PROOF_LASTS)
    if stale:
        first = stale[0]
        when = f"{proofs[first].judged:%Y-%m-%d}" if first in proofs else "never"
        words = (
            f"{len(stale)} of {len(wanted)} break-glass identities have no recent proof, first: {first} (last proof: {when}); "
            "run escrow_verify with it"
        )
        return Check(name, UNPROVEN, words, details={"stale": stale})
    return Check(name, PASS, f"{plural(len(wanted), 'break-glass recipient')} proved within {PROOF_LASTS.days} days")


def copies(found: t.Sequence[Copy], now: datetime.datetime, least: int, budget: datetime.timedelta) -> Check:
    """Check the number of other copies, based on the verification times that the operator reports."""
    name = f"{PREFIX}.copies"
    if not least:
        return Check(name, NOT_APPLICABLE, "no independent copies are required", required=False)
    fresh = sorted({one.name for one in found if -SKEW <= now - one.verified <= budget})
    details = {"asked": least, "fresh": fresh, "named": sorted({one.name for one in found})}
    if len(fresh) < least:
        words = (
            f"{len(fresh)} of {least} independent copies were verified within {duration(budget.total_seconds())}; "
            "verify the others, or create them with repository_copy"
        )
        return Check(name, FAIL, words, details=details)
    words = f"{len(fresh)} {'copy' if len(fresh) == 1 else 'copies'} verified within {duration(budget.total_seconds())}"
    return Check(name, PASS, words, details=details)


def _age(name: str, what: str, when: datetime.datetime, now: datetime.datetime, budget: datetime.timedelta) -> Check:
    age, limit = (now - when).total_seconds(), budget.total_seconds()
    details = {"age_seconds": age, "budget_seconds": limit}
    if now < when - SKEW:
        words = f"{what} is later than this host's clock ({when:%Y-%m-%d %H:%M} UTC); synchronize the clocks"
        return Check(name, UNPROVEN, words, details=details)
    if age > limit:
        return Check(name, FAIL, f"{what} is {duration(age)} old, over its budget of {duration(limit)}", details=details)
    return Check(name, PASS, f"{what} is {duration(max(0.0, age))} old, within its budget of {duration(limit)}", details=details)
