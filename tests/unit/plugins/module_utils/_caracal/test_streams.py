# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import streams


@pytest.mark.parametrize(
    ("stream", "group", "right"),
    [
        ("caracal.audit.events", "audit-ingestor", True),
        ("caracal.audit.events", "siem-export", False),
        ("caracal.sessions.revoke", "gateway-revocation", True),
        ("caracal.sessions.revoke", "gateway-revocation:host-1", True),
        ("caracal.policy.invalidate", "audit-ingestor", False),
        ("unknown", "opa-engine", False),
    ],
)
def test_lag_counts_only_for_groups_that_a_service_reads(stream: str, group: str, right: bool) -> None:
    assert streams.is_consumed(stream, group) is right


def test_dead_letters_are_known_by_their_names() -> None:
    assert [one for one in ("a.dead", "a.dlq", "a.deadline", "dlq.a") if streams.is_dead_letters(one)] == ["a.dead", "a.dlq"]


def test_each_stream_is_known_once_and_consumed_groups_are_groups() -> None:
    names = [one.name for one in streams.STREAMS]
    assert len(set(names)) == len(names) == 8
    assert all(set(one.consumed) <= set(one.groups) for one in streams.STREAMS)
