# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules with answers that pass the guard run with `async` like other modules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

TASKS: dict[str, dict[str, t.Any]] = {
    "a module of ours": {"caracal_ops.backup.host_keys": {}},
    "a module of Ansible": {"caracal_ops.backup.guarded": {"module": "ansible.builtin.command", "args": {"argv": ["true"]}}},
}


@pytest.mark.parametrize("name", TASKS)
def test_a_guarded_task_runs_in_the_background(tmp_path: Path, name: str) -> None:
    play = {"hosts": "localhost", "gather_facts": False, "tasks": [{**TASKS[name], "async": 120, "poll": 1}]}
    (tmp_path / "play.json").write_text(json.dumps([play]), encoding="utf-8")
    words = ["ansible-playbook", "--inventory", "localhost,", "--connection", "local"]
    words += ["--extra-vars", f"ansible_python_interpreter={sys.executable}", str(tmp_path / "play.json")]
    environment = {**os.environ, "ANSIBLE_ASYNC_DIR": str(tmp_path / "jobs")}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "ASYNC OK" in done.stdout, done.stdout + done.stderr
