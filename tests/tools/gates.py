# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of gates of `make lint`: the command of each gate, and the proof that it tested something.

Most linters exit with status 0 when they find no file to check. So each gate has a count, read from its output or from
a second command that lists the files. A gate with the count 0 fails.
"""

from __future__ import annotations

import dataclasses
import re
import sys
import typing as t

Count = t.Callable[[str], int]

# Sanity tests that always have something to test in this collection.
SANITY_NEEDED = frozenset({"compile", "no-assert", "shebang", "validate-modules"})
# Other gates are stricter (ruff, yamllint, antsibull-changelog), and each test would need an environment of its own.
# import and pylint are separate gates below.
SANITY_ELSEWHERE = ("changelog", "import", "pep8", "pylint", "yamllint")


@dataclasses.dataclass(frozen=True)
class Gate:
    """A command that exits with status 0 if all is correct; `count` reads from its output how many `unit` were tested.

    If `lister` is set, `count` reads the output of that command instead. Lines that match `noise` are not shown. A
    failure with output that matches `chance` is a random failure of the tool, and the gate is tried again.
    """

    name: str
    command: tuple[str, ...]
    count: Count
    unit: str = "files"
    lister: tuple[str, ...] = ()
    noise: str = r"$"
    chance: str = r"(?!)"


def number(pattern: str) -> Count:
    """Return a counter that reads the number in the last match of a pattern."""

    def count(output: str) -> int:
        found = re.findall(pattern, output)
        return int(found[-1]) if found else 0

    return count


def python_files(output: str) -> int:
    """Count the lines that are paths of Python files."""
    return sum(line.endswith(".py") for line in output.splitlines())


def lines(output: str) -> int:
    """Count the lines that are not blank."""
    return sum(bool(line.strip()) for line in output.splitlines())


def sanity_tests(output: str, needed: t.Collection[str] = SANITY_NEEDED) -> int:
    """Count the sanity tests that tested something. Return 0 if a needed test was skipped or tested nothing."""
    tested: set[str] = set()
    name = ""
    for line in output.splitlines():
        started = re.search(r'Running sanity test "([a-z0-9-]+)"', line)
        if started:
            name = started.group(1)
            tested.add(name)
        elif "No tests applicable" in line or "Skipping sanity test" in line:
            tested.discard(name)
        elif "targets skipped" in line:
            return 0
    return len(tested) if tested.issuperset(needed) else 0


def linted(output: str) -> int:
    """Add up the numbers that pylint reports for its groups of files."""
    return sum(int(files) for files in re.findall(r"Checking (\d+) file\(s\) in context", output))


# Output of ansible-test about its environments and helpers. `-v` is needed to see which tests had nothing to test.
SANITY_NOISE = r"(Run|Stream|Execute) command|Looking in|Collecting|Using cached|Download|Install|Successfully|Created|\s|$"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

# Files that Ansible itself starts.
STARTED = ("plugins/modules/", "plugins/action/", "plugins/filter/")

# Runs in the current environment. A test that needs more gets an environment of its own.
SANITY = ("ansible-test", "sanity", "-v", "--color", "no", "--local", "--python", PYTHON)

# The slowest gates come first.
GATES = (
    # Plugins only. ruff checks the tests, and five hundred more files would take longer than all other gates together.
    Gate("pylint", (*SANITY, "--test", "pylint", "plugins/"), linted, noise=SANITY_NOISE),
    Gate(
        "sanity",
        (*SANITY, *(word for name in SANITY_ELSEWHERE for word in ("--skip-test", name))),
        sanity_tests,
        "tests",
        noise=SANITY_NOISE,
    ),
    # Only these files. Each imports all that it consists of, and a file that none of them imports has no effect.
    Gate("import", (*SANITY, "--test", "import", *STARTED), lambda output: sanity_tests(output, ("import",)), "tests", noise=SANITY_NOISE),
    Gate("ruff", ("ruff", "check", "."), python_files, lister=("ruff", "check", "--show-files", ".")),
    Gate("ruff-format", ("ruff", "format", "--check", "."), number(r"(\d+) files? already formatted")),
    Gate(
        "mypy",
        ("mypy", "-p", "ansible_collections.caracal_ops.backup.plugins", "-p", "twin", "-p", "tools", "-p", "faults"),
        number(r"no issues found in (\d+) source files?"),
    ),
    Gate("yamllint", ("yamllint", "--strict", "."), lines, lister=("yamllint", "--list-files", ".")),
    Gate("roles", (sys.executable, "-m", "tools.roles_check"), number(r"(\d+) roles checked"), "roles"),
    Gate(
        "changelog",
        ("antsibull-changelog", "lint"),
        lines,
        "notes",
        ("find", "changelogs", "-name", "*.y*ml", "-not", "-name", "config.yaml"),
    ),
    Gate("ansible-lint", ("ansible-lint", "--profile", "production", "--offline", "--nocolor"), number(r"in (\d+) files processed")),
    Gate(
        "docs",
        ("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs", "all", "."),
        lambda listed: listed.count('"caracal_ops.backup.'),
        "modules",
        ("ansible-doc", "--list", "--json", "caracal_ops.backup"),
        # The name of its random folder ends in an underscore one time in 37, and is then parsed as a reference.
        chance=r'Unknown target name: "antsibull-docs-',
    ),
    Gate(
        "execution-environment",
        (sys.executable, "-m", "tools.execution_environment"),
        number(r"(\d+) requirements in a context"),
        "requirements",
    ),
    Gate("english", (sys.executable, "-m", "tools.rules.english"), number(r"(\d+) pages"), "pages"),
    Gate("galaxy-importer", (sys.executable, "-m", "tools.importer"), number(r"imported (\d+) parts"), "parts"),
)
