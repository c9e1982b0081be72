# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules for every release: roles, owners, rights and partitions of the audit log, encoding and time zone."""

from __future__ import annotations

import typing as t

from ..._report.check import FAIL, PASS, UNPROVEN, WARN, Check
from .. import partitions
from ..releases import OWN_DATABASE as _OWN
from .schema_reading import Leaf, Reading
from .schema_tables import owner_class

MONTHS_AHEAD = 3
NEARLY_FULL = 0.8  # fraction of a sequence's range
_UTC = {
    "utc",
    "etc/utc",
    "uct",
    "etc/uct",
    "universal",
    "etc/universal",
    "zulu",
    "etc/zulu",
    "gmt",
    "etc/gmt",
    "greenwich",
    "etc/greenwich",
}


def _judged(check_id: str, verdict: str, problems: t.Sequence[str], passed: str, *, required: bool = True) -> Check:
    if not problems:
        return Check(check_id, PASS, passed, required=required)
    more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
    return Check(check_id, verdict, f"{problems[0]}{more}", required=required, details={"problems": list(problems[:50])})


def roles(wanted: t.Sequence[str], found: t.Mapping[str, t.Sequence[str]]) -> Check:
    """Check that every service role exists and has no rights beyond its grants."""
    missing = [f"role {name} is missing; restore the roles or run the migrations of this release" for name in wanted if name not in found]
    strong = [
        f"role {name} has {', '.join(found[name])}, which Caracal never sets; remove the attributes" for name in wanted if found.get(name)
    ]
    return _judged("schema.roles", FAIL, missing + strong, f"{len(wanted)} service roles, all without extra attributes")


def owner(database: str, reading: Reading, wanted: str, services: t.Collection[str]) -> Check:
    """Check that the correct role owns the database and its objects. A service that owns tables bypasses their row security."""
    wrong = [
        f"the owner of {name} is {one}, but must be {wanted}"
        for name, one in reading.owners.items()
        if owner_class(one, services) != wanted
    ]
    passed = f"the database (owner {reading.owners['the database']}) and {len(reading.owners) - 1} objects belong to {wanted}"
    return _judged(f"schema.{database}.owner", FAIL, wrong, passed)


def encoding(database: str, reading: Reading) -> Check:
    wrong = [f"the encoding is {reading.encoding}; restore into a database with UTF8"] if reading.encoding != "UTF8" else []
    return _judged(f"schema.{database}.encoding", FAIL, wrong, "encoding UTF8")


def time_zone(zones: t.Sequence[tuple[str, str]]) -> Check:
    """Check that the time zone is UTC, because the bounds of new partitions depend on it."""
    wrong = [
        f"the time zone of {where} is {zone}, so new audit partitions would have shifted bounds; set timezone to UTC"
        for where, zone in zones
        if zone.strip("'\"").lower() not in _UTC
    ]
    return _judged(f"schema.{_OWN}.time_zone", FAIL, wrong, f"time zone {zones[0][1]}")


def has_audit_log(reading: Reading) -> bool:
    return partitions.PARENT in reading.tables


def audit_log(reading: Reading, services: t.Collection[str], mutable: t.Sequence[str] | None) -> list[Check]:
    """Check rights and partitions of the audit log. `mutable` is None if there is no audit log or no service role."""
    if not has_audit_log(reading) or not reading.leaves or mutable is None:
        words = f"{partitions.PARENT} has no partition, or there is no service role, so nothing was checked"
        names = ("audit_rights", "partition_grants", "partitions", "partition_constraints")
        return [Check(f"schema.{_OWN}.{name}", UNPROVEN, words) for name in names]
    return [
        _judged(
            f"schema.{_OWN}.audit_rights",
            FAIL,
            [f"role {one} on {partitions.PARENT}" for one in mutable],
            "no service can change or delete audit events",
        ),
        _grants(reading.leaves, {"PUBLIC", *services}),
        _bounds(reading),
        _constraints(reading.leaves),
        _unbound(reading),
        _window(reading),
    ]


