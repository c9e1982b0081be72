# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pytest plugin that counts how many tests that break something detected it, and how many false alarms occurred.

The last line of the run is `N of N found, M false alarms`. A false alarm is a failure of a test marked
`no_false_alarm`, which changes nothing. A test that breaks a deployment in one of several ways records the way and the
result (`WAY`). Each way has a line before the last: `mutations: source after a set: N found, N unproven, N warned, N
silent`.
"""

from __future__ import annotations

import collections

import pytest

KINDS = ("mutation", "no_false_alarm")
PROPERTY = "caracal_ops_kind"
# The property of a test with the value "way: outcome".
WAY = "caracal_ops_way"
OUTCOMES = ("found", "unproven", "warned", "silent")


class Tally:
    """The outcome of each marked test. A test has found its damage if none of its phases failed."""

    def __init__(self) -> None:
        self.ran: dict[str, set[str]] = {kind: set() for kind in KINDS}
        self.bad: dict[str, set[str]] = {kind: set() for kind in KINDS}
        self.ways: dict[str, dict[str, str]] = {}

    def add(self, kind: str, test: str, *, failed: bool, skipped: bool) -> None:
        self.ran[kind].add(test)
        if failed or skipped:
            self.bad[kind].add(test)

    def add_way(self, text: str, test: str) -> None:
        way, _colon, outcome = text.partition(": ")
        self.ways.setdefault(way, {})[test] = outcome

    def lines(self) -> list[str]:
        counts = {way: collections.Counter(outcomes.values()) for way, outcomes in sorted(self.ways.items())}
        texts = {way: ", ".join(f"{count[outcome]} {outcome}" for outcome in OUTCOMES) for way, count in counts.items()}
        return [*(f"mutations: {way}: {text}" for way, text in texts.items()), self.line()]

    def line(self) -> str:
        of = len(self.ran["mutation"])
        return f"{of - len(self.bad['mutation'])} of {of} found, {len(self.bad['no_false_alarm'])} false alarms"

    def good(self) -> bool:
        return bool(self.ran["mutation"]) and not any(self.bad.values())


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Counter(), "caracal_ops_mutations")


class Counter:
    """The hooks. An xdist worker only labels tests; the controller counts."""

    def __init__(self) -> None:
        self.tally = Tally()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            item.user_properties += [(PROPERTY, kind) for kind in KINDS if item.get_closest_marker(kind)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties:
            if name == PROPERTY:
                self.tally.add(str(value), report.nodeid, failed=report.failed, skipped=report.skipped)
            elif name == WAY:
                self.tally.add_way(str(value), report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.exitstatus == pytest.ExitCode.OK and not self.tally.good() and not hasattr(session.config, "workerinput"):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        if not hasattr(config, "workerinput"):
            print("\n".join(self.tally.lines()))
