# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules as Ansible runs them: packed into one file by its static scan, options as JSON in, one result out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.caracal_ops.backup.plugins.modules import backup_set
from harness.fixtures import FreshCluster
from scenes.scene import Scene, tree

COLLECTIONS = Path(backup_set.__file__).parents[5]
FAILED = re.compile(r"^localhost \| FAILED! => (\{.*?^\})", re.MULTILINE | re.DOTALL)
PASSWORD = "never to be seen"


def ansible(program: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run an Ansible program. Its modules find only those parts of the collection that were packed for them."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHONPATH", "PG"))}
    env.update(
        ANSIBLE_COLLECTIONS_PATH=str(COLLECTIONS),
        ANSIBLE_HOME=str(folder / "home"),
        ANSIBLE_LOCAL_TEMP=str(folder / "home" / "local"),
        ANSIBLE_REMOTE_TEMP=str(folder / "home" / "remote"),
        ANSIBLE_CONFIG=str(folder / "ansible.cfg"),
        ANSIBLE_NOCOLOR="1",
        LC_ALL="C.UTF-8",
        PYTHONDONTWRITEBYTECODE="1",
    )
    (folder / "ansible.cfg").touch()
    argv = [
        str(Path(sys.executable).parent / program),
        *arguments,
        "-i",
        "localhost,",
        "-c",
        "local",
        "-e",
        f"ansible_python_interpreter={sys.executable}",
    ]
    return subprocess.run(argv, env=env, cwd=folder, capture_output=True, text=True, check=False, timeout=600)


# Module → options that it refuses, exception, and a word of the message.
REFUSED: dict[str, tuple[dict[str, t.Any], str, str]] = {
    "backup_set": ({"state": "aborted", "set_id": "latest"}, "OptionError", "not a valid set ID"),
    "backup_set_verify": ({"set_id": "20200101T000000Z-aaaa"}, "ObjectMissing", "not committed"),
    "pg_encrypted_dump": ({"set_id": "20260102T030405Z-abcd", "login_user": "caracalapi"}, "Unreachable", "password authentication failed"),
    "pg_encrypted_restore": ({"sandbox": "/var/tmp/no-such-sandbox"}, "ObjectMissing", "no sandbox"),
    "state_verify": ({"sandbox": "/var/tmp/no-such-sandbox"}, "ObjectMissing", "no sandbox"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_one_line_and_a_failed_task(scene: Scene, tmp_path: Path, name: str) -> None:
    options, error, words = REFUSED[name]
    if name == "pg_encrypted_dump":
        password = scene.root / "backup" / "password"
        password.write_text(f"{PASSWORD}\n")
        options = {**options, "login_password_file": str(password)}
    arguments = json.dumps(scene.given(name, **options))
    before = tree(scene.root)
    done = ansible("ansible", "localhost", "-vvv", "-m", f"caracal_ops.backup.{name}", "-a", arguments, folder=tmp_path)
    assert done.returncode != 0
    failure = FAILED.search(done.stdout)
    assert failure, done.stdout + done.stderr
    result = json.loads(failure[1])
    assert words in result["msg"] and "\n" not in result["msg"] and result["error"] == error
    assert "Traceback" not in done.stdout + done.stderr
    scene.is_clean(done.stdout + done.stderr)
    assert tree(scene.root) == before


def test_options_that_do_not_go_together_are_refused(scene: Scene, tmp_path: Path) -> None:
    arguments = json.dumps({**scene.given("pg_encrypted_restore", sandbox="/var/tmp/none"), "confirm": ["caracal@1"]})
    done = ansible("ansible", "localhost", "-m", "caracal_ops.backup.pg_encrypted_restore", "-a", arguments, folder=tmp_path)
    assert done.returncode != 0 and "mutually exclusive: sandbox|confirm" in done.stdout


@pytest.mark.no_false_alarm
def test_backs_up_verifies_and_restores_in_one_play(empty_scene: Scene, fresh_cluster: FreshCluster, tmp_path: Path) -> None:
    scene, sandbox, set_id = empty_scene, fresh_cluster().directory, "20260102T030405Z-abcd"
    steps: list[tuple[str, dict[str, t.Any]]] = [
        ("backup_set", {"state": "open", "create_repository": True, "set_id": set_id}),
        ("pg_encrypted_dump", {"set_id": set_id}),
        ("backup_set", {"state": "committed", "set_id": set_id, "left_out": {"secrets": "not part of this test"}}),
        ("backup_set_verify", {}),
        ("pg_encrypted_restore", {"sandbox": sandbox}),
        ("state_verify", {"sandbox": sandbox}),
    ]
    tasks = [
        {"name": f"{number} {name}", f"caracal_ops.backup.{name}": scene.given(name, **options), "register": f"result{number}"}
        for number, (name, options) in enumerate(steps)
    ]
    results = [f"result{number}" for number in range(len(steps))]
    tasks.append(
        {
            "ansible.builtin.copy": {
                "content": f"{{{{ [{', '.join(results)}] | to_json }}}}",
                "dest": str(tmp_path / "results"),
                "mode": "0600",
            }
        }
    )
    play = tmp_path / "play.yml"
    play.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    done = ansible("ansible-playbook", "-vvv", "--diff", str(play), folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    scene.is_clean(done.stdout + done.stderr)
    found = json.loads((tmp_path / "results").read_text())
    assert [one["changed"] for one in found] == [True, True, True, False, True, False]
    assert found[3]["verdict"] == found[5]["verdict"] == "pass" and found[4]["set_id"] == set_id
