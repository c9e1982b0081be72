# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import area

GOOD = "import pytest\n@pytest.mark.mutation\n@pytest.mark.parametrize('n', [1, 2])\ndef test_found(n): assert n\n"
ALARM = "@pytest.mark.no_false_alarm\ndef test_quiet(): assert {}\n"


def run(folder: Path, source: str, *options: str) -> tuple[int, str]:
    (folder / "test_x.py").write_text(source)
    (folder / "pytest.ini").write_text(f"[pytest]\npythonpath = {area.CLONE / 'tests'}\nmarkers =\n  mutation\n  no_false_alarm\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "tools.mutations", "-m", "mutation or no_false_alarm"]
    done = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()[-1]


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_everything_found(tmp_path: Path, options: tuple[str, ...]) -> None:
    assert run(tmp_path, GOOD + ALARM.format(1), *options) == (0, "2 of 2 found, 0 false alarms")


@pytest.mark.mutation
@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_damage_that_was_not_found_and_a_false_alarm_are_counted(tmp_path: Path, options: tuple[str, ...]) -> None:
    assert run(tmp_path, GOOD.replace("assert n", "assert n == 1") + ALARM.format(0), *options) == (1, "1 of 2 found, 1 false alarms")


@pytest.mark.mutation
def test_each_way_of_detection_has_its_own_line(tmp_path: Path) -> None:
    source = (
        "import pytest\n@pytest.mark.mutation\n@pytest.mark.parametrize('out', ['found', 'found', 'silent', 'warned'])\n"
        "def test_way(out, record_property): record_property('caracal_ops_way', f'the copy: {out}')\n"
    )
    run(tmp_path, source)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "tools.mutations"]
    lines = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stdout.splitlines()
    assert lines[-2:] == ["mutations: the copy: 2 found, 0 unproven, 1 warned, 1 silent", "4 of 4 found, 0 false alarms"]


@pytest.mark.mutation
def test_a_skipped_test_has_found_nothing(tmp_path: Path) -> None:
    assert run(tmp_path, GOOD.replace("assert n", "pytest.skip('no')")) == (1, "0 of 2 found, 0 false alarms")


@pytest.mark.mutation
def test_no_mutation_test_at_all_is_a_failure(tmp_path: Path) -> None:
    assert run(tmp_path, "import pytest\n" + ALARM.format(1)) == (1, "0 of 0 found, 0 false alarms")
