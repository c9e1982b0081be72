# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from tools import area, durations, tiers
from tools.durations import Record

TESTS = area.CLONE / "tests"
RECORDED = {
    "t/one/test_a.py": {"test_slow": 900.0, "test_quick": 0.0, "test_story": 2000.0},
    "t/two/test_b.py": {"test_param[x/y]": 250.0, "test_param[z]": 0.3},
    "t/architecture/test_d.py": {"test_rule": 900.0},
}
SOURCES = {
    "one/test_a.py": "import pytest\ndef test_slow(): pass\ndef test_quick(): pass\n"
    f"@pytest.mark.story{tiers.STORIES}\ndef test_story(): pass\n",
    "two/test_b.py": "import pytest\n@pytest.mark.parametrize('p', ['x/y', 'z'])\ndef test_param(p): pass\n",
    "two/test_c.py": "def test_new(): pass\n",
    "architecture/test_d.py": "def test_rule(): pass\n",
}
Run = t.Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the tools in a separate tree that has `SOURCES` as its tests and a record of their durations."""
    tools = tmp_path / "tests/tools"
    tools.mkdir(parents=True)
    for name in ("tiers.py", "run_tests.py", "durations.py"):
        shutil.copy(TESTS / "tools" / name, tools)
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = t\npythonpath = tests\naddopts = -p no:cacheprovider\nmarkers =\n  story\n")
    for name, source in SOURCES.items():
        (tmp_path / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "t" / name).write_text(source)
    (tmp_path / "build").mkdir()
    rows = {name: durations.File(durations.digest(tmp_path / name), tests) for name, tests in RECORDED.items()}
    Record(rows).write(tmp_path / "tests/durations.json")

    def call(*arguments: str, workers: str = "0") -> tuple[int, str]:
        variables = {"PYTHONPATH": str(tmp_path / "tests"), "PATH": "/usr/bin:/bin", "CARACAL_OPS_BUILD": str(tmp_path / "build")}
        command = [sys.executable, "-m", "tools.run_tests", "--import-mode=importlib", "-n", workers, *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return call


def passed(output: str) -> int:
    return int(re.findall(r"(\d+) passed", output)[-1])


def left_out(output: str) -> dict[str, int]:
    return {folder: int(number) for number, folder in re.findall(r"^ +(\d+) in (\S+)$", output, re.MULTILINE)}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_gate_has_quick_and_new_tests_stories_and_rules(run: Run, workers: str) -> None:
    status, output = run(workers=workers)
    assert (status, passed(output)) == (0, 5)
    assert left_out(output) == {"t/one": 1, "t/two": 1}
    assert re.search(r"^ +2 in all; .*--all", output, re.MULTILINE)


def test_gate_budget_decides_which_tests_are_quick() -> None:
    record = Record({"t/a.py": durations.File("", {"a": 0.0, "b": 0.0, "c": 0.1, "d": 0.2, "e": 0.2, "f": 9.0})})
    nodes = [f"t/a.py::{name}" for name in "abcdefg"]
    found = [record.quickest(nodes, budget) for budget in (0.0, 0.06, 0.16, 0.36, 0.56, 9.5, 9.6)]
    assert [len(one) for one in found] == [0, 2, 3, 4, 5, 5, 6]
    assert found[1] == set(nodes[:2]) and found[2] == set(nodes[:3]) and found[-1] == set(nodes[:6])


def test_the_gate_is_within_its_budget() -> None:
    record = Record.read()
    nodes = [f"{name}::{test}" for name, file in record.files.items() for test in file.tests]
    quick = record.quickest(nodes, tiers.BUDGET)
    own = sum(max(record.seconds(node) or 0.0, durations.ROUNDED) for node in quick)
    assert tiers.BUDGET - 1 < own <= tiers.BUDGET


def test_each_worker_begins_with_its_share_of_the_stories() -> None:
    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

        def iter_markers(self, _name: str) -> list[pytest.Mark]:
            return [pytest.mark.story("x").mark] if self.name.isupper() else []

    found = tiers.spread([Named(name) for name in "abcdeABCfg"], 3)  # type: ignore[misc]
    assert "".join(one.name for one in found) == "AabcBdefCg"
    assert "".join(one.name for one in tiers.spread([Named(name) for name in "abAB"], 1)) == "ABab"  # type: ignore[misc]


@pytest.mark.mutation
def test_a_gate_without_a_story_of_each_kind_does_not_run(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t/one/test_a.py").write_text("def test_story(): pass\n")
    status, output = run()
    assert status != 0 and "drill" in output and "passed" not in output
    assert run("--all")[0] == 0


def test_all_option_leaves_out_no_test(run: Run) -> None:
    status, output = run("--all")
    assert (status, passed(output), left_out(output)) == (0, 7, {})


@pytest.mark.parametrize(("named", "workers"), [(("t/one/test_a.py",), "2"), (("-k", "test_a"), "0")])
def test_tests_selected_by_name_always_run(run: Run, named: tuple[str, ...], workers: str) -> None:
    status, output = run(*named, workers=workers)
    assert (status, passed(output), left_out(output)) == (0, 3, {})


def test_parts_cover_all_tests_and_report_the_tests_left_out(run: Run) -> None:
    first, second = run("--all", "--part", "1/2"), run("--all", "--part", "2/2")
    assert (first[0], second[0]) == (0, 0)
    assert (passed(first[1]), passed(second[1])) == (3, 4)
    assert (left_out(first[1]), left_out(second[1])) == ({"t/architecture": 1, "t/two": 3}, {"t/one": 3})
    assert "--part 2/2" in first[1] and "--part 1/2" in second[1]


def test_parts_are_about_equally_long() -> None:
    files = {f"test_{number}.py": float(number) for number in range(40)}
    found = [tiers.files_of_part(files, number, 4) for number in (1, 2, 3, 4)]
    assert set().union(*found) == set(files) and sum(map(len, found)) == len(files)
    sums = [sum(files[name] for name in one) for one in found]
    assert max(sums) - min(sums) <= 39


@pytest.mark.parametrize("arguments", [("--part", "1/2"), ("--all", "--part", "3/2"), ("--all", "--part", "x")])
def test_an_invalid_selection_runs_nothing(run: Run, arguments: tuple[str, ...]) -> None:
    status, output = run(*arguments)
    assert status != 0 and "passed" not in output


@pytest.mark.mutation
def test_a_failure_is_printed_in_the_last_lines(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t/two/test_c.py").write_text("def test_new(): assert False\n")
    status, output = run()
    assert status == 1
    assert output.splitlines()[-2] == "FAILED t/two/test_c.py::test_new"
    assert json.loads((tmp_path / "build/flaky.json").read_text()) == []


COIN = """
import pathlib
import pytest
@pytest.mark.parametrize("number", range({number}))
def test_coin(number):
    thrown = pathlib.Path({folder!r}, f"thrown{{number}}")
    known = thrown.exists()
    thrown.touch()
    assert known
