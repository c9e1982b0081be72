# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Groups in an empty Redis, before services start."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.redis import connection
from scenes.redis_server import RedisServer
from unit.plugins.module_utils._assets.streams.conftest import Start, Streams

RESTORE = "redis_stream_restore"
GROUPS = {
    "caracal.agents.lifecycle coordinator-relay",
    "caracal.audit.events audit-ingestor",
    "caracal.audit.events siem-export",
    "caracal.audit.events.dlq audit-dlq-observer",
    "caracal.delegations.invalidate delegations-observer",
    "caracal.invocations.lifecycle invocations-observer",
    "caracal.keys.invalidate sts-keys",
    "caracal.policy.invalidate opa-engine",
    "caracal.sessions.revoke sts-revocation",
}


def groups(server: RedisServer) -> dict[str, str]:
    return {
        f"{name.decode()} {one['name'].decode()}": one["last-delivered-id"].decode()
        for name in server.client.scan_iter(_type="stream")
        for one in server.client.xinfo_groups(name)
    }


def test_an_empty_redis_gets_every_group_at_0_once(streams: Streams, start: Start) -> None:
    server = start()
    only = {"groups_only": True, **server.login}
    predicted = streams.scene.call(RESTORE, check_mode=True, **only)
    assert predicted["changed"] and not groups(server)
    made = streams.scene.call(RESTORE, **only)
    assert groups(server) == dict.fromkeys(GROUPS, "0-0")
    assert made["groups"] == predicted["groups"] and len(made["groups"]) == 9
    assert len(made["without_redis"]) == 5 and "15 minutes" in made["without_redis"][0]
    again = streams.scene.call(RESTORE, **only)
    assert not again["changed"] and again["groups"] == [] and again["diff"]["before"] == again["diff"]["after"] == made["diff"]["after"]


@pytest.mark.no_false_alarm
def test_existing_groups_are_unchanged(streams: Streams, source: RedisServer) -> None:
    before = groups(source)
    result = streams.scene.call(RESTORE, groups_only=True, **source.login)
    after = groups(source)
    assert {name: after[name] for name in before} == before
    assert after.keys() == GROUPS | before.keys()
    assert result["without_redis"] == [] and 0 < len(result["groups"]) < 9


def test_events_from_before_the_group_are_delivered(streams: Streams, start: Start) -> None:
    """Replay files added the events before the group was created."""
    server = start()
    server.run("XADD", "caracal.audit.events", "1-1", "id", "replayed")
    streams.scene.call(RESTORE, groups_only=True, **server.login)
    delivered = server.client.xreadgroup("audit-ingestor", "c", {"caracal.audit.events": ">"})
    assert delivered == [[b"caracal.audit.events", [(b"1-1", {b"id": b"replayed"})]]]


@pytest.mark.mutation
def test_reports_a_group_removed_right_after_creation(streams: Streams, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start()
    call = connection.Session.call

    def and_removed(session: connection.Session, *command: t.Any) -> t.Any:
        reply = call(session, *command)
        if command[0] == "XGROUP" and command[3] == "siem-export":
            server.run("XGROUP", "DESTROY", command[2], command[3])
        return reply

    monkeypatch.setattr(connection.Session, "call", and_removed)
    (check,) = streams.scene.call(RESTORE, groups_only=True, **server.login)["checks"]
    assert check["verdict"] == "fail" and "siem-export of caracal.audit.events" in check["message"]
