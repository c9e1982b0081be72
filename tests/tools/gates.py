# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of gates of `make lint`: what each runs, and how we know that it tested something.

Most linters end with 0 when they find no file to look at. So each gate has a count, read from its output or from a
second command that lists what it looks at, and a gate whose count is 0 has failed.
"""

from __future__ import annotations

import dataclasses
import re
import sys
import typing as t

Count = t.Callable[[str], int]

# Sanity tests that always have something to test in this collection.
SANITY_NEEDED = frozenset({"compile", "no-assert", "shebang", "validate-modules"})
# Other gates are stricter (ruff, yamllint, antsibull-changelog), and each would get an environment of its own; two are gates themselves.
SANITY_ELSEWHERE = ("changelog", "import", "pep8", "pylint", "yamllint")


@dataclasses.dataclass(frozen=True)
class Gate:
    """A command that ends with 0 when all is well; `count` reads how many `unit` were tested out of what it printed.

    Where `lister` is given, `count` reads the output of that command instead. Lines that match `noise` are not shown.
    A failure whose output matches `chance` is the tool's own bad luck, and is tried again.
    """

    name: str
    command: tuple[str, ...]
    count: Count
    unit: str = "files"
    lister: tuple[str, ...] = ()
    noise: str = r"$"
    chance: str = r"(?!)"


def number(pattern: str) -> Count:
    """Count by the number in the last match of a pattern."""

    def count(output: str) -> int:
        found = re.findall(pattern, output)
        return int(found[-1]) if found else 0

    return count


def python_files(output: str) -> int:
    """Count by lines that are the path of a Python file."""
    return sum(line.endswith(".py") for line in output.splitlines())


def lines(output: str) -> int:
    """Count by lines that say something."""
    return sum(bool(line.strip()) for line in output.splitlines())


def sanity_tests(output: str, needed: t.Collection[str] = SANITY_NEEDED) -> int:
    """How many sanity tests had something to test; 0 if one that is needed had not, or was left out."""
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
    """Count by what pylint says of each group of files."""
    return sum(int(files) for files in re.findall(r"Checking (\d+) file\(s\) in context", output))


# How ansible-test makes its environments and calls its helpers; `-v` is needed to see which tests had nothing to test.
SANITY_NOISE = r"(Run|Stream|Execute) command|Looking in|Collecting|Using cached|Download|Install|Successfully|Created|\s|$"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

# What Ansible itself starts.
STARTED = ("plugins/modules/", "plugins/action/", "plugins/filter/")

# In the environment that we are in; what a test needs beside it gets one of its own.
SANITY = ("ansible-test", "sanity", "-v", "--color", "no", "--local", "--python", PYTHON)

# Those that take longest begin first.
GATES = (
    # Of the plugins alone: tests are ruff's, and five hundred more files would take it longer than all other gates together.
    Gate("pylint", (*SANITY, "--test", "pylint", "plugins/"), linted, noise=SANITY_NOISE),
    Gate(
        "sanity",
        (*SANITY, *(word for name in SANITY_ELSEWHERE for word in ("--skip-test", name))),
        sanity_tests,
        "tests",
        noise=SANITY_NOISE,
    ),
    # Of these alone: each imports all that it is made of, and what none imports does nothing.
    Gate("import", (*SANITY, "--test", "import", *STARTED), lambda said: sanity_tests(said, ("import",)), "tests", noise=SANITY_NOISE),
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
        # Its random folder's name ends in an underscore one time in 37, and then reads as a reference.
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