def _grants(leaves: t.Sequence[Leaf], services: t.Collection[str]) -> Check:
    """Check that no role has rights on a partition. Only the parent has row security, so such a role can read events of all zones."""
    found = [(grantee in services, f"{grantee} has privileges on partition {leaf.name}") for leaf in leaves for grantee in leaf.grantees]
    verdict = FAIL if any(ours for ours, _words in found) else WARN
    words = [words for _ours, words in sorted(found, key=lambda one: not one[0])]
    return _judged(f"schema.{_OWN}.partition_grants", verdict, words, f"no role has privileges on any of {len(leaves)} partitions")


def _bounds(reading: Reading) -> Check:
    """Check that each partition is the UTC month in its name, by which retention finds it, and that there is a default partition."""
    wrong = [] if reading.unbound else ["there is no default partition, so an event of a month without a partition would be refused"]
    for leaf in reading.leaves:
        month = partitions.month_of(leaf.name)
        if leaf.bounds not in (partitions.DEFAULT, month and month.bounds):
            wrong.append(f"the bounds of partition {leaf.name} are not the month in its name, in UTC: {leaf.bounds}")
    return _judged(f"schema.{_OWN}.partitions", FAIL, wrong, f"{len(reading.leaves) - 1} monthly partitions in UTC and a default partition")


def _constraints(leaves: t.Sequence[Leaf]) -> Check:
    """Check that no partition has its own constraint, which would refuse events that the audit log must accept."""
    wrong = [
        f"partition {leaf.name} has constraint {one}, which the audit log does not have; drop it"
        for leaf in leaves
        for one in leaf.constraints
    ]
    return _judged(f"schema.{_OWN}.partition_constraints", FAIL, wrong, f"no partition of {len(leaves)} has constraints of its own")


def _unbound(reading: Reading) -> Check:
    check_id = f"schema.{_OWN}.default_partition"
    if not reading.unbound:
        return Check(check_id, UNPROVEN, "there is no default partition to check", required=False)
    wrong = [
        f"partition {name} contains events, so partitions for their months cannot be created; see audit_partition_ensure"
        for name, holds in reading.unbound.items()
        if holds
    ]
    return _judged(check_id, WARN, wrong, "the default partition is empty", required=False)


def _window(reading: Reading) -> Check:
    """Check the partitions of the coming months. A backup lacks them legitimately, until audit_partition_ensure has run."""
    names = {leaf.name for leaf in reading.leaves}
    missing = [month.name for month in partitions.wanted(reading.today, MONTHS_AHEAD) if month.name not in names]
    words = [f"no partition for {name}; run audit_partition_ensure before the audit service starts" for name in missing]
    passed = f"partitions for this month and the next {MONTHS_AHEAD} exist"
    return _judged(f"schema.{_OWN}.partition_window", WARN, words, passed, required=False)


def sequences(last: t.Mapping[str, int | None], highest: t.Mapping[str, int]) -> Check:
    """Check sequences. `last` has the value by `schema.name`, and `highest` the highest value in the column that it fills."""
    behind = [
        f"sequence {name} is at {last.get(name) or 0}, but its column contains {value}: the next row would collide"
        for name, value in highest.items()
        if (last.get(name) or 0) < value
    ]
    if not highest:
        return Check(f"schema.{_OWN}.sequence_values", UNPROVEN, "no sequence belongs to a column; nothing was compared")
    return _judged(f"schema.{_OWN}.sequence_values", FAIL, behind, f"{len(highest)} sequence(s) are at or above the stored values")


def sequence_room(last: t.Mapping[str, int | None], limits: t.Mapping[str, int]) -> Check:
    """Check how full sequences are. `last` has the value by `schema.name`, and `limits` the highest possible value."""
    full = [
        f"sequence {name} is at {last.get(name)} of {limit}, after which no row can be inserted; give its column a wider type"
        for name, limit in sorted(limits.items())
        if (last.get(name) or 0) > limit * NEARLY_FULL
    ]
    passed = f"{len(limits)} sequence(s) are below {NEARLY_FULL:.0%} of their limits"
    return _judged(f"schema.{_OWN}.sequence_room", WARN, full, passed, required=False)
