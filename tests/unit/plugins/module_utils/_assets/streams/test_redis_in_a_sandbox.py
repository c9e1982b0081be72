# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Redis in a sandbox as a user of the modules has it: started, filled from a set, ended."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest
import redis

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import TargetRefused
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import programs
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import Bundle
from ansible_collections.caracal_ops.backup.plugins.modules import redis_sandbox
from harness import small_programs
from scenes import redis_server
from scenes.module_args import patch_module_args
from scenes.redis_server import RedisServer
from unit.plugins.module_utils._assets.streams.conftest import Streams

Run = t.Callable[..., dict[str, t.Any]]


@pytest.fixture(params=small_programs.KINDS)
def bundle(request: pytest.FixtureRequest, server_install: Install, sandbox_directory: str) -> Bundle:
    return small_programs.make(request.param, sandbox_directory, server_install)


@pytest.fixture
def run(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the module in this process: options in, its JSON out."""

    def call(**options: t.Any) -> dict[str, t.Any]:
        with patch_module_args({"sandbox": bundle.info.directory, **options}), pytest.raises(SystemExit) as ended:
            redis_sandbox.main()
        result: dict[str, t.Any] = json.loads(capsys.readouterr().out)
        assert bool(ended.value.code) == bool(result.get("failed"))
        return result

    return call


@pytest.mark.no_false_alarm
def test_present_and_absent_with_check_mode_between(run: Run, bundle: Bundle) -> None:
    expected = run(_ansible_check_mode=True)
    assert expected["changed"] and not programs.alive(bundle, "redis") and not os.path.exists(expected["redis"]["password_file"])
    made = run()
    assert made["changed"]
    differing = {name for name, value in made["redis"].items() if expected["redis"][name] != value}
    assert differing == ({"confirmation"} if bundle.isolated else {"confirmation", "port"})
    for check_mode in (True, False):
        same = run(_ansible_check_mode=check_mode)
        assert not same["changed"] and same["redis"] == made["redis"]
    assert run(state="absent", _ansible_check_mode=True)["changed"] and programs.alive(bundle, "redis")
    assert run(state="absent")["changed"] and not programs.alive(bundle, "redis")
    for check_mode in (True, False):
        assert not run(state="absent", _ansible_check_mode=check_mode)["changed"]
    assert run()["changed"], "it can be started again"


@pytest.mark.parametrize("check_mode", [True, False])
def test_errors_are_one_line(run: Run, bundle: Bundle, tmp_path: pathlib.Path, check_mode: bool) -> None:
    for options, kind, words in (
        ({"redis_server": str(tmp_path / "none")}, "MissingDependency", "none is no program"),
        ({"sandbox": str(tmp_path / "box")}, "ObjectMissing", "holds no sandbox; make one with postgres_sandbox"),
    ):
        result = run(**options, _ansible_check_mode=check_mode)
        assert result["failed"] and result["error"] == kind and words in result["msg"] and "\n" not in result["msg"]
    assert not programs.alive(bundle, "redis")


@pytest.mark.no_false_alarm
def test_streams_of_a_set_come_back_in_it(run: Run, bundle: Bundle, streams: Streams, source: RedisServer) -> None:
    streams.backup(source)
    made = run()["redis"]
    login = {"redis_unix_socket": made["unix_socket"], "redis_password_file": made["password_file"]}
    inside = {**login, "confirm": [made["confirmation"]], "set_id": streams.set_id, "sandbox": bundle.info.directory, "signing_key": None}
    result = streams.scene.call("redis_stream_restore", **inside)
    assert result["changed"] and {check["verdict"] for check in result["checks"]} == {"pass"}
    password = pathlib.Path(made["password_file"]).read_text(encoding="utf-8")
    with redis.Redis(unix_socket_path=made["unix_socket"], password=password, protocol=2) as client:
        found = redis_server.state(client)
    assert {name: one["entries"] for name, one in found.items()} == {
        name: one["entries"] for name, one in redis_server.state(source.client).items()
    }
    assert password not in json.dumps(result)
    with pytest.raises(TargetRefused, match="does not lie in the sandbox"):
        streams.scene.call("redis_stream_restore", **{**inside, **source.login, "redis_password_file": None})
