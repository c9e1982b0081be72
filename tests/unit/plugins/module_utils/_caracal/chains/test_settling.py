# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import streams
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.backlog import Backlog
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import settling
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.settling import Group, Replayed
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN
from unit.plugins.module_utils._caracal.chains import chain_rows

STARTED = 1_790_000_000.5
SWEPT: dict[str, float] = {
    settling.SWEPT: 1_790_000_001.0,
    settling.CHECKED: 300.0,
    settling.SWEEP_MISMATCH: 0.0,
    **dict.fromkeys(settling.FINDINGS, 0.0),
}
AUDIT = "caracal.audit.events"
GROUPS = [Group(known.name, group, 0, 0, 10) for known in streams.STREAMS for group in known.consumed]


def test_metrics_of_one_name_are_added_up() -> None:
    text = '# HELP a b\na{x="1"} 2\na{x="2"} 3e1\nb 1\nnonsense\n'
    assert settling.metrics(text) == {"a": 32.0, "b": 1.0}


@pytest.mark.no_false_alarm
def test_sweep_without_findings_passes() -> None:
    judged = settling.sweep(SWEPT, "", STARTED, "v1.0.0")
    assert (judged.check.verdict, judged.settled) == (PASS, True) and "300 rows" in judged.check.message


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("change", "verdict", "settled"),
    [
        (None, UNPROVEN, False),
        ({settling.SWEPT: STARTED - 60}, UNPROVEN, False),
        ({settling.CHECKED: 0.0}, UNPROVEN, True),
        ({settling.SWEEP_MISMATCH: 1.0}, FAIL, True),
        ({settling.FINDINGS[0]: 2.0}, FAIL, True),
        ({settling.FINDINGS[1]: 3.0}, FAIL, True),
    ],
)
def test_incomplete_sweep_or_sweep_with_findings_is_not_a_pass(change: dict[str, float] | None, verdict: str, settled: bool) -> None:
    found = None if change is None else {**SWEPT, **change}
    judged = settling.sweep(found, "HTTP 401", STARTED, "v1.0.0")
    assert (judged.check.verdict, judged.settled) == (verdict, settled)


@pytest.mark.no_false_alarm
def test_rows_of_an_earlier_key_are_not_a_sweep_finding() -> None:
    rotated = {**SWEPT, settling.SWEEP_HMAC_FAILURES: 120.0}
    assert settling.sweep(rotated, "", STARTED, "v1.0.0", earlier=120).check.verdict == PASS
    assert settling.sweep(rotated, "", STARTED, "v1.0.0", earlier=200).check.verdict == PASS  # some are older than the sweep covers


@pytest.mark.mutation
@pytest.mark.parametrize("change", [{settling.SWEEP_HMAC_FAILURES: 121.0}, {settling.FINDINGS[0]: 1.0}, {settling.SWEEP_MISMATCH: 1.0}])
def test_more_than_the_rows_of_an_earlier_key_is_a_finding(change: dict[str, float]) -> None:
    found = {**SWEPT, settling.SWEEP_HMAC_FAILURES: 120.0, **change}
    assert settling.sweep(found, "", STARTED, "v1.0.0", earlier=120).check.verdict == FAIL


def test_sweep_without_a_findings_metric_is_unproven() -> None:
    silent = {name: value for name, value in SWEPT.items() if name != settling.FINDINGS[0]}
    assert settling.sweep(silent, "", STARTED, "v1.0.0").check.verdict == UNPROVEN


@pytest.mark.no_false_alarm
def test_mismatches_in_the_first_release_are_not_findings() -> None:
    assert settling.sweep({**SWEPT, settling.SWEEP_MISMATCH: 300.0}, "", STARTED, "2026-06-04").check.verdict == PASS


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    "more",
    [
        [],
        [Group("caracal.sessions.revoke", "gateway-revocation:gone", 40, 0, None)],
        [Group("caracal.sessions.revoke", "gateway-revocation:gone", 40, 2, 999_999)],
        [Group("caracal.sessions.revoke", "gateway-revocation:here", 0, 0, 5)],
    ],
)
def test_consumers_without_a_backlog_pass(more: list[Group]) -> None:
    judged = settling.consumers([*GROUPS, *more], 10_000, {})
    assert (judged.check.verdict, judged.settled) == (PASS, True)


