# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Missing groups, and keys of another type in place of a stream, in a source and in its copy."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.streams import redis_provisioned
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import streams as product
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.redis.connection import Address, Session
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import TargetRefused
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import PASS, WARN, Check
from scenes.redis_server import RedisServer
from unit.plugins.module_utils._assets.streams.conftest import Start, Streams, provisioned

READ = [(known.name, group) for known in product.STREAMS for group in known.consumed]
# Types of keys, each with a command that creates one.
TYPES: dict[str, tuple[t.Any, ...]] = {
    "string": ("SET", "{}", "v"),
    "list": ("RPUSH", "{}", "v"),
    "hash": ("HSET", "{}", "f", "v"),
    "set": ("SADD", "{}", "v"),
    "zset": ("ZADD", "{}", 1, "v"),
}


def judge(server: RedisServer) -> dict[str, Check]:
    address = Address("", 0, server.socket, None, None, 0, tls=False, ca_cert=None, client_cert=None, client_key=None)
    with Session(address, "test") as session:
        return {check.id: check for check in redis_provisioned.judge(session)}


def put(server: RedisServer, name: str, kind: str) -> None:
    server.client.delete(name)
    server.run(*(name if part == "{}" else part for part in TYPES[kind]))


def of(checks: t.Iterable[dict[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
    return {one["id"]: one for one in checks}


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("major", [7, 8])
def test_a_new_deployment_without_an_event_lacks_nothing(start: Start, major: int) -> None:
    found = judge(provisioned(start(major)))
    assert {name: check.verdict for name, check in found.items()} == {redis_provisioned.GROUPS: PASS, redis_provisioned.KIND: PASS}


@pytest.mark.no_false_alarm
def test_a_group_that_no_service_reads_may_be_missing(start: Start) -> None:
    server = provisioned(start())
    for known in product.STREAMS:
        for group in set(known.groups) - set(known.consumed):
            server.client.xgroup_destroy(known.name, group)
    assert judge(server)[redis_provisioned.GROUPS].verdict == PASS


@pytest.mark.mutation
@pytest.mark.parametrize(("stream", "group"), READ)
@pytest.mark.parametrize("gone", ["group", "stream"])
def test_reports_a_missing_group_with_its_service(start: Start, stream: str, group: str, gone: str) -> None:
    server = provisioned(start())
    if gone == "stream":
        server.client.delete(stream)
    else:
        server.client.xgroup_destroy(stream, group)
    check = judge(server)[redis_provisioned.GROUPS]
    assert check.verdict == WARN
    assert check.details["missing"] == [{"stream": stream, "group": group, "service": product.READERS[group]}]
    assert product.READERS[group] in check.message


@pytest.mark.mutation
def test_after_a_flush_every_group_is_missing(start: Start) -> None:
    server = provisioned(start())
    server.client.flushall()
    missing = judge(server)[redis_provisioned.GROUPS].details["missing"]
    assert [(one["stream"], one["group"]) for one in missing] == READ


@pytest.mark.mutation
@pytest.mark.parametrize("kind", TYPES)
def test_a_key_of_another_type_is_named(start: Start, kind: str) -> None:
    server = provisioned(start())
    for name in product.NAMES:
        server.client.delete(name)
        put(server, name, kind)
        check = judge(server)[redis_provisioned.KIND]
        assert (check.verdict, check.details["types"][name]) == (WARN, kind)
    assert set(check.details["types"]) == set(product.NAMES)


@pytest.mark.mutation
def test_finds_a_key_of_another_type_without_the_type_right(start: Start) -> None:
    server = provisioned(start())
    put(server, "caracal.audit.events", "string")
    server.run("ACL", "SETUSER", "default", "-type")
    check = judge(server)[redis_provisioned.KIND]
    assert check.verdict == WARN and set(check.details["types"]) == {"caracal.audit.events"}


@pytest.mark.mutation
def test_backup_and_restore_report_missing_groups_and_types(streams: Streams, start: Start) -> None:
    source, target = provisioned(start()), start()
    put(source, "caracal.agents.lifecycle", "string")  # the first known stream, which the preflight queries by name
    source.client.xgroup_destroy("caracal.sessions.revoke", "sts-revocation")
    streams.read(source, 1)
    read = of(streams.read(source, 2)["checks"])
    assert {read[name]["verdict"] for name in (redis_provisioned.GROUPS, redis_provisioned.KIND)} == {WARN}
    assert [one["service"] for one in read[redis_provisioned.GROUPS]["details"]["missing"]] == ["sts"]
    streams.commit()
    restored = of(streams.restore(target)["checks"])
    assert restored[redis_provisioned.KIND]["verdict"] == PASS
    missing = restored[redis_provisioned.GROUPS]["details"]["missing"]
    assert [one["group"] for one in missing] == ["coordinator-relay", "sts-revocation"]


@pytest.mark.mutation
def test_reads_a_redis_with_only_a_non_stream_key(streams: Streams, start: Start) -> None:
    source = start()
    put(source, "caracal.agents.lifecycle", "list")
    streams.read(source, 1)
    assert of(streams.read(source, 2)["checks"])[redis_provisioned.KIND]["details"]["types"] == {"caracal.agents.lifecycle": "list"}


@pytest.mark.mutation
def test_creates_no_group_if_a_key_has_another_type(streams: Streams, start: Start) -> None:
    target = start()
    put(target, "caracal.policy.invalidate", "hash")
    with pytest.raises(TargetRefused) as refused:
        streams.scene.call("redis_stream_restore", groups_only=True, **target.login)
    assert "caracal.policy.invalidate" in str(refused.value)
    assert target.client.dbsize() == 1


def test_each_group_that_a_service_reads_has_a_service() -> None:
    assert set(product.READERS) == {group for known in product.STREAMS for group in known.consumed}
