# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module whose Python lacks the libraries changes to the environment, if no other user can replace the environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible import environment
from harness.users import only_root
from scenes.scene import Scene
from unit.plugins.module_utils._ansible.test_boundary import COLLECTIONS

BARE = Path(sys._base_executable).resolve()


def silent(text: str) -> None:
    raise RuntimeError(text)


class Changed(Exception):
    """Raised instead of starting the other Python."""


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Make this Python lack a library, make the environment trusted, and raise Changed instead of starting it."""

    def respawn(python: str) -> None:
        raise Changed(python)

    monkeypatch.setenv("PYTHONSAFEPATH", "")  # monkeypatch restores it
    monkeypatch.setattr(environment, "find_spec", lambda name: None if name == "pyrage" else name)
    monkeypatch.setattr(environment, "PYTHON", str(BARE))
    monkeypatch.setattr(environment, "is_trusted", lambda path: path == str(BARE))
    monkeypatch.setattr(environment, "has_respawned", lambda: False)
    monkeypatch.setattr(environment, "respawn_module", respawn)
    return monkeypatch


def test_changes_to_the_environment_if_a_library_is_missing(lacking: pytest.MonkeyPatch) -> None:
    with pytest.raises(Changed, match=environment.PYTHON):
        environment.enter({"a": 1}, silent)
    assert os.environ["PYTHONSAFEPATH"] == "1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("find_spec", lambda name: name),
        ("has_respawned", lambda: True),
        ("PYTHON", "/none"),
    ],
)
def test_stays_if_a_change_is_not_needed_or_not_possible(lacking: pytest.MonkeyPatch, name: str, value: object) -> None:
    lacking.setattr(environment, name, value)
    environment.enter({}, silent)


def test_the_environment_does_not_start_itself(lacking: pytest.MonkeyPatch) -> None:
    lacking.setattr(sys, "executable", environment.PYTHON)
    environment.enter({}, silent)


@pytest.mark.mutation
def test_reports_an_untrusted_environment_and_does_not_start_it(lacking: pytest.MonkeyPatch) -> None:
    lacking.setattr(environment, "is_trusted", lambda _path: False)
    warnings: list[str] = []
    environment.enter({}, warnings.append)
    assert len(warnings) == 1 and str(BARE) in warnings[0]


def test_stays_if_options_would_fill_the_pipe(lacking: pytest.MonkeyPatch) -> None:
    environment.enter({"checks": "x" * 70_000}, silent)


def test_check_is_fast_if_no_library_is_missing() -> None:
    environment.enter({}, silent)
    started = time.perf_counter()
    for _number in range(100):
        environment.enter({}, silent)
    assert (time.perf_counter() - started) / 100 < 0.01


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """Return a program behind two links, in three directories."""
    for name in ("first", "between", "last"):
        (tmp_path / name).mkdir()
    (tmp_path / "last" / "python").touch()
    (tmp_path / "between" / "python").symlink_to(tmp_path / "last" / "python")
    (tmp_path / "first" / "python").symlink_to("../between/python")
    return tmp_path


def test_trusts_a_program_behind_links_of_this_user(linked: Path) -> None:
    assert environment.is_trusted(str(linked / "first" / "python"))


@pytest.mark.mutation
@pytest.mark.parametrize("place", ["first", "between", "last", "last/python"])
def test_refuses_a_program_that_another_user_can_write(linked: Path, place: str) -> None:
    """A user who can write to the directory of a link can point it to another program after the check."""
    (linked / place).chmod(0o777)
    assert not environment.is_trusted(str(linked / "first" / "python"))


@pytest.mark.mutation
@only_root
@pytest.mark.parametrize("place", ["first", "first/python", "between", "between/python", "last", "last/python"])
def test_refuses_a_program_of_another_user(linked: Path, place: str) -> None:
    os.chown(linked / place, 12345, 12345, follow_symlinks=False)
    assert not environment.is_trusted(str(linked / "first" / "python"))


@pytest.mark.mutation
def test_refuses_links_without_an_end_and_missing_programs(linked: Path) -> None:
    (linked / "last" / "python").unlink()
    assert not environment.is_trusted(str(linked / "first" / "python"))
    (linked / "last" / "python").symlink_to("python")
    assert not environment.is_trusted(str(linked / "first" / "python"))


@only_root
@pytest.mark.parametrize("there", [True, False])
def test_a_bare_python_changes_to_the_environment(scene: Scene, tmp_path: Path, there: bool) -> None:
    """Ansible packs and runs the module in a sandbox in which the tests' environment has the usual path."""
    lacks = subprocess.run([str(BARE), "-c", "import pyrage"], capture_output=True, check=False).returncode
    assert lacks, "this Python has the libraries, so the test would show nothing"
    view = ["bwrap", "--dev-bind", "/", "/", "--tmpfs", "/opt"]
    view += ["--ro-bind", sys.prefix, "/opt/caracal-ops"] if there else []
    arguments = json.dumps(scene.given("pg_encrypted_dump", set_id="20260102T030405Z-abcd"))
    command = ["ansible", "localhost", "-m", "caracal_ops.backup.pg_encrypted_dump", "-a", arguments]
    command += ["--check", "-i", "localhost,", "-c", "local"]
    command[0] = str(Path(sys.executable).parent / command[0])
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHONPATH", "PG"))}
    environ |= {
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_HOME": str(tmp_path),
        "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
    }
    (tmp_path / "ansible.cfg").touch()
    done = subprocess.run(
        [*view, *command, "-e", f"ansible_python_interpreter={BARE}"],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is there, done.stdout + done.stderr
    assert ("MissingDependency" in done.stdout) is not there
