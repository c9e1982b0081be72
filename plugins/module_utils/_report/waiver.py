# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A waiver: a finding that the operator accepts, with a reason and an expiry date."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._errors import OptionError
from .._options.shared import WaiverOptions
from .check import Check
from .text import one_line


class WaiverResult(t.TypedDict):
    """A waiver as reports contain it."""

    check: str
    reason: str
    expires: str


@dataclasses.dataclass(frozen=True)
class Waiver:
    """A waiver. `check` is the ID of one check. `expires` is the last day, in UTC, on which the waiver applies."""

    check: str
    reason: str
    expires: datetime.date

    def to_result(self) -> WaiverResult:
        return {"check": self.check, "reason": self.reason, "expires": self.expires.isoformat()}


def parse(given: t.Iterable[WaiverOptions], today: datetime.date) -> list[Waiver]:
    """Parse waivers. Raise OptionError for a waiver without a reason, without a date, or past its date."""
    return [_parse(number, waiver, today) for number, waiver in enumerate(given, 1)]


def _parse(number: int, given: WaiverOptions, today: datetime.date) -> Waiver:
    where = f"waivers[{number}]"
    check, reason, expires = (one_line(one) for one in (given.check, given.reason, given.expires))
    if not check:
        raise OptionError(f"{where} names no check; give the ID of the check to waive")
    if not reason:
        raise OptionError(f"{where} waives {check} without a reason; give a reason, which the report shows")
    try:
        day = datetime.date.fromisoformat(expires)
    except ValueError as exc:
        raise OptionError(f"{where} waives {check} until {expires or 'an empty date'}; give expires as YYYY-MM-DD") from exc
    if day < today:
        raise OptionError(f"{where} for {check} expired on {day.isoformat()}; fix the finding, or renew the waiver with a new reason")
    return Waiver(check, reason, day)


def apply(checks: t.Iterable[Check], waivers: t.Iterable[Waiver]) -> list[Check]:
    """Return the checks as they count for the verdict: a waived check keeps its verdict, but is not required."""
    waived = {waiver.check for waiver in waivers}
    return [dataclasses.replace(check, required=check.required and check.id not in waived) for check in checks]
