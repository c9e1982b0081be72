# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import area, gates, inside, lint

HERE = Path(sys.executable).parent


def variables(work: Path) -> dict[str, str]:
    """Return a gate's environment variables, with the tools of this Python."""
    found = inside.environment(work / "clone", work)
    return {**found, "PATH": os.pathsep.join([str(HERE), os.environ["PATH"]]), "PYTHONPATH": str(area.CLONE / "tests")}


def gate(code: str, count: gates.Count = gates.lines) -> gates.Gate:
    return gates.Gate("sample", (sys.executable, "-c", code), count)


@pytest.mark.no_false_alarm
def test_a_gate_that_tested_something_passes(tmp_path: Path) -> None:
    passed, summary, output = lint.run_gate(gate("print('one'); print('two')"), tmp_path, {})
    assert passed
    assert summary.startswith("ok, 2 files")
    assert output == "one\ntwo\n"


@pytest.mark.mutation
def test_a_gate_that_tested_nothing_fails(tmp_path: Path) -> None:
    passed, summary, _output = lint.run_gate(gate("pass"), tmp_path, {})
    assert not passed
    assert summary == "ended well but tested nothing (files: 0)"


def test_a_tools_random_failure_is_retried(tmp_path: Path) -> None:
    code = "import pathlib; p = pathlib.Path('tried'); print('unlucky'); n = p.exists(); p.touch(); raise SystemExit(not n)"
    passed, summary, _output = lint.run_gate(dataclasses.replace(gate(code), chance="unlucky"), tmp_path, {})
    assert passed and summary.startswith("ok, 1 files")


@pytest.mark.mutation
def test_gate_with_an_error_fails_despite_its_count(tmp_path: Path) -> None:
    passed, summary, _output = lint.run_gate(gate("print('one'); raise SystemExit(3)"), tmp_path, {})
    assert not passed
    assert summary.startswith("failed with status 3")


@pytest.mark.mutation
@pytest.mark.parametrize("real", gates.GATES, ids=lambda real: real.name)
def test_each_gate_fails_on_a_tree_with_nothing_to_test(tmp_path: Path, real: gates.Gate) -> None:
    tree = tmp_path / area.COLLECTION
    (tree / "changelogs").mkdir(parents=True)
    passed, _summary, _output = lint.run_gate(real, tree, variables(tmp_path))
    assert not passed


@pytest.mark.mutation
def test_sanity_in_an_ignored_folder_of_a_clone_fails(tmp_path: Path) -> None:
    """The work area avoids this trap: in an ignored directory the sanity tests skip every target and exit with 0."""
    tree = tmp_path / "clone" / area.COLLECTION
    (tree / "plugins/modules").mkdir(parents=True)
    (tree / "plugins/modules/x.py").write_text("x = 1\n")
    (tree / "galaxy.yml").write_text("namespace: caracal_ops\nname: backup\nversion: 0.1.0\n")
    (tmp_path / "clone/.gitignore").write_text("/ansible_collections/\n")
    subprocess.run(["git", "init", "-q", str(tmp_path / "clone")], check=True)
    sanity = next(real for real in gates.GATES if real.name == "sanity")
    passed, summary, output = lint.run_gate(sanity, tree, variables(tmp_path))
    assert not passed
    assert summary == "ended well but tested nothing (tests: 0)"
    assert "All targets skipped" in output


def sanity_output(*untested: str, left_out: str = "") -> str:
    names = [*sorted(gates.SANITY_NEEDED - {left_out}), "ignores"]
    return "".join(f'Running sanity test "{name}"\n' + "No tests applicable.\n" * (name in untested) for name in names)


@pytest.mark.no_false_alarm
def test_sanity_counts_the_tests_that_had_something_to_test() -> None:
    assert gates.sanity_tests(sanity_output()) == len(gates.SANITY_NEEDED) + 1
    assert gates.sanity_tests(sanity_output("ignores")) == len(gates.SANITY_NEEDED)


@pytest.mark.mutation
def test_pylint_without_a_file_to_check_counts_nothing() -> None:
    assert gates.linted("Checking 35 file(s) in context 'modules' (target)\nChecking 2 file(s) in context 'collection'\n") == 37
    assert gates.linted('Running sanity test "pylint"\nNo tests applicable.\n') == 0


@pytest.mark.mutation
@pytest.mark.parametrize("name", sorted(gates.SANITY_NEEDED))
def test_sanity_without_a_required_test_counts_nothing(name: str) -> None:
    assert gates.sanity_tests(sanity_output(name)) == 0
    assert gates.sanity_tests(sanity_output(left_out=name)) == 0
    assert gates.sanity_tests(sanity_output() + "WARNING: All targets skipped.\n") == 0


def test_every_failed_gate_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = gate("print('fine')"), gate("print('broken'); raise SystemExit(1)")
    assert lint.run_all([bad, good, bad], tmp_path, {}) == ["sample", "sample"]
    assert capsys.readouterr().out.count("broken\n") == 2


def test_an_unknown_gate_is_refused() -> None:
    assert [real.name for real in lint.chosen(["mypy"])] == ["mypy"]
    with pytest.raises(SystemExit, match="no such gate: nothing;"):
        lint.chosen(["mypy", "nothing"])
