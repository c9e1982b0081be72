# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers that refuse or fail: one line each, with the remedy, and no change."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.redis import replaying
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupError,
    KeyProblem,
    OptionError,
    PermissionMissing,
    StorageError,
    TargetRefused,
    Unreachable,
    VersionMismatch,
)
from harness.free_ports import free_port
from harness.waiting import PATIENCE
from scenes import redis_server
from scenes.certificates import certificate
from scenes.redis_server import RedisServer
from scenes.scene import BACKUP_HOST
from unit.plugins.module_utils._assets.streams.conftest import Start, Streams
from unit.plugins.module_utils._assets.streams.cut_proxy import CutProxy

pytestmark = pytest.mark.mutation
SNAPSHOT, RESTORE = "redis_stream_snapshot", "redis_stream_restore"


def password_file(streams: Streams, text: str) -> str:
    path = streams.scene.root / BACKUP_HOST / "redis_password"
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return str(path)


def failed(streams: Streams, kind: type[BackupError], words: str, **given: t.Any) -> None:
    """Assert that a pass that began fails and leaves no file."""
    before = streams.scene.files()
    with pytest.raises(kind, match=words):
        streams.scene.call(SNAPSHOT, **given)
    assert streams.scene.files() == before


def test_refuses_an_unreachable_server(streams: Streams) -> None:
    given: dict[str, t.Any] = {"set_id": streams.set_id, "reading": 1, "redis_port": free_port()}
    streams.scene.refused(SNAPSHOT, Unreachable, "cannot reach", "redis_host", **given)


def test_refuses_a_wrong_and_a_missing_password(streams: Streams, start: Start) -> None:
    source = start(8, "--requirepass", "the right one", password="the right one")
    given = {"set_id": streams.set_id, "reading": 1, **source.login}
    streams.scene.refused(SNAPSHOT, Unreachable, "refuses the login (Authentication required)", "redis_password_file", **given)
    wrong = password_file(streams, "a wrong one")
    streams.scene.refused(SNAPSHOT, Unreachable, "refuses the login", "redis_password_file", redis_password_file=wrong, **given)
    right = password_file(streams, "the right one")
    assert streams.read(source, 1, redis_password_file=right)["changed"]
    given["reading"] = 2
    streams.scene.refused(SNAPSHOT, KeyProblem, "cannot be read", redis_password_file=f"{right}.absent", **given)


@pytest.mark.parametrize("lacking", ["scan", "xinfo", "xrange", "xpending", "time", "info"])
def test_error_names_the_missing_right(streams: Streams, source: RedisServer, lacking: str) -> None:
    source.run("ACL", "SETUSER", "backup", "on", ">secret-of-backup", "%R~caracal.*", "+@all", f"-{lacking}")
    given = {"redis_username": "backup", "redis_password_file": password_file(streams, "secret-of-backup"), **source.login}
    message = streams.scene.refused(SNAPSHOT, PermissionMissing, f"+{lacking} ", "ACL SETUSER", set_id=streams.set_id, reading=1, **given)
    assert "backup" in message


@pytest.mark.no_false_alarm
def test_a_user_with_the_documented_rights_is_enough(streams: Streams, source: RedisServer) -> None:
    rights = ["+info", "+dbsize", "+scan", "+exists", "+xinfo", "+xrange", "+xpending", "+time", "+dump", "+pttl", "+memory|usage"]
    source.run("SET", "caracal.value", "x")
    source.run("ACL", "SETUSER", "backup", "on", ">secret-of-backup", "%R~caracal.*", "-@all", *rights)
    given = {"redis_username": "backup", "redis_password_file": password_file(streams, "secret-of-backup")}
    assert len(streams.read(source, 1, dump_keys=["caracal.value"], **given)["streams"]) == 8
    assert sum(one["pending"] for one in streams.read(source, 2, **given)["streams"]) > 40


def test_tls_needs_the_right_authority(streams: Streams, start: Start, tmp_path: Path) -> None:
    right, wrong, port = certificate(tmp_path / "right"), certificate(tmp_path / "wrong"), free_port()
    tls = ["--tls-port", str(port), "--tls-cert-file", right[0], "--tls-key-file", right[1], "--tls-auth-clients", "no"]
    source = start(7, *tls, "--tls-ca-cert-file", right[0])
    redis_server.fill(source)
    given = {"set_id": streams.set_id, "reading": 1, "redis_port": port}
    streams.scene.refused(SNAPSHOT, Unreachable, "TLS connection", "redis_ca_cert", redis_tls=True, redis_ca_cert=wrong[0], **given)
    streams.scene.refused(SNAPSHOT, Unreachable, "redis_tls", **given)
    assert len(streams.scene.call(SNAPSHOT, redis_tls=True, redis_ca_cert=right[0], **given)["streams"]) == 8


