# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of the restored services after their start: chain sweep, consumed streams, replay files.

Each result has a flag `settled`. It is True if waiting longer cannot improve the result.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ..._reasons import EVENTS_NOT_SENT, MISSING_GROUPS, SWEEP_CHAIN_BREAKS, SWEEP_HMAC_FAILURES, SWEEP_MISMATCH, because
from ..._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, Check
from .. import streams
from ..backlog import Backlog
from . import block_history
from .chain_examiner import Seen

SWEPT, CHECKED = "caracal_audit_tamper_last_full_unix", "caracal_audit_tamper_checked_total"
FINDINGS = (SWEEP_CHAIN_BREAKS, SWEEP_HMAC_FAILURES)
PATIENCE = "wait longer with settle_timeout (caracal_drill_settle_timeout)"
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{[^}]*\})?\s+([-+0-9.eE]+|NaN|[+-]Inf)")


@dataclasses.dataclass(frozen=True)
class Judged:
    """A check. `settled` is True if waiting longer cannot improve it."""

    check: Check
    settled: bool


@dataclasses.dataclass(frozen=True)
class Group:
    """A consumer group of a service. `lag` and `last_seen` (milliseconds since a consumer last read) are None if unknown."""

    stream: str
    name: str
    lag: int | None
    pending: int
    last_seen: int | None


@dataclasses.dataclass(frozen=True)
class Replayed:
    """Counts for the restored replay files: all files, files left, their events, and events that are in the database."""

    files: int
    left: int
    events: int
    landed: int


