# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import readiness

GO = ["postgres_unreachable", "redis_unavailable", "redis_unreachable", "audit_evidence_lost", "audit_replay_unavailable"]
GO += ["stream_consumers_not_ready", "bindings_unavailable", "revocation_snapshot_stale", "sts_unavailable", "sts_unreachable"]
GO += ["consumer_unhealthy", "audit_dlq_threshold", "audit_lag_threshold", "audit_pel_oldest_threshold"]
NODE = ["postgres_unreachable", "redis_unreachable", "outbox_unreachable"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        *(({"ok": False, "ready": False, "reason": one}, one) for one in GO),
        *(({"ok": False, "error": one, "dependency": "postgres"}, one) for one in NODE),
        ({"ok": False, "error": "outbox_dead_messages", "deadCount": 1, "limit": 0}, "outbox_dead_messages"),
        ({"ok": False, "error": "outbox_dead", "dependency": "outbox"}, "outbox_dead"),
        ({"error": "internal_error"}, "internal_error"),
        ({"status": "unavailable"}, "unavailable"),
        ({"status": "draining"}, "draining"),
        ({"ok": False, "draining": True}, "draining"),
        ({"error": "control disabled"}, "control disabled"),
        ({"error": "rate_limited"}, "rate_limited"),
    ],
)
def test_reason_of_a_service_is_named_and_explained(body: dict[str, object], named: str) -> None:
    assert readiness.reason(json.dumps(body).encode()) == named
    words = readiness.explain(named)
    assert words.startswith(named)
    assert (words == f"{named} ({readiness.REASONS[named]})") == (named in readiness.REASONS)


def test_every_documented_reason_has_an_explanation() -> None:
    documented = {*GO, *NODE, "outbox_dead_messages", "outbox_dead", "internal_error", "rate_limited", "unavailable", "draining"}
    assert documented - readiness.REASONS.keys() == set()
    assert all(words and words == words.strip() for words in readiness.REASONS.values())


@pytest.mark.parametrize(
    "body", [b"", b"Bad gateway", b"\xff\xfe", b"[]", b"null", b'"x"', b"{}", b'{"reason": 5}', b"{" * 100_000, b"[" * 100_000]
)
def test_invalid_answer_has_no_reason(body: bytes) -> None:
    assert readiness.reason(body) == ""
    assert readiness.explain("") == "no reason given"


def test_a_reason_is_short() -> None:
    assert readiness.reason(json.dumps({"reason": "x" * 5000}).encode()) == "x" * 80
    assert readiness.reason(b'{"reason": "", "error": "why"}') == "why"
