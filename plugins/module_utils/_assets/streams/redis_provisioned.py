# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check what services need in Redis: their consumer groups, and no keys of other types under the names of streams.

A Redis that was emptied while services ran lacks its groups, and they are not created until the services restart. Both checks
are warnings for a source and for its copy, since a set only has to match its source. Services or `redis_stream_restore` create
the groups.
"""

from __future__ import annotations

import typing as t

from ..._caracal import streams as product
from ..._drivers.redis import reading
from ..._drivers.redis.connection import Session
from ..._report.check import PASS, WARN, Check

GROUPS, KIND = "redis.groups_missing", "redis.kind"


def judge(session: Session) -> list[Check]:
    """Return both checks for the current state of a Redis."""
    kinds = other_types(session)
    return [_kinds(kinds), _groups(session, kinds)]


def other_types(session: Session) -> dict[str, str]:
    """Return keys that have the name of a stream but are not streams, with their types."""
    found = {name: reading.other_type(session, name.encode()) for name in product.NAMES}
    return {name: kind for name, kind in found.items() if kind}


def describe(kinds: t.Mapping[str, str]) -> str:
    name, kind = next(iter(kinds.items()))
    return f"the key {name} is a {kind} and not a stream{_more(kinds)}"


def _kinds(kinds: t.Mapping[str, str]) -> Check:
    if not kinds:
        return Check(KIND, PASS, "no key with the name of a stream has another type", required=False)
    words = f"{describe(kinds)}, so services cannot write to it or read it; rename the key (RENAME) and restart the services"
    return Check(KIND, WARN, words, required=False, details={"types": dict(kinds)})


def _groups(session: Session, kinds: t.Mapping[str, str]) -> Check:
    missing = [
        {"stream": known.name, "group": group, "service": product.READERS[group]}
        for known in product.STREAMS
        if known.consumed and known.name not in kinds
        for group in _lacking(session, known)
    ]
    if not missing:
        return Check(GROUPS, PASS, "the group of each service exists", required=False)
    one = missing[0]
    words = (
        f"{one['stream']} has no group {one['group']}, so the service {one['service']} does not read it{_more(missing)}; "
        "create the group at 0 with redis_stream_restore and groups_only"
    )
    return Check(GROUPS, WARN, words, required=False, details={"missing": missing})


def _lacking(session: Session, known: product.KnownStream) -> list[str]:
    seen = reading.look(session, known.name.encode())
    there = {reading.text(group.name) for group in seen.groups} if seen else set()
    return [group for group in known.consumed if group not in there]


def _more(found: t.Sized) -> str:
    return f" ({len(found) - 1} more)" if len(found) > 1 else ""