@pytest.mark.no_false_alarm
def test_revocation_retried_at_the_next_start_is_not_a_backlog() -> None:
    groups = [dataclasses.replace(group, pending=1) if group.name == "sts-revocation" else group for group in GROUPS]
    assert settling.consumers(groups, 10_000, {}).check.verdict == PASS


@pytest.mark.mutation
@pytest.mark.parametrize("change", [{"lag": 3}, {"pending": 1}, {"lag": None}])
@pytest.mark.parametrize("name", ["audit-ingestor", "opa-engine", "coordinator-relay"])
def test_consumer_with_a_backlog_is_not_a_pass(change: dict[str, int | None], name: str) -> None:
    groups = [dataclasses.replace(group, **t.cast(t.Any, change)) if group.name == name else group for group in GROUPS]
    judged = settling.consumers(groups, 10_000, {})
    assert judged.check.verdict == (UNPROVEN if change == {"lag": None} else FAIL) and not judged.settled
    assert name in judged.check.message


@pytest.mark.mutation
@pytest.mark.parametrize("left_out", [group.name for group in GROUPS])
def test_missing_consumer_group_fails(left_out: str) -> None:
    judged = settling.consumers([group for group in GROUPS if group.name != left_out], 10_000, {})
    assert judged.check.verdict == FAIL and left_out in judged.check.message


def behind(now: int, still: float = 0.5) -> tuple[list[Group], dict[tuple[str, str], Backlog]]:
    """Return the state after 100 s: the audit service has `now` of 1000 entries left, all other services have none."""
    groups = [dataclasses.replace(group, lag=now) if group.name == streams.AUDIT_GROUP else group for group in GROUPS]
    return groups, {(AUDIT, streams.AUDIT_GROUP): Backlog(1000, now, 100.0, still)}


def test_service_with_a_shrinking_backlog_is_unproven() -> None:
    judged = settling.consumers(behind(800)[0], 10_000, behind(800)[1])
    assert (judged.check.verdict, judged.settled) == (UNPROVEN, False)
    assert "800 of 1000" in judged.check.message and "6 min 40 s" in judged.check.message
    landed = settling.streamed(5, 1, behind(800)[1][AUDIT, streams.AUDIT_GROUP])
    assert (landed.check.verdict, landed.settled) == (UNPROVEN, False)


@pytest.mark.mutation
@pytest.mark.parametrize(("now", "still"), [(1000, 100.0), (800, 20.0)])
def test_a_backlog_that_stays_is_a_failure(now: int, still: float) -> None:
    groups, backlogs = behind(now, still)
    assert settling.consumers(groups, 10_000, backlogs).check.verdict == FAIL
    assert settling.streamed(5, 1, backlogs[AUDIT, streams.AUDIT_GROUP]).check.verdict == FAIL


@pytest.mark.mutation
def test_stalled_group_fails_even_if_another_makes_progress() -> None:
    groups, backlogs = behind(800)
    stuck = [dataclasses.replace(group, pending=3) if group.name == "opa-engine" else group for group in groups]
    judged = settling.consumers(stuck, 10_000, backlogs)
    assert judged.check.verdict == FAIL and "opa-engine" in judged.check.message


@pytest.mark.mutation
def test_events_missing_after_the_backlog_is_read_fail() -> None:
    assert settling.streamed(5, 1, Backlog(1000, 0, 100.0, 0.5)).check.verdict == FAIL