def test_a_cluster_node_is_refused_by_name(streams: Streams, start: Start) -> None:
    node = start(8, "--cluster-enabled", "yes", "--port", str(free_port()))
    streams.scene.refused(SNAPSHOT, VersionMismatch, "Redis Cluster", set_id=streams.set_id, reading=1, **node.login)


def test_second_pass_needs_the_first_pass(streams: Streams, source: RedisServer) -> None:
    given = {"set_id": streams.set_id, "reading": 2, **source.login}
    streams.scene.refused(SNAPSHOT, OptionError, "reading 1 of the streams", check_mode=False, **given)


def test_a_large_key_is_refused(streams: Streams, source: RedisServer) -> None:
    source.run("SET", "large", b"x" * (2 << 20))
    given = {"set_id": streams.set_id, "reading": 1, "dump_keys": ["large"], **source.login}
    failed(streams, OptionError, "large.*remove it from dump_keys", **given)


def test_a_stream_among_the_keys_is_refused(streams: Streams, source: RedisServer) -> None:
    given = {"set_id": streams.set_id, "reading": 1, "dump_keys": ["caracal.audit.events"], **source.login}
    streams.scene.refused(SNAPSHOT, OptionError, "caracal.audit.events", "remove it", **given)


def test_refuses_a_missing_certificate(streams: Streams, source: RedisServer) -> None:
    given: dict[str, t.Any] = {"set_id": streams.set_id, "reading": 1, "redis_tls": True, "redis_ca_cert": "/absent/ca.pem"}
    streams.scene.refused(SNAPSHOT, KeyProblem, "cannot read redis_ca_cert /absent/ca.pem", **given)


def test_read_with_lost_connection_stores_nothing(streams: Streams, source: RedisServer) -> None:
    proxy = CutProxy(source.socket, to_client=60_000)
    given: dict[str, t.Any] = {"set_id": streams.set_id, "reading": 1, "redis_port": proxy.port}
    failed(streams, Unreachable, "lost during XRANGE", **given)
    assert streams.read(source, 1)["changed"]


def test_a_replica_is_read_and_not_restored_into(streams: Streams, start: Start) -> None:
    port = free_port()
    primary = start(8, "--port", str(port))
    redis_server.fill(primary)
    replica = start(8, "--replicaof", "127.0.0.1", str(port))
    assert primary.client.wait(1, 1000 * int(PATIENCE)) == 1
    streams.backup(replica)
    given = {"set_id": streams.set_id, "confirm": [replica.confirmation], **replica.login}
    streams.scene.refused(RESTORE, TargetRefused, "read-only replica", "primary", **given)
    streams.scene.refused(RESTORE, TargetRefused, "read-only replica", "primary", groups_only=True, **replica.login)


def test_a_target_needs_its_confirmation(streams: Streams, source: RedisServer, start: Start) -> None:
    streams.backup(source)
    target = start()
    given = {"set_id": streams.set_id, **target.login}
    message = streams.scene.refused(RESTORE, TargetRefused, f"set confirm to {target.confirmation}", **given)
    streams.scene.refused(RESTORE, TargetRefused, "set confirm to", confirm=[source.confirmation], **given)
    assert message.endswith(target.confirmation) and target.client.dbsize() == 0
    # The address alone matches every start of that Redis, but no other Redis.
    address = target.confirmation.partition("@")[0]
    streams.scene.refused(RESTORE, TargetRefused, "set confirm to", confirm=[source.confirmation.partition("@")[0], address[:-1]], **given)
    streams.scene.call(RESTORE, check_mode=True, confirm=[address], **given)


def test_refuses_a_non_empty_target(streams: Streams, source: RedisServer) -> None:
    streams.backup(source)
    before = redis_server.state(source.client)
    given = {"set_id": streams.set_id, "confirm": [source.confirmation], **source.login}
    streams.scene.refused(RESTORE, TargetRefused, "8 keys", "FLUSHDB", **given)
    given["confirm"] = []
    streams.scene.refused(RESTORE, TargetRefused, "8 keys", "FLUSHDB", source.confirmation, **given)
    assert redis_server.state(source.client) == before


def provision(target: RedisServer) -> None:
    """Create groups like the product when Redis first starts."""
    for name in ("caracal.audit.events", "caracal.never.in.the.set"):
        target.client.xgroup_create(name, "audit-ingestor", id="$", mkstream=True)
    target.run("XADD", "caracal.providers.ratelimit", "MAXLEN", "~", "1", "*", "init", "1")


