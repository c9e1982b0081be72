# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run of pytest inside a test, with the fixtures and hooks that all tests have."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import textwrap
import time
import typing as t
from pathlib import Path

# Ignore the settings of this tree: its test paths do not apply to the inner run.
COMMAND = (sys.executable, "-m", "pytest", "-p", "harness.fixtures", "-p", "no:cacheprovider", "-c", os.devnull, "-q", "-rA", "--tb=short")

# For steps that take seconds, on a busy machine.
DEADLINE = 180


@dataclasses.dataclass(frozen=True)
class InnerRun:
    """A run whose output goes to a file, because leftover processes of a killed run would keep a pipe open."""

    process: subprocess.Popen[bytes]
    log: Path

    def outcomes(self) -> dict[str, str]:
        """Wait for the end and return pytest's word, such as `PASSED`, by test. The empty name has the whole output."""
        self.process.wait()
        output = self.log.read_text(encoding="utf-8", errors="replace")
        lines = (line.split(" ", 1) for line in output.splitlines() if "::" in line and line.split(" ")[0].isupper())
        return {"": output, **{rest.partition("::")[2].partition(" - ")[0]: word for word, rest in lines}}


def start(folder: Path, source: str, *arguments: str, before: t.Sequence[str] = ()) -> InnerRun:
    """Start these tests in their own directory. `before` is put in front of the command."""
    folder.mkdir(exist_ok=True)
    tests, log = folder / "test_inner.py", folder / "log"
    tests.write_text(textwrap.dedent(source), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    argv = [*before, *COMMAND, f"--rootdir={folder}", f"--basetemp={folder / 'inner'}", *arguments, str(tests)]
    with open(log, "wb") as out:
        return InnerRun(subprocess.Popen(argv, stdout=out, stderr=out, env=environment, cwd=folder), log)


def eventually(look: t.Callable[[], object]) -> None:
    """Wait until the condition is true. Raise AssertionError if that takes too long."""
    until = time.monotonic() + DEADLINE
    while not look():
        assert time.monotonic() < until, f"never: {look}"
        time.sleep(0.05)
