# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pytest plugin that selects tests (the gate, all tests, or a part of them) and reports the tests that it left out.

The gate contains the quickest tests that together take `BUDGET` seconds, so its time does not grow with the number of
tests. The duration of a test is its last measurement (see `durations`): its own seconds and its share of the fixtures
of its file, without fixtures of the session.

The gate also contains up to `NEW_ONES` tests without a measurement, the tests of `RULES`, which any change can break,
and the stories (`@pytest.mark.story`). A story is one whole run of a kind, and the gate needs one of each kind.

`--all` runs all tests, and `--all --part 2/4` the second of four parts of about equal length. `--unrecorded` runs the
tests that have no current record. Tests that are named (by path, `-k` or `-m`) all run.
"""

from __future__ import annotations

import collections
import json
import os
import re
import time
import typing as t
from pathlib import Path

import pytest

from tools.durations import EditedByHand, Record, file_of

# Recorded seconds of all quick tests of the gate together. The stories, the rules, the collection and what each worker
# starts once
# add about 200 seconds.
BUDGET = 130.0
# The maximum number of tests without a measurement in a gate.
NEW_ONES = 50
# The folder of the rules that hold for all files. They run however long they take.
RULES = "architecture"
# The gate needs a story of each kind, and is refused without it.
STORIES = ("alerts", "backup and restore", "drill", "kill in a backup", "kill in a drill", "locked bucket", "molecule")
# The name under which the hooks are registered.
NAME = "caracal_ops_tiers"
# The property of a report with the seconds of fixtures that the tests of a file share.
SHARED = "caracal_ops_shared"


def folder_of(node: str) -> str:
    return file_of(node).rpartition("/")[0]


def stories_of(item: pytest.Item) -> set[str]:
    """Return the kinds of which a test is the gate's story."""
    return {kind for marker in item.iter_markers("story") for kind in marker.args}


