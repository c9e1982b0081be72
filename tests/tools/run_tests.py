# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the tests, then run each failed test once more, alone. A test that passes then is flaky and is reported.

Up to `LET_THROUGH` flaky tests do not fail the run; `build/flaky.json` contains their names. Arguments are passed to
pytest and `tiers`. `--record` updates the record of durations: completely after a run of all tests, otherwise only for
the tests that ran.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from tools import durations, tiers

LET_THROUGH = 3
# More failures are not random, and a second try would only cost time.
TRIED_AGAIN = 10
WORKERS = ("-n", "3", "--dist", "worksteal")
PYTEST = (sys.executable, "-m", "pytest", "-p", "tools.tiers")


def run(arguments: t.Sequence[str]) -> tuple[int, dict[str, t.Any]]:
    """Run pytest; return its status and the outcome that `tiers` wrote."""
    with tempfile.TemporaryDirectory(prefix="caracal-outcome-") as folder:
        outcome = Path(folder, "outcome.json")
        status = subprocess.run([*PYTEST, "--outcome", str(outcome), *arguments], check=False).returncode
        return status, json.loads(outcome.read_text(encoding="utf-8")) if outcome.exists() else {}


def again(failed: t.Sequence[str]) -> list[str]:
    """Run each failed test in a separate process; return the tests that pass."""
    print(f"\nonce more, alone: {len(failed)} that failed", flush=True)
    return [test for test in failed if run(["-n", "0", "-q", test])[0] == 0]


def keep_flaky(flaky: t.Sequence[str]) -> None:
    (tiers.build_folder() / "flaky.json").write_text(json.dumps(list(flaky), indent=1) + "\n", encoding="utf-8")


def keep_durations(outcome: t.Mapping[str, t.Any], *, whole: bool) -> None:
    """Write the record into the clone, because tests run in a mirror."""
    clone = tiers.build_folder().parent
    path = clone / "tests" / durations.PATH.name
    ran = durations.Record.of(outcome["seconds"], outcome["shared"], clone)
    (ran if whole else durations.Record.read(path).renewed(ran)).write(path)


def tell(flaky: t.Sequence[str], failed: t.Sequence[str], passed: int, seconds: float) -> int:
    """Print the last lines; return the status of the whole run."""
    keep_flaky(flaky)
    for test in failed:
        print(f"FAILED {test}")
    for test in flaky:
        print(f"flaky: {test}")
    too_many = len(flaky) > LET_THROUGH
    if too_many:
        print(f"{len(flaky)} flaky tests, at most {LET_THROUGH} are let through")
    print(f"=== {len(failed)} failed, {passed + len(flaky)} passed, {len(flaky)} of them flaky, in {seconds:.0f}s ===", flush=True)
    return 1 if failed or too_many else 0


def main(arguments: list[str]) -> int:
    """Run the tests, run failed ones again, and report. A run that ended for another reason (a wrong option, no test) is not repeated."""
    started = time.monotonic()
    status, outcome = run([*WORKERS, *(one for one in arguments if one != "--record")])
    if "--record" in arguments and outcome:
        keep_durations(outcome, whole="--all" in arguments and "--part" not in arguments)
    failed = outcome.get("failed", [])
    if status != 1 or not failed:
        keep_flaky([])
        return status
    flaky = again(failed) if len(failed) <= TRIED_AGAIN else []
    return tell(flaky, [test for test in failed if test not in flaky], outcome["passed"], time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
