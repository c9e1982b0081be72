# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""C3: the audit rows of the canary's own requests must be the next rows of the restored chain."""

from __future__ import annotations

import dataclasses
import typing as t

from ..._reasons import BROKEN_LINK, BROKEN_SEQUENCE, EVENTS_WAIT, NOT_LANDED, OTHER_AUDIT_KEY, Reason, because
from ..._report.check import FAIL, PASS, UNPROVEN, Check
from ..backlog import Backlog

CHECK_ID = "canary.audit_row"
TOKEN_EXCHANGE, GATEWAY_REQUEST = "token_exchange", "gateway_resource_request"


@dataclasses.dataclass(frozen=True)
class Head:
    """The last row of a zone's chain before the canary: its number and content hash. They are 0 and `""` if the chain is empty."""

    zone: str
    seq: int
    content: str


@dataclasses.dataclass(frozen=True)
class Row:
    """A row after the head. Rows are ordered by number."""

    seq: int
    request_id: str
    event_type: str
    decision: str
    status: str
    content: str
    previous: str
    mac: str


Mac = t.Callable[[bytes, bytes], str]
Wanted = t.Mapping[str, str]  # request ID → required event type


def landed(rows: t.Sequence[Row], wanted: Wanted) -> bool:
    """Return whether every request has its row."""
    return not missing(rows, wanted)


def missing(rows: t.Sequence[Row], wanted: Wanted) -> list[str]:
    found = {(row.request_id, row.event_type) for row in rows}
    return [request for request, event in wanted.items() if (request, event) not in found]


def reasons(rows: t.Sequence[Row], request: str) -> list[str]:
    """Return the evaluation statuses in the audit rows of a refused request."""
    return sorted({row.status for row in rows if row.request_id == request and row.decision == "deny" and row.status})


def judge(
    chains: t.Sequence[tuple[Head, t.Sequence[Row], Wanted]], mac: Mac | None, seconds: float, ingest: Backlog | None = None
) -> Check:
    """Check the audit rows of each zone that received requests.

    `chains` has, for each zone, the head before the canary, the new rows and the required rows. `mac` uses the restored
    audit key. `ingest` is the backlog of the audit service in front of these rows, if known.
    """
    chains = [one for one in chains if one[2]]
    details: dict[str, t.Any] = {
        "rows": [_reported(head, row, wanted) for head, rows, wanted in chains for row in rows if row.request_id in wanted]
    }
    if not chains:
        return Check(CHECK_ID, UNPROVEN, "the canary made no request that writes an audit row", details=details)
    for head, rows, wanted in chains:
        words = _fault(head, rows, mac) or _absent(rows, wanted, seconds)
        if words and words[0] == NOT_LANDED and ingest and ingest.shrinks:
            why = (
                "the canary's audit rows wait behind the backlog of the backup: "
                f"{ingest}; drill a set created after the audit service caught up"
            )
            return Check(CHECK_ID, UNPROVEN, why, details={**details, "service": "audit", **because(EVENTS_WAIT)})
        if words:
            return Check(CHECK_ID, FAIL, f"zone {head.zone}: {words[1]}", details={**details, "service": "audit", **because(words[0])})
    went_on = [head for head, _rows, _wanted in chains if head.seq]
    which = (
        f"the chain of {len(went_on)} restored zone(s) was continued"
        if went_on
        else "only new zones received requests, so no restored chain was continued"
    )
    verdict = PASS if went_on else UNPROVEN
    return Check(CHECK_ID, verdict, f"{len(details['rows'])} audit rows of the canary's own requests found; {which}", details=details)


def _reported(head: Head, row: Row, wanted: Wanted) -> dict[str, object]:
    event = {"request_id": row.request_id, "chain_seq": row.seq, "event_type": row.event_type, "decision": row.decision}
    return {**event, "evaluation_status": row.status, "head_before": head.seq}


def _absent(rows: t.Sequence[Row], wanted: Wanted, seconds: float) -> tuple[Reason, str] | None:
    absent = missing(rows, wanted)
    if not absent:
        return None
    words = (
        f"no audit row of request {absent[0]} ({wanted[absent[0]]}) within {seconds:g} s; check the audit service, the group "
        "audit-ingestor of stream caracal.audit.events, and hmac_verify_failed in its dead letters"
    )
    return NOT_LANDED, words


def _fault(head: Head, rows: t.Sequence[Row], mac: Mac | None) -> tuple[Reason, str] | None:
    previous = head
    for row in rows:
        if row.seq != previous.seq + 1:
            return BROKEN_SEQUENCE, f"chain_seq jumps from {previous.seq} to {row.seq}, so the chain of the backup was not continued"
        if row.previous != previous.content:
            return BROKEN_LINK, f"row {row.seq} does not have the content hash of row {previous.seq} as its previous hash"
        if mac and row.mac != mac(row.content.encode(), row.previous.encode()):
            words = f"chain_hmac of row {row.seq} was not computed with the restored auditHmacKey; the audit service uses another key"
            return OTHER_AUDIT_KEY, words
        previous = Head(head.zone, row.seq, row.content)
    return None
