# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pytest plugin that counts: how many of the tests that break something found it, how many false alarms there were.

It closes the run with `N of N found, M false alarms`. A false alarm is a failure of a test marked `no_false_alarm`,
which leaves everything whole.
"""

from __future__ import annotations

import pytest

KINDS = ("mutation", "no_false_alarm")
PROPERTY = "caracal_ops_kind"


class Tally:
    """Outcome of each marked test. A test has found its damage when none of its phases failed."""

    def __init__(self) -> None:
        self.ran: dict[str, set[str]] = {kind: set() for kind in KINDS}
        self.bad: dict[str, set[str]] = {kind: set() for kind in KINDS}

    def add(self, kind: str, test: str, *, failed: bool, skipped: bool) -> None:
        self.ran[kind].add(test)
        if failed or skipped:
            self.bad[kind].add(test)

    def line(self) -> str:
        of = len(self.ran["mutation"])
        return f"{of - len(self.bad['mutation'])} of {of} found, {len(self.bad['no_false_alarm'])} false alarms"

    def good(self) -> bool:
        return bool(self.ran["mutation"]) and not any(self.bad.values())


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Counter(), "caracal_ops_mutations")


class Counter:
    """The hooks; on an xdist worker they only label, and the controller counts."""

    def __init__(self) -> None:
        self.tally = Tally()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            item.user_properties += [(PROPERTY, kind) for kind in KINDS if item.get_closest_marker(kind)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, kind in report.user_properties:
            if name == PROPERTY:
                self.tally.add(str(kind), report.nodeid, failed=report.failed, skipped=report.skipped)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.exitstatus == pytest.ExitCode.OK and not self.tally.good() and not hasattr(session.config, "workerinput"):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        if not hasattr(config, "workerinput"):
            print(self.tally.line())