def metrics(text: str) -> dict[str, float]:
    """Parse a Prometheus text. Samples with the same name are added up."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        sample = _SAMPLE.match(line)
        if sample:
            found[sample[1]] = found.get(sample[1], 0.0) + float(sample[2])
    return found


def sweep(found: t.Mapping[str, float] | None, error: str, since: float, release: str | None, earlier: int = 0) -> Judged:
    """Check the product's own tamper sweep over the whole chain.

    Releases before 11 June 2026 count mismatches for rows that cannot be recomputed, so only links and signatures are
    used for them. The sweep has only the current key: `earlier` rows have an HMAC of an earlier key, and each of them
    may count as a failure.
    """
    name = "settled.tamper_sweep"
    if found is None:
        return Judged(Check(name, UNPROVEN, f"the metrics of the audit service cannot be read: {error}"), False)
    if found.get(SWEPT, 0.0) < int(since):
        return Judged(Check(name, UNPROVEN, "the audit service has not finished a full sweep of the chain since it started"), False)
    counted = FINDINGS if release == block_history.HASHES_RECEIVED else (SWEEP_MISMATCH, *FINDINGS)
    values = {one: found.get(one) for one in (*counted, CHECKED)}
    wrong = {one: values[one] for one in counted if (values[one] or 0.0) > (earlier if one == SWEEP_HMAC_FAILURES else 0)}
    if wrong:
        first, number = next(iter(wrong.items()))
        words = f"the audit service's own sweep reports {number:.0f} faulty rows ({first}); see the checks of the drill step 'evidence'"
        return Judged(Check(name, FAIL, words, details={**because(first), "metrics": values}), True)
    if any(values[one] is None for one in counted) or not values[CHECKED]:
        return Judged(
            Check(name, UNPROVEN, "the audit service's sweep checked no row, or does not report how many", details={"metrics": values}),
            True,
        )
    older = values[SWEEP_HMAC_FAILURES]
    rotated = f" except {older:.0f} rows of an earlier AUDIT_HMAC_KEY, which it does not have" if older else ""
    words = f"the audit service's own sweep of {values[CHECKED]:.0f} rows found no problem{rotated}"
    return Judged(Check(name, PASS, words, details={"metrics": values, "earlier_key_rows": earlier}), True)


def consumers(groups: t.Sequence[Group], since_ms: int, backlogs: t.Mapping[tuple[str, str], Backlog]) -> Judged:
    """Check that the services have read and acknowledged all waiting entries. Groups of earlier Gateways do not count.

    A group that is still processing its backlog is unproven, no matter how long it takes.
    """
    name = "settled.consumer_lag"
    judged = [group for group in groups if not _is_left_behind(group, since_ms)]
    needed = {(known.name, group) for known in streams.STREAMS for group in known.consumed}
    missing = sorted(needed - {(group.stream, group.name) for group in judged})
    if missing:
        words = f"{len(missing)} of {len(needed)} consumer groups are missing; first: {missing[0][1]} of {missing[0][0]}"
        return Judged(Check(name, FAIL, words, details={**because(MISSING_GROUPS), "missing": [" ".join(one) for one in missing]}), False)
    behind = [group for group in judged if group.lag or (group.pending and group.name not in streams.RETRIED_LATER)]
    unknown = [group for group in judged if group.lag is None]
    still = [group for group in behind if not ((backlog := backlogs.get((group.stream, group.name))) and backlog.shrinks)]
    if behind or unknown:
        worst = (still or behind or unknown)[0]
        details = {"groups": [dataclasses.asdict(group) for group in behind or unknown]}
        if still or not behind:
            lag = "an unknown number" if worst.lag is None else str(worst.lag)
            words = f"{worst.name} of {worst.stream} has {lag} unread and {worst.pending} unacknowledged entries"
            return Judged(Check(name, FAIL if behind else UNPROVEN, words, details=details), False)
        words = f"{worst.name} of {worst.stream} is still processing its backlog: {backlogs[worst.stream, worst.name]}; {PATIENCE}"
        return Judged(Check(name, UNPROVEN, words, details=details), False)
    return Judged(Check(name, PASS, f"{len(judged)} consumer groups have read and acknowledged all entries"), True)


def _is_left_behind(group: Group, since_ms: int) -> bool:
    """Return whether the group belongs to an earlier Gateway host and was not read since the services started."""
    return group.name.startswith(f"{streams.GATEWAY_GROUP}:") and (group.last_seen is None or group.last_seen > since_ms)


def dead_letters(before: t.Mapping[str, int], now: t.Mapping[str, int], reasons: t.Mapping[str, int]) -> Judged:
    """Check that no dead-letter stream has grown. `reasons` counts the reasons in the newest entries."""
    name = "settled.dead_letters"
    grown = {stream: count - before.get(stream, 0) for stream, count in sorted(now.items()) if count > before.get(stream, 0)}
    if grown:
        first, count = next(iter(grown.items()))
        why = f" ({', '.join(sorted(reasons))})" if reasons else ""
        words = f"{count} dead letters were added to {first} since the services started{why}"
        return Judged(Check(name, FAIL, words, details={"grown": grown, "answer": dict(reasons)}), True)
    kept = sum(before.values())
    return Judged(Check(name, PASS, f"no new dead letters; {kept} of the backup remain" if kept else "no dead letters"), True)


def replay(found: Replayed) -> Judged:
    """Check that replay files were sent and removed after the start, and that their events are in the database."""
    name = "settled.replay_drained"
    if not found.files:
        return Judged(Check(name, NOT_APPLICABLE, "no replay file was restored"), True)
    words = f"{found.left} of {found.files} replay files remain, {found.landed} of {found.events} of their events are in audit_events"
    if found.left or found.landed < found.events:
        # If files are left, the service has not started sending them or is still sending.
        reason = None if found.left else EVENTS_NOT_SENT
        return Judged(Check(name, FAIL, words, details={**because(reason), **dataclasses.asdict(found)}), False)
    if not found.events:
        return Judged(
            Check(name, UNPROVEN, f"{found.files} replay files were removed, and contained no event that can be searched for"), True
        )
    return Judged(Check(name, PASS, f"{found.files} replay files were sent and removed; their events are in audit_events"), True)


def streamed(events: int, landed: int, ingest: Backlog | None) -> Judged:
    """Check that the newest events of the restored audit stream are in the database. `ingest` is the current backlog."""
    name = "settled.stream_landed"
    if not events:
        return Judged(Check(name, NOT_APPLICABLE, "no audit event was in the restored streams"), True)
    if landed < events and ingest and ingest.shrinks:
        words = f"{events - landed} of {events} audit events of the restored stream are not in audit_events yet: {ingest}; {PATIENCE}"
        return Judged(Check(name, UNPROVEN, words, details={"events": events, "landed": landed}), False)
    if landed < events:
        words = f"{events - landed} of {events} audit events of the restored stream are not in audit_events, and no service is reading them"
        return Judged(Check(name, FAIL, words, details={"events": events, "landed": landed}), False)
    return Judged(Check(name, PASS, f"all {events} checked audit events of the restored stream are in audit_events"), True)


def continued(seen: Seen, heads: t.Mapping[str, tuple[int, str]], recompute: bool) -> Judged:
    """Check that rows after the restored heads are linked to them, complete, and signed with the restored key."""
    name = "settled.chain_continues"
    new = 0
    for zone_text, zone in seen.items():
        head = heads.get(zone_text.decode("utf-8", "replace"))
        new += zone.rows
        first, before = (head[0] + 1, head[1].encode()) if head else (1, rb"\N")
        runs = zone.links.runs
        faults = {
            "edited": zone.edited.count,
            "signed with another key": zone.unmatched.count + zone.unkeyed.count,
            "without a number": zone.unnumbered,
            "with a broken link": zone.links.broken.count + (0 if len(runs) == 1 and runs[0].low == first else 1),
            "twice": zone.links.twice.count,
            "not linked to the head": int(bool(runs) and runs[0].before != before),
        }
        wrong = next((f"{count} {what}" for what, count in faults.items() if count), None)
        if wrong:
            words = f"the chain does not continue from its restored head; faulty rows: {wrong}"
            return Judged(Check(name, FAIL, words, details={"zone": zone_text.decode("utf-8", "replace"), "faults": faults}), True)
    if not new:
        return Judged(
            Check(name, UNPROVEN, "no event was written after the restored heads, so it is not proven that the chains continue"), False
        )
    how = "linked, unchanged and signed" if recompute else "linked and signed"
    return Judged(Check(name, PASS, f"{new} new events continue the restored chains, {how} with the restored key"), True)
