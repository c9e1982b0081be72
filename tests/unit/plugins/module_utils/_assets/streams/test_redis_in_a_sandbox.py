# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Redis in a drill's sandbox: started, and filled from a set."""

from __future__ import annotations

import json
import pathlib

import pytest
import redis

from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.steps import prepare
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import TargetRefused
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import redis_server as server
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import Bundle
from harness import small_programs
from scenes import redis_server
from scenes.redis_server import RedisServer
from unit.plugins.module_utils._assets.streams.conftest import Streams


@pytest.fixture(params=small_programs.KINDS)
def bundle(request: pytest.FixtureRequest, server_install: Install, sandbox_directory: str) -> Bundle:
    return small_programs.make(request.param, sandbox_directory, server_install)


@pytest.mark.no_false_alarm
def test_restores_streams_into_the_redis_of_a_sandbox(bundle: Bundle, streams: Streams, source: RedisServer) -> None:
    streams.backup(source)
    made, _new = server.start(bundle, None)
    login = {"redis_unix_socket": made.unix_socket, "redis_password_file": made.password_file}
    inside = {
        **login,
        "confirm": [prepare.confirmation(bundle)],
        "set_id": streams.set_id,
        "sandbox": bundle.info.directory,
        "signing_key": None,
    }
    result = streams.scene.call("redis_stream_restore", **inside)
    assert result["changed"] and {check["verdict"] for check in result["checks"]} == {"pass"}
    password = pathlib.Path(made.password_file).read_text(encoding="utf-8")
    with redis.Redis(unix_socket_path=made.unix_socket, password=password, protocol=2) as client:
        found = redis_server.state(client)
    assert {name: one["entries"] for name, one in found.items()} == {
        name: one["entries"] for name, one in redis_server.state(source.client).items()
    }
    assert password not in json.dumps(result)
    with pytest.raises(TargetRefused, match="is not inside the sandbox"):
        streams.scene.call("redis_stream_restore", **{**inside, **source.login, "redis_password_file": None})
