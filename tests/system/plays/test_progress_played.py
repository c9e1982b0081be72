# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The terminal output during a slow dump, and the end of the dump when its play is killed."""

from __future__ import annotations

import os
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import client_binaries, tools
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import processes
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream.progress import FOLDER
from harness.waiting import came, remains
from scenes.playing import LONGEST, Play, backup_settings
from scenes.scene import Scene
from scenes.twin_database import TwinCluster

SHOWN = re.compile(r"dumping: \d+%, ")
OURS = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'caracal_ops.backup%'"
# Variables of machines that run jobs, which a test must not have.
JOBS = ("AWX_ISOLATED_DATA_DIR", "AWX_HOST", "JOB_ID", "CI")


@pytest.fixture(autouse=True)
def not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in JOBS:
        monkeypatch.delenv(name, raising=False)


class HeldUp:
    """Client programs with a pg_dump that reads rows only after it is released."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder
        self._gate = folder / "gate"
        os.mkfifo(self._gate)
        found = client_binaries.find(None, minimum_major=17, tools=tools.PROGRAMS)
        for name, path in found.paths.items():
            wait = (
                f'case "$*" in *--schema-only*) ;; *--format=custom*) [ ! -p {self._gate} ] || read -r go < {self._gate} ;; esac\n'
                if name == "pg_dump"
                else ""
            )
            (folder / name).write_text(f'#!/bin/sh\n{wait}exec {path} "$@"\n', encoding="utf-8")
            (folder / name).chmod(0o755)

    def let_go(self) -> None:
        """Release waiting programs and all later ones."""
        gate = os.open(self._gate, os.O_RDWR)
        self._gate.unlink()
        os.write(gate, b"go\n" * 2)
        assert came(lambda: not self.waiting())
        os.close(gate)

    def waiting(self) -> list[str]:
        dump = str(self.programs / "pg_dump")
        found = [one for one in processes.everyone() if dump in one.argv and "--schema-only" not in one.argv]
        return [f"{one.pid} {' '.join(one.argv)}" for one in found]


@pytest.fixture
def held_up(tmp_path: Path) -> HeldUp:
    (tmp_path / "programs").mkdir()
    return HeldUp(tmp_path / "programs")


def folders(play: Play) -> list[Path]:
    """Return the folders of this play only, from the environment of its processes, because other plays run in parallel."""
    found = (re.search(rf"{FOLDER}=([^\0]+)", environment) for environment in play.environments())
    return [Path(one[1]) for one in found if one]


def begun(scene: Scene, held_up: HeldUp, on_terminal: bool = True, **settings: t.Any) -> Play:
    given = {**backup_settings(scene), "caracal_ops_pg_bin": str(held_up.programs), **settings}
    return Play("backup", given, held_up.programs.parent, on_terminal=on_terminal)


def on_screen(output: str) -> str:
    """Return the final state of a terminal, without overwritten text."""
    lines = []
    for line in output.replace("\r\n", "\n").split("\n"):
        seen = ""
        for text in line.split("\r"):
            seen = text + seen[len(text) :]
        lines.append(seen.rstrip())
    return "\n".join(lines)


def is_shown(play: Play) -> bool:
    return came(lambda: SHOWN.search(play.output()) or play.process.poll() is not None, LONGEST) and play.process.poll() is None


def test_progress_of_a_dump_is_shown_and_removed(empty_scene: Scene, held_up: HeldUp) -> None:
    play = begun(empty_scene, held_up)
    assert is_shown(play), play.output()
    made = folders(play)
    assert made and all(one.exists() for one in made)
    held_up.let_go()
    assert play.ended() == 0, play.output()
    assert "dumping" not in on_screen(play.output())
    assert not any(one.exists() for one in made)
    assert empty_scene.call("backup_set_verify")["verdict"] == "pass"


@pytest.mark.mutation
@pytest.mark.parametrize("group", [False, True])
def test_dump_ends_when_its_play_is_killed(empty_scene: Scene, held_up: HeldUp, caracal_database: TwinCluster, group: bool) -> None:
    """The dump would wait forever, because it is never released."""
    play = begun(empty_scene, held_up)
    assert is_shown(play), play.output()
    made = folders(play)
    assert play.kill(group)
    assert remains(play.left) == [] and remains(held_up.waiting) == []
    assert remains(lambda: caracal_database.execute(OURS)) == []
    assert made and remains(lambda: [one for one in made if one.exists()]) == []
    assert empty_scene.sets() == [] and not empty_scene.files("sets/*/parts/*")
    (set_id,) = {path.split("/")[1] for path in empty_scene.files("sets/**/*")}
    empty_scene.call("backup_set", state="aborted", set_id=set_id)
    assert empty_scene.files("sets/**/*") == []


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("quiet", ["no terminal", "by the variable", "in AWX"])
def test_progress_can_be_disabled(empty_scene: Scene, held_up: HeldUp, monkeypatch: pytest.MonkeyPatch, quiet: str) -> None:
    if quiet == "in AWX":
        monkeypatch.setenv("AWX_ISOLATED_DATA_DIR", "/runner/artifacts/1")
    # The value is a string, as with `-e caracal_ops_progress=false`.
    settings = {"caracal_ops_progress": "false"} if quiet == "by the variable" else {}
    play = begun(empty_scene, held_up, quiet != "no terminal", **settings)
    assert came(lambda: held_up.waiting() or play.process.poll() is not None, LONGEST)
    assert folders(play) == []
    held_up.let_go()
    assert play.ended() == 0, play.output()
    assert "dumping" not in play.output()
