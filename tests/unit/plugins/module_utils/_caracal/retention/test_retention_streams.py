# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import streams as product
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.retention import streams
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.retention.streams import Stream, Waiting

NOW = 1_795_600_000_000
HOUR = 3600.0
AUDIT, REVOKE = "caracal.audit.events", "caracal.sessions.revoke"


def stream(name: str, length: int = 1, *waiting: Waiting, groups: tuple[str, ...] = ()) -> Stream:
    return Stream(name, length, NOW - 60_000 if length else None, groups or tuple(one.group for one in waiting), waiting)


def old(group: str, hours: float, idle: float | None = 0.0) -> Waiting:
    """Return entries, and a consumer that last asked, this many hours ago."""
    return Waiting(group, 3, NOW - int(hours * 3_600_000), None if idle is None else int(idle * 3_600_000))


def judged(*found: Stream) -> list[str]:
    """Return the verdicts. The groups that every deployment has are added, without waiting entries."""
    found += tuple(Stream(known.name, 0, None, known.consumed, ()) for known in product.STREAMS if known.consumed)
    return [f"{one.verdict}: {one.message}" for one in streams.judge(found, NOW, HOUR)]


@pytest.mark.no_false_alarm
def test_streams_without_a_backlog_pass() -> None:
    results = judged(
        stream(AUDIT, 100, old("audit-ingestor", 0.5)), stream(f"{AUDIT}.dlq", 0), stream(REVOKE, 10_000, groups=("sts-revocation",))
    )
    assert [words.partition(":")[0] for words in results] == ["pass", "pass", "pass"], results


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("found", "at", "words"),
    [
        ([stream(AUDIT, 1_000_001)], 0, "warn: 1 of 4 streams are longer than intended, first caracal.audit.events with 1000001 entries"),
        (
            [stream(AUDIT, 1, old("audit-ingestor", 2))],
            1,
            "fail: 1 of 4 consumer groups have unacknowledged entries over budget, longest audit-ingestor",
        ),
        ([stream(REVOKE, 1, old("gateway-revocation:host-1", 2))], 1, "fail: "),
        ([stream(REVOKE, 1, old("gateway-revocation:host-1", 2, 0.5))], 1, "fail: "),
        ([stream(REVOKE, 1, old("gateway-revocation:gone", 9, 3))], 1, "warn: 1 of 5 consumer groups have unacknowledged"),
        ([stream(REVOKE, 1, old("gateway-revocation:gone", 9, None))], 1, "warn: "),
        (
            [stream(REVOKE, 1, old("gateway-revocation:gone", 9, 3), old("gateway-revocation:here", 2))],
            1,
            "fail: 2 of 6 consumer groups have unacknowledged entries over budget, longest gateway-revocation:here",
        ),
        ([stream(REVOKE, 1, old("sts-revocation", 2))], 1, "warn: "),
        ([stream(REVOKE, 1, old("sts-revocation", 2)), stream(AUDIT, 1, old("audit-ingestor", 3))], 1, "fail: 2 of 4"),
        ([stream(AUDIT, 1, old("siem-export", 2), groups=("audit-ingestor", "siem-export"))], 1, "pass: 4 consumer groups"),
        (
            [stream(f"{AUDIT}.dlq", 2), stream(f"{REVOKE}.dead", 1)],
            2,
            "warn: 3 entries were given up in caracal.audit.events.dlq, caracal.se",
        ),
    ],
)
def test_each_fault_has_its_message(found: list[Stream], at: int, words: str) -> None:
    assert judged(*found)[at].startswith(words)


@pytest.mark.mutation
def test_redis_without_streams_or_groups_is_unproven() -> None:
    assert [one.verdict for one in streams.judge([], NOW, HOUR)] == ["unproven"] * 3
    check = streams.pending([stream("caracal.agents.lifecycle", 1)], NOW, HOUR)
    assert (
        check.verdict == "unproven"
        and "4 consumer groups of Caracal are missing" in check.message
        and "coordinator-relay of caracal.agents" in check.message
    )
    assert streams.bounds([stream("caracal.agents.lifecycle", 10**9)]).verdict == "unproven"