"""


@pytest.mark.parametrize(("number", "ended"), [(3, 0), (4, 1)])
def test_up_to_three_flaky_tests_are_reported_and_allowed(run: Run, tmp_path: Path, number: int, ended: int) -> None:
    (tmp_path / "t/two/test_c.py").write_text(COIN.format(number=number, folder=str(tmp_path)))
    status, output = run()
    names = [f"t/two/test_c.py::test_coin[{one}]" for one in range(number)]
    assert status == ended
    assert re.findall(r"^flaky: (.*)$", output, re.MULTILINE) == names
    assert json.loads((tmp_path / "build/flaky.json").read_text()) == names


def test_many_failures_are_not_retried(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t/two/test_c.py").write_text(COIN.format(number=11, folder=str(tmp_path)))
    status, output = run()
    assert status == 1 and len(re.findall(r"^FAILED t/two", output, re.MULTILINE)) >= 11
    assert not re.findall(r"^flaky: ", output, re.MULTILINE)


SLEEPER = """
import time
import pytest
@pytest.fixture(scope="session")
def everybodys(): time.sleep(3)
@pytest.fixture(scope="module")
def of_the_file(everybodys): time.sleep(0.8)
def test_new(): time.sleep(1.2)
@pytest.mark.parametrize("number", range(2))
def test_sharing(of_the_file, number): pass
def test_quick(): pass
"""


def test_a_whole_run_renews_the_record(run: Run, tmp_path: Path) -> None:
    """The time of a file's shared fixtures is divided among its tests. The time of session fixtures is not counted."""
    (tmp_path / "t/two/test_c.py").write_text(SLEEPER)
    status, _output = run("--all", "--record")
    record = Record.read(tmp_path / "tests/durations.json")
    assert (status, sorted(record.files)) == (0, ["t/architecture/test_d.py", "t/one/test_a.py", "t/two/test_b.py", "t/two/test_c.py"])
    slept = record.files["t/two/test_c.py"].tests
    assert slept["test_new"] >= 1.4 and len(slept) == 4
    assert all(took < 3 for took in slept.values())
    assert record.files["t/one/test_a.py"].tests.keys() == RECORDED["t/one/test_a.py"].keys()


