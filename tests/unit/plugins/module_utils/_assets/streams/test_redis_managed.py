# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Users with the rights that the guide for managed servers grants: they are sufficient, and all are needed."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import PermissionMissing, StageFailed
from scenes import guide_pages, redis_server
from scenes.redis_server import RedisServer
from scenes.scene import BACKUP_HOST
from unit.plugins.module_utils._assets.streams.conftest import Start, Streams

PASSWORD = "login-at-the-provider"
BACKUP, RESTORE = guide_pages.blocks("guide_managed_databases", "text")
(ELSEWHERE,) = [one for one in guide_pages.indented("guide_redis_streams") if one.startswith("ACL SETUSER")]
# Needed only if a service writes between two checks, which a test cannot wait for.
IN_A_RACE = "+unwatch"


def login(streams: Streams, server: RedisServer, line: str, without: str = "") -> dict[str, t.Any]:
    """Create the user and return the options to log in as it."""
    words = [word for word in line.replace("PASSWORD", PASSWORD).split() if word != without]
    server.run(*words)
    path = streams.scene.root / BACKUP_HOST / "redis_password"
    path.write_text(f"{PASSWORD}\n")
    return {"redis_username": words[2], "redis_password_file": str(path)}


def provisioned(start: Start) -> RedisServer:
    """Return a Redis as the product leaves it after its first start."""
    target = start(7)
    target.client.xgroup_create("caracal.audit.events", "audit-ingestor", id="$", mkstream=True)
    target.run("XADD", "caracal.providers.ratelimit", "MAXLEN", "~", "1", "*", "init", "1")
    return target


@pytest.fixture
def whole(source: RedisServer) -> RedisServer:
    """Return a source without a pending entry that was deleted, which no command can create again."""
    source.run("XACK", "caracal.audit.events", "audit-ingestor", "1795564600000-96")
    return source


def rights(line: str) -> list[str]:
    return [word for word in line.split() if word.startswith("+")]


def test_both_guides_grant_the_same() -> None:
    assert ELSEWHERE.split() == BACKUP.split()


@pytest.mark.no_false_alarm
def test_the_rights_are_enough(streams: Streams, whole: RedisServer, start: Start) -> None:
    streams.backup(whole, **login(streams, whole, BACKUP))
    for target in (provisioned(start), start(8)):
        streams.restore(target, **login(streams, target, RESTORE))
        assert redis_server.state(target.client) == redis_server.state(whole.client)


@pytest.mark.mutation
def test_a_restore_needs_each_of_its_rights(streams: Streams, source: RedisServer, start: Start) -> None:
    streams.backup(source)
    unneeded = []
    for right in rights(RESTORE):
        target = provisioned(start)
        try:
            streams.restore(target, **login(streams, target, RESTORE, right))
        except (PermissionMissing, StageFailed):  # Redis reports a missing right for EXEC as a failure of the transaction
            continue
        unneeded.append(right)
    assert unneeded == [IN_A_RACE]


@pytest.mark.mutation
def test_a_backup_needs_each_of_its_rights(streams: Streams, source: RedisServer) -> None:
    unneeded = []
    for right in rights(BACKUP):
        source.run("ACL", "DELUSER", "backup")
        try:
            streams.scene.call(
                "redis_stream_snapshot",
                check_mode=True,
                set_id=streams.set_id,
                reading=1,
                **source.login,
                **login(streams, source, BACKUP, right),
            )
        except PermissionMissing:
            continue
        unneeded.append(right)
    assert unneeded == []