def spread(items: t.Sequence[pytest.Item], workers: int) -> list[pytest.Item]:
    """Return the stories first in each worker's share of the list, so that no story is left for the end of the run."""
    rest = [item for item in items if not stories_of(item)]
    stories = [item for item in items if stories_of(item)]
    length = -(-len(rest) // workers)
    shares = ([*stories[number::workers], *rest[number * length : (number + 1) * length]] for number in range(workers))
    return [item for share in shares for item in share]


def part_of(text: str) -> tuple[int, int]:
    """Return the numbers in a text such as `2/4`."""
    found = re.fullmatch(r"([1-9]\d?)/([1-9]\d?)", text)
    if not found or int(found[1]) > int(found[2]):
        raise pytest.UsageError(f"--part {text}: give the number of a part and how many there are, as in --part 2/4")
    return int(found[1]), int(found[2])


def files_of_part(files: t.Mapping[str, float], number: int, parts: int) -> set[str]:
    """Return the files of one of `parts` parts of about equal length. The longest file comes first, each in the part
    with the least time.
    """
    sums = [0.0] * parts
    mine = set()
    for name, seconds in sorted(files.items(), key=lambda one: (-one[1], one[0])):
        least = sums.index(min(sums))
        sums[least] += seconds
        if least == number - 1:
            mine.add(name)
    return mine


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tiers")
    group.addoption("--all", action="store_true", dest="tiers_all", help="every test, not the gate alone")
    group.addoption("--unrecorded", action="store_true", help="the tests that have no row in the record, or whose file changed since")
    group.addoption("--part", metavar="K/N", help="with --all: the K-th of N parts of about equal length")
    group.addoption("--outcome", metavar="FILE", help="write what failed, and each test's seconds, to this file")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.part and not config.option.tiers_all:
        raise pytest.UsageError("--part is a part of all tests: add --all")
    config.pluginmanager.register(Chooser(config), NAME)


def named(config: pytest.Config) -> bool:
    """Return whether the command line names tests. A worker always gets paths, so it uses the value of its controller."""
    handed_on = getattr(config, "workerinput", {}).get("named")
    by_path = config.args_source == pytest.Config.ArgsSource.ARGS if handed_on is None else handed_on
    return bool(by_path or config.option.keyword or config.option.markexpr)


def _record() -> Record:
    try:
        return Record.read()
    except EditedByHand as error:
        raise pytest.UsageError(str(error)) from error


def _refuse_no_gate(items: t.Sequence[pytest.Item], record: Record) -> None:
    """Raise UsageError if a kind has no story, or if there are too many tests without a measurement, which may be slow."""
    if missing := sorted(set(STORIES).difference(*map(stories_of, items))):
        raise pytest.UsageError(f"no test is the gate's story of: {', '.join(missing)}; mark one with @pytest.mark.story(kind)")
    new = [item.nodeid for item in items if record.seconds(item.nodeid) is None]
    if len(new) > NEW_ONES:
        raise pytest.UsageError(f"{len(new)} tests have no row in durations.json, and {NEW_ONES} may; run make record (first: {new[0]})")


def _whatever_it_takes(item: pytest.Item) -> bool:
    return bool(stories_of(item)) or RULES in folder_of(item.nodeid).split("/")


class Chooser:
    """The hooks. All workers select the same tests and report to the controller what they left out; the controller prints it."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.worker = hasattr(config, "workerinput")
        self.collected: list[str] = []
        self.left_out: dict[str, int] = {}
        self.failed: set[str] = set()
        self.passed = 0
        self.seconds: dict[str, float] = collections.defaultdict(float)
        self.shared: dict[str, float] = collections.defaultdict(float)
        # For the test in setup: seconds of fixtures that other tests use too, by scope.
        self._setting_up = False
        self._wide: dict[str, float] = collections.defaultdict(float)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.collected = [item.nodeid for item in items]
        wanted = self._wanted(items)
        here: list[pytest.Item] = []
        out: list[pytest.Item] = []
        for item in items:
            (here if wanted(item) else out).append(item)
        items[:] = spread(here, getattr(self.config, "workerinput", {}).get("workercount", 1))
        self.left_out = dict(collections.Counter(folder_of(item.nodeid) for item in out))

    def _wanted(self, items: list[pytest.Item]) -> t.Callable[[pytest.Item], bool]:
        record, options = _record(), self.config.option
        if options.unrecorded:
            return lambda item: not record.is_current(item.nodeid, self.config.rootpath)
        if options.part:
            files = {name: record.total(name) for name in {file_of(item.nodeid) for item in items}}
            mine = files_of_part(files, *part_of(options.part))
            return lambda item: file_of(item.nodeid) in mine
        if options.tiers_all or named(self.config):
            return lambda item: True
        _refuse_no_gate(items, record)
        quick = record.quickest([item.nodeid for item in items], BUDGET)
        return lambda item: item.nodeid in quick or record.seconds(item.nodeid) is None or _whatever_it_takes(item)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[t.Any]) -> t.Generator[None, t.Any, t.Any]:
        if fixturedef.scope == "function" or self._setting_up:
            return (yield)
        self._setting_up, began = True, time.perf_counter()
        try:
            return (yield)
        finally:
            self._setting_up = False
            self._wide[fixturedef.scope] += time.perf_counter() - began

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> t.Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if self._wide:
            report.duration -= sum(self._wide.values())
            of_file = sum(took for scope, took in self._wide.items() if scope != "session")
            report.user_properties = [*report.user_properties, (SHARED, of_file)]
            self._wide.clear()
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration
        wide = [took for name, took in report.user_properties if name == SHARED]
        self.shared[file_of(report.nodeid)] += sum(t.cast("list[float]", wide))
        if report.failed:
            self.failed.add(report.nodeid)
        elif report.when == "call" and report.passed:
            self.passed += 1

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        if self.worker:
            self.config.workeroutput["left_out"] = self.left_out  # type: ignore[attr-defined]
        elif self.config.option.outcome:
            outcome = {"failed": sorted(self.failed), "passed": self.passed, "seconds": self.seconds, "shared": self.shared}
            Path(self.config.option.outcome).write_text(json.dumps(outcome), encoding="utf-8")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: t.Any) -> None:
        node.workerinput["named"] = named(self.config)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: t.Any) -> None:
        self.left_out = getattr(node, "workeroutput", {}).get("left_out") or self.left_out

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.left_out:
            terminalreporter.section("left out")
            for folder, number in sorted(self.left_out.items()):
                terminalreporter.line(f"{number:5} in {folder}")
            terminalreporter.line(f"{sum(self.left_out.values()):5} in all; they run with: {self._others()}")

    def _others(self) -> str:
        if not self.config.option.part:
            return 'make test ARGS="--all"'
        number, parts = part_of(self.config.option.part)
        return ", ".join(f'make test ARGS="--all --part {other}/{parts}"' for other in range(1, parts + 1) if other != number)


def build_folder() -> Path:
    """Return the folder for results."""
    return Path(os.environ.get("CARACAL_OPS_BUILD") or "build")
