# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The quickstart's source runs at the paths that the playbook names, and disappears when it is stopped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle, redis_server
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import Bundle
from tools import quickstart_source


@pytest.mark.no_false_alarm
def test_a_source_runs_until_it_is_stopped(sandbox_directory: str) -> None:
    for _again in range(2):
        assert quickstart_source.main(["start", sandbox_directory]) == 0
        info = lifecycle.attach(sandbox_directory)
        assert (info.socket_dir, info.port, info.superuser) == (f"{sandbox_directory}/socket", 5432, "caracal")
        assert info.data_directory == f"{sandbox_directory}/data"
        redis = redis_server.attach(Bundle(info))
        assert redis.unix_socket == f"{sandbox_directory}/programs/redis/redis.sock"
        assert redis.password_file == f"{sandbox_directory}/programs/redis.password"
    assert quickstart_source.main(["stop", sandbox_directory, f"{sandbox_directory}-none"]) == 0
    assert not os.path.exists(sandbox_directory)


@pytest.mark.mutation
@pytest.mark.parametrize("action", ["start", "stop"])
def test_a_directory_of_others_is_left_alone(tmp_path: Path, action: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("theirs", encoding="ascii")
    assert quickstart_source.main([action, str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path) in line and (tmp_path / "file").read_text(encoding="ascii") == "theirs"