@pytest.mark.no_false_alarm
def test_groups_of_unused_streams_count_as_empty(streams: Streams, source: RedisServer, start: Start) -> None:
    streams.backup(source)
    target, fresh = start(), start()
    provision(target)
    streams.scene.call(RESTORE, check_mode=True, set_id=streams.set_id, confirm=[target.confirmation], **target.login)
    assert target.client.dbsize() == 3
    streams.restore(target)
    streams.restore(fresh)
    assert redis_server.state(target.client) == redis_server.state(fresh.client)


@pytest.mark.parametrize("what", ["an entry", "an entry that is gone", "another key", "a position", "a second seed", "an odd name"])
def test_refuses_a_target_with_used_streams_or_other_keys(streams: Streams, source: RedisServer, start: Start, what: str) -> None:
    streams.backup(source)
    target = start()
    provision(target)
    if what == "another key":
        target.run("SET", "revoked", "1")
    elif what == "an odd name":
        target.client.xgroup_create(b"\xff", "group", id="$", mkstream=True)
    elif what == "a second seed":
        target.run("XADD", "caracal.providers.ratelimit", "*", "init", "1")
    elif what == "a position":
        target.run("XSETID", "caracal.audit.events", "5-0")
    else:
        target.run("XADD", "caracal.audit.events", "1-1", "n", "x")
    if what == "an entry that is gone":
        target.run("XTRIM", "caracal.audit.events", "MAXLEN", "0")
    before = redis_server.state(target.client)
    given = {"set_id": streams.set_id, "confirm": [target.confirmation], **target.login}
    streams.scene.refused(RESTORE, TargetRefused, "keys", "FLUSHDB", check_mode=False, **given)
    assert redis_server.state(target.client) == before


def test_entry_added_during_a_restore_is_not_removed(
    streams: Streams, source: RedisServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams.backup(source)
    target = start()
    provision(target)
    looks, calls = replaying.Replay.provisioned, [0]

    def late(self: replaying.Replay) -> list[bytes]:
        """Make a service write after the last check before the keys are removed."""
        found, calls[0] = looks(self), calls[0] + 1
        if calls[0] == 3:
            target.run("XADD", "caracal.audit.events", "1-1", "n", "x")
        return found

    monkeypatch.setattr(replaying.Replay, "provisioned", late)
    given = {"set_id": streams.set_id, "confirm": [target.confirmation], **target.login}
    streams.scene.refused(RESTORE, TargetRefused, "FLUSHDB", check_mode=False, **given)
    assert calls == [3] and target.client.xlen("caracal.audit.events") == 1 and not target.client.exists("caracal_ops:restoring")


def test_a_target_without_memory_is_left_empty(streams: Streams, source: RedisServer, start: Start) -> None:
    with source.client.pipeline() as pipe:
        for number in range(4000):
            pipe.xadd("caracal.audit.events", {"n": b"x" * 1000}, id=f"1795564700000-{number}")
        pipe.execute()
    streams.backup(source)
    target = start(8, "--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
    given = {"set_id": streams.set_id, "confirm": [target.confirmation], **target.login}
    streams.scene.refused(RESTORE, StorageError, "out of memory", "maxmemory", check_mode=False, **given)
    assert target.client.dbsize() == 0


def test_restore_after_a_lost_connection_starts_again(streams: Streams, source: RedisServer, start: Start) -> None:
    streams.backup(source)
    target, other = start(), start()
    proxy = CutProxy(target.socket, to_server=100_000)
    confirm = f"127.0.0.1:{proxy.port}/0@{target.client.info('server')['run_id']}"
    given = {"set_id": streams.set_id, "redis_port": proxy.port, "confirm": [confirm]}
    streams.scene.refused(RESTORE, Unreachable, "was lost", "run the same restore again", check_mode=False, **given)
    assert target.run("GET", "caracal_ops:restoring") == streams.set_id.encode()
    assert target.client.dbsize() > 1
    target.run("SET", "foreign", "x")
    given = {"set_id": streams.set_id, "confirm": [target.confirmation], **target.login}
    streams.scene.refused(RESTORE, TargetRefused, "1 keys that this restore", check_mode=False, **given)
    assert target.run("GET", "foreign") == b"x"
    target.run("DEL", "foreign")
    streams.restore(target)
    streams.restore(other)
    assert redis_server.state(target.client) == redis_server.state(other.client)
    assert target.client.dbsize() == 8


def test_refuses_an_unfinished_restore_of_another_set(streams: Streams, source: RedisServer, start: Start) -> None:
    streams.backup(source)
    target = start()
    target.run("SET", "caracal_ops:restoring", "20200101T000000Z-abcd")
    given = {"set_id": streams.set_id, "confirm": [target.confirmation], **target.login}
    streams.scene.refused(RESTORE, TargetRefused, "20200101T000000Z-abcd", "FLUSHDB", **given)
