# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Convert the time of a job from the format of systemd timers to a rule of RFC 5545, which AWX uses."""

from __future__ import annotations

import re

from .._errors import OptionError

_DAYS = {"Mon": "MO", "Tue": "TU", "Wed": "WE", "Thu": "TH", "Fri": "FR", "Sat": "SA", "Sun": "SU"}
_DAY = f"(?:{'|'.join(_DAYS)})"
TIME = re.compile(
    rf"(?:(?P<days>{_DAY}(?:,{_DAY})*) |\*-\*-(?P<date>0[1-9]|[12][0-9]|3[01]) )?(?P<hour>\*|[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9])"
)
ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*")
# A fixed day in the past, so that the same rule results at any time.
_SINCE = "20260101"


def parts(time: str) -> tuple[str, str, str, str]:
    """Return days, date, hour and minute. The first two can be empty. Raises OptionError."""
    found = TIME.fullmatch(time)
    if not found:
        raise OptionError(f"{time!r} is not a time of a job; write it as 04:00, *:20, Sun 06:00 or *-*-01 06:00")
    days, date, hour, minute = found.group("days", "date", "hour", "minute")
    return days or "", date or "", hour, minute


def as_rrule(time: str, zone: str = "UTC") -> str:
    """Return `04:00`, `*:20`, `Sun 06:00` or `*-*-01 06:00` in an IANA time zone as `DTSTART` and `RRULE`."""
    days, date, hour, minute = parts(time)
    if not ZONE.fullmatch(zone):
        raise OptionError(f"{zone!r} is not a time zone; write it as Europe/Berlin or UTC")
    hourly = hour == "*"
    often = "HOURLY" if hourly else "WEEKLY" if days else "MONTHLY" if date else "DAILY"
    words = [f"FREQ={often}", "INTERVAL=1"]
    if days:
        words.append("BYDAY=" + ",".join(_DAYS[day] for day in days.split(",")))
    if date:
        words.append(f"BYMONTHDAY={int(date)}")
    return f"DTSTART;TZID={zone}:{_SINCE}T{'00' if hourly else hour}{minute}00 RRULE:{';'.join(words)}"
