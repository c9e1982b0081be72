# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backlog that shrinks is distinguished from one that does not change."""

from __future__ import annotations

import types

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import outbox, streams
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.settling import Group
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import groups


@pytest.mark.parametrize(
    ("lags", "shrinks"),
    [
        ([1000, 990, 980], True),
        # The drill's own entries are added, and are consumed.
        ([0, 40, 30], True),
        ([1000, 1000, 1000], False),
        # It worked, and then stopped.
        ([1000, 990, 990, 990, 990], False),
        ([1000, 500, 0], False),
    ],
)
def test_backlog_shrinks_only_if_its_remaining_lag_recently_decreased(
    monkeypatch: pytest.MonkeyPatch, lags: list[int], shrinks: bool
) -> None:
    clock = [0.0]
    monkeypatch.setattr(groups, "time", types.SimpleNamespace(monotonic=lambda: clock[0]))
    watch, found = groups.Watch(), None
    for lag in lags:
        clock[0] += 10.0
        found = watch.ingest([Group(outbox.AUDIT_EVENTS, streams.AUDIT_GROUP, lag, 0, 5)])
    assert found is not None and found.shrinks is shrinks


def test_unknown_lag_is_not_a_backlog() -> None:
    assert groups.Watch().ingest([Group(outbox.AUDIT_EVENTS, streams.AUDIT_GROUP, None, 0, 5)]) is None
