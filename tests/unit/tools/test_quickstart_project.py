# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The quickstart's Compose project, tested without Docker. A stand-in for the command line records its arguments."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import replay
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import services as table
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import services
from tools import quickstart, quickstart_project
from tools.quickstart_project import ProjectFailed

COMPOSE: dict[str, t.Any] = yaml.safe_load((quickstart_project.COMPOSE / "compose.yml").read_text(encoding="utf-8"))
Install = t.Callable[[str], Path]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Create a script in place of docker that records its arguments, and return the file with them."""

    def install(body: str) -> Path:
        script = tmp_path / "bin" / "docker"
        script.parent.mkdir()
        script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n{body}\n', encoding="utf-8")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        return tmp_path / "asked"

    return install


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("exit 1", "engine"),
        ('[ "$1" = version ]', "docker compose is missing"),
    ],
)
def test_does_not_start_without_an_engine_or_compose(
    docker: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str], body: str, word: str
) -> None:
    asked = docker(body)
    assert quickstart.main(["--directory", str(tmp_path / "made"), "--deployment", "compose"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert word in line
    assert not (tmp_path / "made").exists()
    assert not [line for line in asked.read_text(encoding="utf-8").splitlines() if " rm " in f" {line}"]


def test_requires_root(docker: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    docker("exit 0")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ProjectFailed):
        quickstart_project.check()


def test_does_not_start_without_docker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(ProjectFailed):
        quickstart_project.check()


LISTS = 'case "$1 $2" in "ps --all") echo c1;; "volume ls") echo v1;; "network ls") echo n1;; "image ls") echo i1;; esac'


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, RuntimeError])
def test_removes_docker_objects_of_the_project_before_and_after(docker: Install, tmp_path: Path, error: type[BaseException] | None) -> None:
    asked = docker(LISTS)
    with contextlib.suppress(KeyboardInterrupt, RuntimeError), quickstart_project.project(tmp_path) as made:
        before = asked.read_text(encoding="utf-8").splitlines()
        (tmp_path / quickstart_project.IMAGES).mkdir()
        if error:
            raise error
    lines = asked.read_text(encoding="utf-8").splitlines()
    removed = ["rm --force --volumes c1", "volume rm --force v1", "network rm n1", "image rm --force i1"]
    assert [line for line in before if " rm " in f" {line}"] == removed
    assert [line for line in lines[len(before) :] if " rm " in f" {line}"] == removed
    assert all(made.name in line for line in lines if " ls " in line or line.startswith("ps"))
    assert not (tmp_path / quickstart_project.IMAGES).exists()


def test_reports_an_object_that_cannot_be_removed(docker: Install, tmp_path: Path) -> None:
    docker(f'{LISTS}\n[ "$1 $2" != "volume rm" ]')
    with pytest.raises(ProjectFailed):
        quickstart_project.remove(quickstart_project.of(tmp_path))


def test_two_directories_have_two_projects(tmp_path: Path) -> None:
    names = {quickstart_project.of(tmp_path / one).name for one in ("a", "b")}
    assert len(names) == 2 and all(re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name) for name in names)


def test_files_and_variables_of_the_compose_file_exist(tmp_path: Path) -> None:
    made = quickstart_project.of(tmp_path)
    quickstart_project.install(made, 1)
    assert all((made.directory / one["file"]).is_file() for one in COMPOSE["secrets"].values())
    given = {line.partition("=")[0] for line in (made.directory / ".env").read_text(encoding="utf-8").splitlines()}
    named = set(re.findall(r"(?<!\$)\$\{(\w+)\}", (made.directory / "compose.yml").read_text(encoding="utf-8")))
    assert named and named <= given


def test_a_new_installation_has_new_secrets(tmp_path: Path) -> None:
    made = quickstart_project.of(tmp_path)
    quickstart_project.install(made, 1)
    before = {path.name: path.read_bytes() for path in (made.directory / "secrets").iterdir()}
    quickstart_project.install(made, "installed anew")
    after = {path.name: path.read_bytes() for path in (made.directory / "secrets").iterdir()}
    assert before.keys() == after.keys() and not [name for name in before if before[name] == after[name]]


def test_compose_file_has_the_products_services_and_volumes() -> None:
    names = {service.name for service in table.services("secret_store")}
    assert names | {"postgres", "redis", "replayVolumeInit", "dbMigrate"} <= COMPOSE["services"].keys()
    assert set(replay.COMPOSE_VOLUMES.values()) <= COMPOSE["volumes"].keys()


def test_ports_are_published_on_localhost_only() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", ())]
    assert ports and all(port.startswith("127.0.0.1::") for port in ports)


@pytest.mark.parametrize("name", quickstart_project.SERVICES)
def test_a_set_records_the_whole_command_of_each_service(name: str) -> None:
    command = COMPOSE["services"][name]["command"]
    assert services.paths_only(command) == tuple(command) != ()


def test_the_image_contains_everything_a_service_needs(tmp_path: Path) -> None:
    quickstart_project.fill(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.stat().st_mode & 0o444 != 0o444]
    for name in quickstart_project.SERVICES:
        program = tmp_path / Path(COMPOSE["services"][name]["command"][0]).name
        assert os.access(program, os.X_OK)
        # Without the libraries of this Python the program finds its own libraries, and reports its missing settings.
        run = subprocess.run(
            [sys.executable, "-S", str(program)], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False, timeout=60
        )
        assert run.returncode == 1 and re.search(r"[A-Z_]+_URL is required", run.stderr), run
