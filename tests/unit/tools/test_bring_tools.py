# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from tools import bring_tools

SAMPLE = bring_tools.Tool("sample-tool", ("--version",), "sample-package")


def program(folder: Path, status: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / SAMPLE.name
    path.write_text(f"#!/bin/sh\nexit {status}\n")
    path.chmod(0o755)
    return path


def source_of(status: int, calls: list[int]) -> bring_tools.Source:
    def source(tool: bring_tools.Tool, folder: Path) -> None:
        calls.append(status)
        program(folder / "bin", status)

    return source


def test_tool_on_path_is_used_without_contacting_source(tmp_path: Path) -> None:
    calls: list[int] = []
    program(tmp_path / "system", 0)
    assert bring_tools.bring(SAMPLE, tmp_path / "tools", [str(tmp_path / "system")], [source_of(0, calls)])
    assert calls == []


def test_sources_are_tried_until_tool_runs(tmp_path: Path) -> None:
    calls: list[int] = []
    path = [str(tmp_path / "bin")]
    assert bring_tools.bring(SAMPLE, tmp_path, path, [source_of(1, calls), source_of(0, calls), source_of(7, calls)])
    assert calls == [1, 0]


@pytest.mark.mutation
def test_tool_that_does_not_run_is_not_used(tmp_path: Path) -> None:
    program(tmp_path / "bin", 1)
    assert not bring_tools.bring(SAMPLE, tmp_path, [str(tmp_path / "bin")], [])


@pytest.mark.parametrize("name", sorted(bring_tools.TOOLS))
def test_every_tool_is_installed_and_passes_its_probe(name: str) -> None:
    assert bring_tools.main([name]) is None


@pytest.mark.mutation
def test_unavailable_tool_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(bring_tools.TOOLS, SAMPLE.name, SAMPLE)
    monkeypatch.setattr(bring_tools, "bring", lambda tool, folder, path: False)
    message = bring_tools.main([SAMPLE.name])
    assert message == "sample-tool: not found and not to be had here; install it (Debian: apt-get install sample-package)"


def test_program_in_wheel_is_linked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bring_tools, "CLONE", tmp_path)
    program(tmp_path / ".venv/lib/python3.11/site-packages/wheel", 0)
    tool = bring_tools.Tool(SAMPLE.name, SAMPLE.probe, SAMPLE.package, f"wheel/{SAMPLE.name}")
    assert bring_tools.bring(tool, tmp_path / ".tools", [str(tmp_path / ".tools/bin")], [bring_tools.from_wheel])
