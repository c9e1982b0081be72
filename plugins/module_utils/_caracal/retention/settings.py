# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long Caracal keeps what: its variables, their defaults, and which days are in effect."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ..._errors import OptionError
from ..._report.check import PASS, UNPROVEN, Check

AUDIT, DELEGATION, OUTBOX, SESSION = "AUDIT_RETENTION_DAYS", "DELEGATION_RETENTION_DAYS", "OUTBOX_RETENTION_DAYS", "SESSION_RETENTION_DAYS"
BUCKET = "AUDIT_EXPORT_S3_BUCKET"
# What the services take for a variable that their environment does not have.
DEFAULTS = {AUDIT: 365, DELEGATION: 90, OUTBOX: 7, SESSION: 90}
VARIABLES = (*DEFAULTS, BUCKET)
# Which service has them.
SERVICES = {"audit": (AUDIT, BUCKET), "coordinator": (DELEGATION, OUTBOX, SESSION)}
LONGEST = 36525


@dataclasses.dataclass(frozen=True)
class Effective:
    """What holds in the running services. Where their environment is not `known`, `days` are the defaults, and prove nothing."""

    known: bool
    days: t.Mapping[str, int]
    bucket: bool

    def keeps(self, variable: str) -> datetime.timedelta:
        return period(self.days[variable])

    def told(self, check: Check) -> Check:
        """A verdict that rests on the days: no `pass` while nobody said which are in effect."""
        if self.known or check.verdict != PASS:
            return check
        words = f"{check.message}, if the services run with the defaults; set effective_environment to the settings of the running services"
        return dataclasses.replace(check, verdict=UNPROVEN, message=words)


def period(days: int) -> datetime.timedelta:
    """Days of a table or of a signed entry as a time that a date can bear: who wrote them may have written any number."""
    return datetime.timedelta(days=max(0, min(days, LONGEST)))


def effective(given: t.Mapping[str, object] | None) -> Effective:
    """From variables of the running services; None when nobody gave them. Raises OptionError for a value that is no number of days."""
    named = {name: value for name, value in (given or {}).items() if value is not None and value != ""}
    return Effective(
        given is not None,
        {name: _days(name, named[name]) if name in named else default for name, default in DEFAULTS.items()},
        BUCKET in named,
    )


def _days(name: str, value: object) -> int:
    try:
        days = int(str(value))
    except ValueError:
        days = 0
    if not 1 <= days <= LONGEST:
        raise OptionError(f"{name} of the running service is {str(value)[:20]!a}; set it to a number of days from 1 to {LONGEST}")
    return days