def test_active_gateway_with_a_backlog_fails() -> None:
    judged = settling.consumers([*GROUPS, Group("caracal.sessions.revoke", "gateway-revocation:here", 2, 0, 5)], 10_000, {})
    assert judged.check.verdict == FAIL


def test_only_new_dead_letters_are_a_finding() -> None:
    kept = settling.dead_letters({"a.dlq": 2}, {"a.dlq": 2}, {})
    assert kept.check.verdict == PASS and "2 of the backup" in kept.check.message
    new = settling.dead_letters({"a.dlq": 2}, {"a.dlq": 3, "b.dead": 0}, {"hmac_verify_failed": 1})
    assert new.check.verdict == FAIL and "hmac_verify_failed" in new.check.message
    assert settling.dead_letters({}, {"b.dead": 1}, {}).check.verdict == FAIL


@pytest.mark.parametrize(
    ("found", "verdict", "settled"),
    [
        (Replayed(0, 0, 0, 0), NOT_APPLICABLE, True),
        (Replayed(2, 0, 9, 9), PASS, True),
        (Replayed(2, 1, 9, 9), FAIL, False),
        (Replayed(2, 0, 9, 8), FAIL, False),
        (Replayed(1, 0, 0, 0), UNPROVEN, True),
    ],
)
def test_verdict_of_replay_files(found: Replayed, verdict: str, settled: bool) -> None:
    judged = settling.replay(found)
    assert (judged.check.verdict, judged.settled) == (verdict, settled)


@pytest.mark.parametrize(
    ("events", "landed", "verdict", "settled"), [(0, 0, NOT_APPLICABLE, True), (5, 5, PASS, True), (5, 4, FAIL, False)]
)
def test_verdict_of_events_in_the_restored_stream(events: int, landed: int, verdict: str, settled: bool) -> None:
    judged = settling.streamed(events, landed, None)
    assert (judged.check.verdict, judged.settled) == (verdict, settled)


ROWS = chain_rows.events(9)
HEAD = {"a": (5, str(ROWS[4]["content_sha256"]))}


def changed(number: int, **values: str | None) -> list[chain_rows.Row]:
    """Return the rows after the head, one of them changed."""
    return [{**row, **values} if row["chain_seq"] == str(number) else row for row in ROWS[5:]]


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("more", [[], chain_rows.events(3, zone="new")])
def test_rows_that_continue_the_restored_head_pass(more: list[chain_rows.Row]) -> None:
    judged = settling.continued(chain_rows.examine([*ROWS[5:], *more]), HEAD, True)
    assert judged.check.verdict == PASS and f"{4 + len(more)} new events" in judged.check.message


def test_chain_without_a_new_event_is_unproven() -> None:
    judged = settling.continued(chain_rows.examine([]), HEAD, True)
    assert (judged.check.verdict, judged.settled) == (UNPROVEN, False)


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (changed(7, decision="deny"), "edited"),
        (changed(7, prev_content_sha256="0" * 64), "signed with another key"),
        (changed(7, chain_seq="17"), "broken link"),
        (ROWS[6:], "broken link"),
        (ROWS[5:6] + ROWS[7:], "broken link"),
        ([*ROWS[5:], ROWS[6]], "twice"),
        (chain_rows.events(9, keys=(chain_rows.OTHER_KEY,))[5:], "another key"),
        (chain_rows.events(3, zone="new", first=2), "broken link"),
    ],
)
def test_rows_that_do_not_continue_the_restored_head_fail(rows: list[chain_rows.Row], words: str) -> None:
    heads = HEAD if rows[0]["zone_id"] == "a" else {}
    judged = settling.continued(chain_rows.examine(rows), heads, True)
    assert judged.check.verdict == FAIL and words in judged.check.message, judged.check.message


@pytest.mark.mutation
def test_changed_head_fails() -> None:
    other = settling.continued(chain_rows.examine(ROWS[5:]), {"a": (5, "0" * 64)}, True)
    assert other.check.verdict == FAIL and "not linked to the head" in other.check.message
