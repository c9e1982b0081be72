# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools import area, ci

WORK = "import time\nwhile time.process_time() < {}: pass"
RUN = "import sys; from tools import ci; sys.exit(ci.main({}))"


def run(commands: dict[str, list[str]]) -> tuple[int, dict[str, float]]:
    """Return the exit status, and the seconds of each command as printed in the last line."""
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(commands)], cwd=area.CLONE / "tests", capture_output=True, text=True, check=False
    )
    last = done.stdout.splitlines()[-1]
    return done.returncode, {name: float(took) for name, took in re.findall(r"(\w+) (\d+) s", last)}


def test_counts_a_process_that_outlives_its_parent(tmp_path: Path) -> None:
    """The process ends after its parent, but before the second command."""
    pid = tmp_path / "pid"
    orphan = (
        f"import pathlib, subprocess, sys; made = subprocess.Popen([sys.executable, '-c', {WORK.format(1.0)!r}]); "
        f"pathlib.Path({str(pid)!r}).write_text(str(made.pid))"
    )
    waits = f"import os, time; pid = open({str(pid)!r}).read()\nwhile os.path.exists(f'/proc/{{pid}}'): time.sleep(0.05)"
    status, took = run({"first": [sys.executable, "-c", orphan], "second": [sys.executable, "-c", waits]})
    assert status == 0 and sum(took.values()) >= 1


@pytest.mark.mutation
def test_ends_with_the_first_command_that_fails() -> None:
    status, took = run({"first": ["sh", "-c", "exit 3"], "second": ["true"]})
    assert status == 3 and list(took) == ["first"]


@pytest.mark.parametrize(("seconds", "warned"), [(ci.WANTED, False), (ci.WARNED, False), (ci.WARNED + 1, True)])
def test_warns_of_a_gate_that_takes_long(seconds: float, warned: bool) -> None:
    assert ("warning" in ci.closing({"test": seconds})) is warned
