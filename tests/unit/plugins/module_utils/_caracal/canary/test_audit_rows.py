# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""rows that were written as the next ones of the chain, and every way in which they were not."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.backlog import Backlog
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary import audit_rows
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.audit_rows import Head, Row
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import chain_keys
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, UNPROVEN, Check

MAC = chain_keys.AuditKey(b"k" * 32).hmac()
HEAD = Head("z-1", 41, "content 41")


def row(seq: int, request: str, event: str = "token_exchange", decision: str = "allow") -> Row:
    content, previous = f"content {seq}", f"content {seq - 1}" if seq > 1 else ""
    return Row(seq, request, event, decision, "complete", content, previous, MAC(content.encode(), previous.encode()))


ROWS = [row(42, "r-other"), row(43, "r-1"), row(44, "r-2", "token_exchange"), row(45, "r-2", "gateway_resource_request")]
WANTED = {"r-1": "token_exchange", "r-2": "gateway_resource_request"}


def judge(
    rows: t.Sequence[Row] | None = None, head: Head = HEAD, wanted: t.Mapping[str, str] | None = None, ingest: Backlog | None = None
) -> Check:
    found, asked = ROWS if rows is None else rows, WANTED if wanted is None else wanted
    return audit_rows.judge([(head, found, asked)], MAC, 60.0, ingest)


@pytest.mark.no_false_alarm
def test_rows_that_continue_the_chain_pass() -> None:
    found = judge()
    assert found.verdict == PASS and "the chain of 1 restored zone(s) was continued" in found.message
    assert [one["chain_seq"] for one in found.details["rows"]] == [43, 44, 45]
    assert found.details["rows"][0] == {
        "request_id": "r-1",
        "chain_seq": 43,
        "event_type": "token_exchange",
        "decision": "allow",
        "evaluation_status": "complete",
        "head_before": 41,
    }


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (ROWS[:1], "not_landed"),
        # The row of its exchange exists, the Gateway's own event does not.
        (ROWS[:3], "not_landed"),
        (ROWS[1:], "sequence"),
        ([*ROWS[:1], dataclasses.replace(ROWS[1], previous="content 40"), *ROWS[2:]], "link"),
        ([dataclasses.replace(ROWS[0], previous="", mac=MAC(b"content 42", b"")), *ROWS[1:]], "link"),
        ([*ROWS[:3], dataclasses.replace(ROWS[3], mac="00")], "audit_key"),
    ],
)
def test_missing_and_unlinked_rows_fail(rows: list[Row], reason: str) -> None:
    found = judge(rows)
    assert found.verdict == FAIL and found.details["reason"] == reason and found.message.startswith("zone z-1: ")


def test_row_behind_a_shrinking_backlog_is_unproven() -> None:
    found = judge(ROWS[:1], ingest=Backlog(169_000, 166_600, 60.0, 0.5))
    assert found.verdict == UNPROVEN and found.details["reason"] == "backlog" and "166600 of 169000" in found.message


@pytest.mark.mutation
@pytest.mark.parametrize("ingest", [Backlog(9, 9, 60.0, 60.0), Backlog(9, 0, 60.0, 1.0), Backlog(9, 5, 60.0, 40.0), None])
def test_missing_row_without_an_active_backlog_fails(ingest: Backlog | None) -> None:
    assert judge(ROWS[:1], ingest=ingest).details["reason"] == "not_landed"


@pytest.mark.mutation
def test_a_backlog_excuses_no_broken_link() -> None:
    broken = [dataclasses.replace(ROWS[0], previous="content 40")]
    assert judge(broken, ingest=Backlog(9, 5, 60.0, 0.5)).details["reason"] == "link"


def test_restored_chain_is_unproven_if_only_new_chain_has_rows() -> None:
    assert judge([row(1, "r-1")], Head("z-new", 0, ""), {"r-1": "token_exchange"}).verdict == UNPROVEN
    assert audit_rows.judge([], MAC, 60.0).verdict == UNPROVEN
    assert judge(wanted={}).verdict == UNPROVEN


def test_returns_the_reasons_of_a_refused_request() -> None:
    denied = [
        row(42, "r-1", decision="deny"),
        dataclasses.replace(row(43, "r-1", decision="deny"), status="exchange_denied"),
        row(44, "r-2"),
    ]
    assert audit_rows.reasons(denied, "r-1") == ["complete", "exchange_denied"]
    assert audit_rows.reasons(denied, "r-2") == []
