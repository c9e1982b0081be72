# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Odd but healthy histories in which tables seem to contradict each other: no rule of state_verify may fail."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from scenes.invariant_scene import Twins, bad, broken, twin_of_each
from scenes.odd_histories import HISTORIES, OF_FAMILY
from twin.releases.known import RELEASES
from unit.twin.damages import NO_CHECKS

CASES = [(OF_FAMILY[family], name) for name, history in HISTORIES.items() for family in history.families]


@pytest.fixture(scope="module")
def twins(server_install: server_binaries.Install) -> t.Iterator[Twins]:
    with twin_of_each(server_install) as found:
        yield found


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(("release", "name"), CASES, ids=[f"{release}-{name}" for release, name in CASES])
def test_an_odd_history_fails_no_rule(twins: Twins, release: str, name: str) -> None:
    with broken(twins(release)) as database:
        before = bad(database.verify())
        database.run(*HISTORIES[name].of(RELEASES[release].family))
        after = bad(database.verify())
    spoken = {rule: verdict for rule, (verdict, _count) in after.items() if after[rule] != before.get(rule)}
    assert spoken == dict.fromkeys(HISTORIES[name].also, "warn")


@pytest.mark.mutation
def test_lost_activation_without_a_deletion_event_fails(twins: Twins) -> None:
    """The event of the deletion is the only difference."""
    with broken(twins("v1.0.0")) as database:
        database.run("UPDATE policy_set_bindings SET active_version_id = NULL")
        checks = database.verify()
    assert {rule for rule, (verdict, _count) in bad(checks).items() if verdict == "fail"} == {
        "policy_activation.announced", "policy_activation.some_active_set"}  # fmt: skip


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("rule", "column", "value"),
    [
        ("times.expiry", "applications.expires_at", "infinity"),
        ("times.expiry", "delegation_edges.expires_at", "1970-01-01"),
        ("times.expiry", "sessions.heartbeat_deadline_at", "2999-01-01"),
        ("times.waiting", "caracal_outbox.available_at", "infinity"),
        ("times.waiting", "event_outbox.available_at", "2999-01-01"),
        ("times.ended", "authority_records.revoked_at", "-infinity"),
        ("times.ended", "zones.archived_at", "2999-01-01"),
        ("forms.hashes", "workloads.secret_hash", ""),
        ("forms.hashes", "admin_tokens.token_hash", "secret in the clear"),
        ("forms.hashes", "admin_tokens.token_sha256", "\\x00"),
        ("forms.upstreams", "resources.upstream_url", "https://"),
    ],
)
def test_each_column_is_checked(twins: Twins, rule: str, column: str, value: str) -> None:
    table, _dot, name = column.partition(".")
    with broken(twins("v1.0.0")) as database:
        database.run("DROP INDEX admin_tokens_token_sha256_active", NO_CHECKS.format(table), f"UPDATE {table} SET {name} = '{value}'")
        check = database.verify()[rule]
    assert check.verdict == "fail"
    assert all(first.startswith(f"{column} ") for first in check.details["first"])
