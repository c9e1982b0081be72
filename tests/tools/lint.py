# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run every gate of `gates`, two in parallel. Print the time and the count of each gate, and fail at the end if one failed.

Arguments are names of gates; without arguments, all gates run.
"""

from __future__ import annotations

import concurrent.futures
import re
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from tools import area, get_pip, inside, mirror
from tools.gates import GATES, Gate

# Most gates use one core.
AT_ONCE = 2


def run_gate(gate: Gate, tree: Path, variables: dict[str, str]) -> tuple[bool, str, str]:
    """Run a gate. Return whether it passed, its summary in one line, and its whole output."""
    started = time.monotonic()
    status, output = _run(gate.command, tree, variables)
    while status != 0 and re.search(gate.chance, output):
        status, output = _run(gate.command, tree, variables)
    listed = _run(gate.lister, tree, variables)[1] if gate.lister else output
    tested = gate.count(listed)
    seconds = time.monotonic() - started
    if status != 0:
        return False, f"failed with status {status} after {seconds:.1f} s", output
    if tested == 0:
        return False, f"ended well but tested nothing ({gate.unit}: 0)", output
    return True, f"ok, {tested} {gate.unit}, {seconds:.1f} s", output


def run_all(gates: t.Sequence[Gate], tree: Path, variables: dict[str, str]) -> list[str]:
    """Run the gates, `AT_ONCE` in parallel, and report each when it ends; return the names of those that failed."""
    failed = []
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        running = {pool.submit(run_gate, gate, tree, variables): gate for gate in gates}
        for done in concurrent.futures.as_completed(running):
            gate, (passed, summary, output) = running[done], done.result()
            if not passed:
                failed.append(gate.name)
                print("\n".join(line for line in output.splitlines() if not re.match(gate.noise, line)))
            print(f"lint: {gate.name}: {summary}", flush=True)
    return failed


def _run(command: t.Sequence[str], tree: Path, variables: dict[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        command, cwd=tree, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return done.returncode, done.stdout.decode(errors="replace")


def chosen(names: t.Sequence[str]) -> list[Gate]:
    """Return the gates with these names, or all. An unknown name is an error."""
    known = {gate.name: gate for gate in GATES}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"no such gate: {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names] or list(GATES)


def main(names: list[str]) -> str | None:
    """Run the named gates, or all; return the error in one line."""
    gates = chosen(names)
    try:
        work = area.make()
        tree = mirror.mirror(area.CLONE, work)
        variables = inside.environment(area.CLONE, work)
        get_pip.prepare(area.CLONE / ".venv", work / "home")
    except (area.AreaRefused, mirror.MirrorFailed, get_pip.GetPipFailed) as error:
        return str(error)
    failed = run_all(gates, tree, variables)
    if failed:
        return f"lint: {len(failed)} of {len(gates)} gates failed: {', '.join(failed)}"
    print(f"lint: all {len(gates)} gates passed")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
