# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The quickstart's driver, with stand-ins for ansible-playbook that end in every way in which the real one can end."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from tools import quickstart

RECAP = "PLAY RECAP *****"


def shown(*timed: tuple[float, str]) -> list[str]:
    """Return the output for lines that arrive at these times."""
    now = [0.0]
    lines: list[str] = []
    progress = quickstart.Progress(lines.append, clock=lambda: now[0])
    for when, text in timed:
        now[0] = when
        progress.line(text)
    return lines


def test_a_long_task_is_shown_with_its_seconds_when_the_next_begins() -> None:
    dump = "TASK [caracal_ops.backup.caracal_backup : Dump the databases] ****"
    assert shown((1.0, dump), (4.5, "TASK [Drill] ****")) == ["   3.5 s  caracal_backup: Dump the databases"]


def test_a_short_task_is_not_shown_and_the_last_one_ends_with_the_play() -> None:
    assert shown((1.0, "TASK [Short] ***"), (1.2, "TASK [Long] ***"), (1.3, "ok: [localhost]"), (9.0, RECAP)) == [
        "   7.8 s  quickstart: Long"
    ]


@pytest.fixture
def playbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[[str], Path]:
    """Create a script in place of ansible-playbook and return the directory to pass to the driver."""

    def install(body: str) -> Path:
        script = tmp_path / "bin" / "ansible-playbook"
        script.parent.mkdir()
        script.write_text(f"#!/bin/sh\nout={tmp_path}/made\n{body}\n", encoding="utf-8")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")
        return tmp_path / "made"

    return install


WRITES = "mkdir -p $out && touch $out/.caracal-quickstart && printf 'set  x\\nverdict: %s\\n' {} > $out/summary.txt; exit {}"


@pytest.mark.parametrize(("verdict", "status"), [("pass", 0), ("fail", 2), ("unproven", 2)])
def test_prints_the_summary_last_and_returns_the_status(
    playbook: t.Callable[[str], Path], capsys: pytest.CaptureFixture[str], verdict: str, status: int
) -> None:
    directory = playbook(WRITES.format(verdict, status))
    assert quickstart.main(["--directory", str(directory)]) == status
    assert capsys.readouterr().out.splitlines()[-1] == f"verdict: {verdict}"


def test_a_summary_of_an_earlier_run_is_never_shown(playbook: t.Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    directory = playbook("echo 'no such collection' >&2; exit 4")
    directory.mkdir()
    (directory / quickstart.MARKER).touch()
    (directory / "summary.txt").write_text("verdict: pass\n", encoding="utf-8")
    assert quickstart.main(["--directory", str(directory)]) == 4
    output = capsys.readouterr().out
    assert "no such collection" in output
    assert "verdict: pass" not in output


def test_success_without_a_summary_is_a_failure(playbook: t.Callable[[str], Path]) -> None:
    assert quickstart.main(["--directory", str(playbook("exit 0"))]) == 1


def test_a_directory_without_the_marker_is_left_alone(playbook: t.Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    directory = playbook("exit 2")
    directory.mkdir()
    (directory / "summary.txt").write_text("mine\n", encoding="utf-8")
    assert quickstart.main(["--directory", str(directory)]) == 2
    assert (directory / "summary.txt").read_text(encoding="utf-8") == "mine\n"
    assert "mine" not in capsys.readouterr().out


def test_directory_and_size_reach_the_playbook(playbook: t.Callable[[str], Path]) -> None:
    directory = playbook("mkdir -p $out; printf '%s\\n' \"$@\" > $out/arguments; exit 3")
    assert quickstart.main(["--directory", str(directory), "--events", "123"]) == 3
    given = (directory / "arguments").read_text(encoding="utf-8").splitlines()
    assert given[0] == "caracal_ops.backup.quickstart"
    assert f"quickstart_directory={directory}" in given
    assert "quickstart_events=123" in given
