# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find audit months that are missing although retention keeps them, or kept them until it was lowered after an earlier
set.

Retention drops a month when its end is older than the days in effect. Every set records the days in the database. For a
missing month, the comparison uses the days recorded when the current days first allowed the month to be dropped. So a
month that expires under unchanged days, long after an operator lowered them, is not a finding. A month that was dropped
because of fewer days is a finding, even if there is a set in between. So is a month that both the current days and the
newest set's days keep, because no service drops it.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ..._report.check import NOT_APPLICABLE, UNPROVEN, Check
from .. import findings
from ..chains import chain_gaps
from ..chains.audit_chains import AUDIT
from ..findings import Finding
from ..partitions import Month
from . import audit, settings

CHECK_ID = "audit.retention_lowered"
# How far the clock of the service that drops months may be ahead.
_AHEAD = datetime.timedelta(days=1)


@dataclasses.dataclass(frozen=True)
class Recorded:
    """The days in `audit_retention` when a set was created. None if the table had no row, or if the set does not record them (`known`)."""

    set_id: str
    time: datetime.datetime
    days: int | None
    known: bool


@dataclasses.dataclass(frozen=True)
class Today:
    """The state of a database at `now`.

    `has_table` is True if the release has the table `audit_retention`, and `days` is its value. `lost` are partitions
    with rows in the newest set or checkpoint that are missing from the database.
    """

    now: datetime.datetime
    has_table: bool
    days: int | None
    lost: tuple[str, ...]


def judge(today: Today, newest_first: t.Iterable[Recorded], acknowledged: t.Collection[str]) -> Check:
    """Check for months that were dropped too early. `newest_first` is only consumed as far as needed."""
    if not today.has_table:
        words = "this release has no audit_retention; only AUDIT_RETENTION_DAYS of the audit service applies"
        return Check(CHECK_ID, NOT_APPLICABLE, words, required=False)
    earlier = _Lazily(newest_first)
    newest = earlier.first
    if newest is None:
        return Check(CHECK_ID, UNPROVEN, "there is no earlier set to compare the retention with", required=False)
    found = [one for leaf in today.lost if (one := _finding(today, leaf, earlier) or _too_early(today, leaf, newest))]
    details: dict[str, t.Any] = {"days": today.days, "before": newest.days if newest.known else None, "since": newest.set_id}
    if not found and not newest.known:
        words = f"set {newest.set_id} does not record the days of audit_retention, so it is unknown whether they were lowered since"
        return Check(CHECK_ID, UNPROVEN, words, required=False, details=details)
    lowered = newest.known and _effective(today.days) < _effective(newest.days)
    words = f"{_named(today.days)}; in set {newest.set_id}, {_named(newest.days)}" if lowered else _named(today.days)
    words += "; every month that the earlier retention keeps is present" if lowered else ", not fewer than before"
    return findings.check(CHECK_ID, found, words, accepted=acknowledged, **details)


class _Lazily:
    """A sequence that is read only as far as needed, and each part only once."""

    def __init__(self, values: t.Iterable[Recorded]) -> None:
        self._rest, self._read = iter(values), list[Recorded]()
        self.first = next(iter(self), None)

    def __iter__(self) -> t.Iterator[Recorded]:
        yield from self._read
        for one in self._rest:
            self._read.append(one)
            yield one


def _finding(today: Today, leaf: str, earlier: t.Iterable[Recorded]) -> Finding | None:
    month = chain_gaps.month_of(leaf)
    if month is None:
        return None
    end = audit.end(Month(datetime.date(*month, 1)))
    former = _former(end + settings.period(_effective(today.days)), earlier)
    if former is None or _effective(former.days) <= _effective(today.days):
        return None
    kept = end + settings.period(_effective(former.days))
    if kept <= today.now:
        return None
    words = (
        f"{_named(today.days)}, fewer than the {_effective(former.days)} in set {former.set_id}. The month is missing, but the earlier "
        f"retention keeps it until {kept:%Y-%m-%d}; find out who lowered the days, raise them again, and keep set {former.set_id}"
    )
    digest = findings.digest(CHECK_ID, leaf, former.set_id, former.days, today.days)
    return Finding("retention_lowered", AUDIT.name, "", 0, 0, words, leaf=leaf, digest=digest)


def _too_early(today: Today, leaf: str, newest: Recorded) -> Finding | None:
    """Return a finding for a month that both the current days and the newest set keep.

    Without a row, the audit service's variable applies. It is not in any set, so it is unknown how long a month is
    kept.
    """
    month = chain_gaps.month_of(leaf)
    if month is None or today.days is None or not newest.known or newest.days is None:
        return None
    kept = audit.end(Month(datetime.date(*month, 1))) + settings.period(min(today.days, newest.days))
    if kept <= today.now + _AHEAD:
        return None
    words = (
        f"the month is missing, although {_named(today.days)} and set {newest.set_id} records enough days to keep it until "
        f"{kept:%Y-%m-%d}; find out who dropped it, and keep set {newest.set_id}"
    )
    return Finding(
        "dropped_early", AUDIT.name, "", 0, 0, words, leaf=leaf, digest=findings.digest(CHECK_ID, leaf, newest.set_id, today.days)
    )


def _former(due: datetime.datetime, earlier: t.Iterable[Recorded]) -> Recorded | None:
    """Return the set with the most days since `due`, including the last set before it. At `due`, the current days first
    allowed the drop.
    """
    most: Recorded | None = None
    for one in earlier:
        if one.known and (most is None or _effective(one.days) > _effective(most.days)):
            most = one
        if one.known and one.time <= due:
            break
    return most


def _effective(days: int | None) -> int:
    """Return the days in effect. Without a row, the audit service's variable applies, and this uses its default."""
    return settings.DEFAULTS[settings.AUDIT] if days is None else days


def _named(days: int | None) -> str:
    return "audit_retention has no row, so 365 days are in effect" if days is None else f"audit_retention keeps {days} days"
