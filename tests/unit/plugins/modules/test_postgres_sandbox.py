# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.modules import postgres_sandbox
from scenes.module_args import patch_module_args

Run = t.Callable[..., dict[str, t.Any]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the module in this process: options in, its JSON out."""

    def call(**options: t.Any) -> dict[str, t.Any]:
        with patch_module_args(options), pytest.raises(SystemExit) as ended:
            postgres_sandbox.main()
        result = json.loads(capsys.readouterr().out)
        assert bool(ended.value.code) == bool(result.get("failed"))
        return result

    return call


def test_present_and_absent_with_check_mode_between(run: Run, sandbox_directory: str) -> None:
    expected = run(directory=sandbox_directory, _ansible_check_mode=True)
    assert expected["changed"] and not os.path.exists(sandbox_directory)
    made = run(directory=sandbox_directory)
    assert made["changed"] and made["sandbox"]["pid"] > 1
    differing = {name for name, value in made["sandbox"].items() if expected["sandbox"][name] != value}
    assert differing == {"pid", "uid", "system_identifier"}
    for check_mode in (True, False):
        same = run(directory=sandbox_directory, _ansible_check_mode=check_mode)
        assert not same["changed"] and same["sandbox"] == made["sandbox"]
    assert run(directory=sandbox_directory, state="absent", _ansible_check_mode=True)["changed"]
    assert not run(directory=sandbox_directory)["changed"], "check mode destroyed it"
    assert run(directory=sandbox_directory, state="absent")["changed"] and not os.path.exists(sandbox_directory)
    for check_mode in (True, False):
        assert not run(directory=sandbox_directory, state="absent", _ansible_check_mode=check_mode)["changed"]


def test_warnings_reach_the_user(sandbox_directory: str) -> None:
    """In a process of its own: one in which parts of a controller were loaded shows warnings itself instead of returning them."""
    options = {"directory": sandbox_directory, "locale": "xx_YY.UTF-8", "_ansible_check_mode": True}
    code = f"from {patch_module_args.__module__} import patch_module_args\nfrom {postgres_sandbox.__name__} import main\n"
    code += f"with patch_module_args({options!r}):\n    main()"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True).stdout
    assert any("xx_YY.UTF-8" in str(warning) for warning in json.loads(said)["warnings"])


@pytest.mark.parametrize("check_mode", [True, False])
def test_errors_are_one_line(run: Run, sandbox_directory: str, check_mode: bool) -> None:
    os.mkdir(sandbox_directory)
    with open(os.path.join(sandbox_directory, "file"), "w", encoding="ascii") as precious:
        precious.write("theirs")
    for options, words in (
        ({"directory": sandbox_directory}, "carries no marker"),
        ({"directory": sandbox_directory, "state": "absent"}, "carries no marker"),
        ({"directory": "/var/tmp/" + "x" * 120}, "107"),
        ({"directory": sandbox_directory + "-no", "minimum_major": 99}, "older than 99"),
        ({"directory": sandbox_directory + "-no", "minimum_free_mb": 1 << 40}, "MiB free"),
    ):
        result = run(_ansible_check_mode=check_mode, **options)
        assert result["failed"] and words in result["msg"] and "\n" not in result["msg"]
    os.unlink(os.path.join(sandbox_directory, "file"))
    os.rmdir(sandbox_directory)
