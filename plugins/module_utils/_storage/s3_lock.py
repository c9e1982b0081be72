# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lock durations of objects: a class for each path, and a number of days for each class."""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t

from .._errors import OptionError

GOVERNANCE, COMPLIANCE, NONE = "GOVERNANCE", "COMPLIANCE", "none"
# The longest locks last 13 months, so that yearly evidence overlaps. Secrets have a short lock: after a leak of an
# identity, they must not remain undeletable.
DAYS = {"sets": 35, "objects": 35, "secrets": 35, "journal": 400, "archive": 400, "drills": 400}
DAYS_MAX = 400
# Stores round times to seconds, or to another precision.
TOLERANCE = datetime.timedelta(seconds=2)

_CLASSES: tuple[tuple[str, str], ...] = (
    (r"sets/[^/]+/parts/", NONE),
    (r"sets/", "sets"),
    (r"objects/secrets/", "secrets"),
    (r"objects/", "objects"),
    (r"journal/|checkpoints/|repository\.json", "journal"),
    (r"archive/", "archive"),
    (r"drills/", "drills"),
)
# Objects that are never deleted in normal operation. Their oldest version is the true one, even below a delete marker.
_KEPT = re.compile(r"journal/|checkpoints/|drills/|repository\.json|sets/[^/]+/(manifest\.json|RECOVERY\.md|signatures/)")


@dataclasses.dataclass(frozen=True)
class Lock:
    """Mode and days by class. With mode `none`, no lock is requested, and the default of the bucket applies."""

    mode: str = NONE
    days: t.Mapping[str, int] = dataclasses.field(default_factory=lambda: dict(DAYS))

    def until(self, key: str, now: datetime.datetime) -> datetime.datetime | None:
        """Return the end of the lock for an object written now, or None if no lock is requested."""
        kind = class_of(key)
        if self.mode == NONE or kind == NONE or not self.days[kind]:
            return None
        return (now + datetime.timedelta(days=self.days[kind])).replace(microsecond=0)

    def arguments(self, key: str, now: datetime.datetime) -> dict[str, t.Any]:
        """Return the lock arguments of a request that creates the object."""
        until = self.until(key, now)
        return {"ObjectLockMode": self.mode, "ObjectLockRetainUntilDate": until} if until else {}


def make(mode: str, days: t.Mapping[str, t.Any] | None, ceiling: int) -> Lock:
    """Return the lock from options. Classes that are not named have their default days. Raises OptionError."""
    asked = dict(days or {})
    unknown = sorted(asked.keys() - DAYS.keys())
    if unknown:
        raise OptionError(f"lock_days names the unknown class {unknown[0]!a}; the classes are {', '.join(DAYS)}")
    found = dict(DAYS)
    for name, value in asked.items():
        if not re.match(r"[0-9]{1,6}\Z", str(value)):
            raise OptionError(f"lock_days of {name} is {value!a}; give a number of days")
        found[name] = int(value)
    long = [name for name, value in found.items() if value > ceiling]
    if mode != NONE and long:
        raise OptionError(
            f"lock_days of {long[0]} is {found[long[0]]}, more than lock_days_max {ceiling}; such a lock cannot be shortened, so raise "
            "lock_days_max only if you are sure"
        )
    return Lock(mode, found)


def class_of(key: str) -> str:
    """Return the class of a key; `none` for objects that are not locked."""
    return next((kind for pattern, kind in _CLASSES if re.match(pattern, key)), NONE)


def is_kept(key: str) -> bool:
    return _KEPT.match(key) is not None
