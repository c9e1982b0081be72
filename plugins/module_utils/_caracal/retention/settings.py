# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Caracal's retention settings: the variables, their defaults, and the days in effect."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ..._errors import OptionError
from ..._report.check import PASS, UNPROVEN, Check

AUDIT, DELEGATION, OUTBOX, SESSION = "AUDIT_RETENTION_DAYS", "DELEGATION_RETENTION_DAYS", "OUTBOX_RETENTION_DAYS", "SESSION_RETENTION_DAYS"
BUCKET = "AUDIT_EXPORT_S3_BUCKET"
# The values that services use if their environment does not have the variable.
DEFAULTS = {AUDIT: 365, DELEGATION: 90, OUTBOX: 7, SESSION: 90}
VARIABLES = (*DEFAULTS, BUCKET)
# The service that uses each variable.
SERVICES = {"audit": (AUDIT, BUCKET), "coordinator": (DELEGATION, OUTBOX, SESSION)}
LONGEST = 36525


@dataclasses.dataclass(frozen=True)
class Effective:
    """The settings of the running services. If their environment is not `known`, `days` are the defaults and prove nothing."""

    known: bool
    days: t.Mapping[str, int]
    bucket: bool

    def keeps(self, variable: str) -> datetime.timedelta:
        return period(self.days[variable])

    def qualified(self, check: Check) -> Check:
        """Return a verdict that depends on the days: a `pass` becomes `unproven` if the days in effect are unknown."""
        if self.known or check.verdict != PASS:
            return check
        words = f"{check.message}, if the services run with the defaults; set effective_environment to the settings of the running services"
        return dataclasses.replace(check, verdict=UNPROVEN, message=words)


def period(days: int) -> datetime.timedelta:
    """Return days from a table or a signed entry as a timedelta, limited to the range of dates, because any number may be stored."""
    return datetime.timedelta(days=max(0, min(days, LONGEST)))


def effective(given: t.Mapping[str, object] | None) -> Effective:
    """Return the settings from variables of the running services, or the defaults for None. Raises OptionError for an
    invalid number of days.
    """
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