def test_a_run_of_some_tests_renews_their_rows_only(run: Run, tmp_path: Path) -> None:
    status, _output = run("--record", "-k", "test_quick or (test_param and not x/y)")
    record = Record.read(tmp_path / "tests/durations.json")
    assert (status, record.files["t/one/test_a.py"].tests) == (0, RECORDED["t/one/test_a.py"])
    assert record.seconds("t/two/test_b.py::test_param[x/y]") == 250.0 and record.total("t/two/test_b.py") < 250.3


def test_records_new_tests_and_files_that_changed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t/two/test_b.py").write_text("import time\ndef test_new(): time.sleep(0.5)\n")
    status, output = run("--record", "--unrecorded")
    record = Record.read(tmp_path / "tests/durations.json")
    assert (status, passed(output)) == (0, 2)
    assert list(record.files["t/two/test_b.py"].tests) == ["test_new"] and record.total("t/two/test_b.py") >= 0.5
    assert record.files["t/one/test_a.py"].tests == RECORDED["t/one/test_a.py"]
    # Pytest exits with 5 if it collected no tests.
    assert run("--record", "--unrecorded")[0] == 5


@pytest.mark.mutation
def test_gate_with_many_unmeasured_tests_does_not_run(run: Run, tmp_path: Path) -> None:
    def write(number: int) -> None:
        names = "".join(f"def test_new_{one}(): pass\n" for one in range(number))
        (tmp_path / "t/two/test_c.py").write_text(names)

    write(tiers.NEW_ONES)
    assert run()[0] == 0
    write(tiers.NEW_ONES + 1)
    status, output = run()
    assert status != 0 and "make record" in output and "passed" not in output


@pytest.mark.mutation
def test_a_hand_edited_record_is_refused(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "tests/durations.json"
    path.write_text(path.read_text().replace("900.0", "0.1"))
    status, output = run()
    assert status != 0 and "edited by hand" in output and "passed" not in output


def test_the_record_of_this_tree_is_valid() -> None:
    assert sum(len(file.tests) for file in Record.read().files.values()) > 1000


@pytest.mark.parametrize(("source", "kept"), [("", True), ("new", True), ("old", False)])
def test_a_partial_run_keeps_rows_of_unchanged_files(source: str, kept: bool) -> None:
    before = Record({"t/a.py": durations.File(source, {"test_one": 1.0})})
    after = before.renewed(Record({"t/a.py": durations.File("new", {"test_two": 2.0})}))
    assert after.files["t/a.py"].tests == {**({"test_one": 1.0} if kept else {}), "test_two": 2.0}
