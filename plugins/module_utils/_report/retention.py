# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a retention verification: as data, format 1, and as lines for the console. Checks have the format of a drill's report.

Every field is always present. Times are UTC, durations seconds.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import typing as t

from . import waiver
from .check import VERDICTS, Check, CheckResult, overall
from .document import Report, attention
from .text import one_line, utc
from .waiver import Waiver

FORMAT = 1
TYPE = "retention-report"


class RetentionCheck(CheckResult):
    """A check as the report of retention contains it."""

    waived: bool


@t.final
class RetentionReport(Report):
    """The report of a retention verification."""

    report_id: str
    checks: list[RetentionCheck]


@dataclasses.dataclass(frozen=True)
class Verification:
    """A retention verification. `freshness` is `fresh` or `unproven`, `journal_head` the head that it accepted."""

    id: str
    deployment: str
    repository: str
    journal_head: str
    freshness: str
    machine: str
    started: datetime.datetime
    finished: datetime.datetime
    checks: t.Sequence[Check]
    waivers: t.Sequence[Waiver] = ()

    @property
    def counted(self) -> list[Check]:
        """The checks as they count for the verdict."""
        return waiver.apply(self.checks, self.waivers)


def build(verification: Verification) -> RetentionReport:
    """Return the report. It contains no zone or person, but shows the activity of a deployment, so it is for its operator."""
    waived = {one.check for one in verification.waivers}
    checks: list[RetentionCheck] = [{**one.to_result(), "waived": one.id in waived} for one in verification.checks]
    found = collections.Counter(one.verdict for one in verification.checks)
    return {
        "format": FORMAT,
        "type": TYPE,
        "report_id": verification.id,
        "deployment": verification.deployment,
        "repository": verification.repository,
        "verdict": overall(verification.counted),
        "journal_head": verification.journal_head,
        "freshness": verification.freshness,
        "started": utc(verification.started),
        "finished": utc(verification.finished),
        "seconds": round((verification.finished - verification.started).total_seconds(), 3),
        "machine": verification.machine,
        "checks": checks,
        "counts": {verdict: found[verdict] for verdict in VERDICTS},
        "waivers": [one.to_result() for one in verification.waivers],
    }


def render(document: RetentionReport) -> list[str]:
    """Return the lines: counts, checks that need attention with the worst first, waivers, and the verdict last."""
    lines = [("checks", ", ".join(f"{document['counts'][verdict]} {verdict.replace('_', ' ')}" for verdict in VERDICTS))]
    lines += [(f"  {check['verdict']}", one_line(f"{check['id']}: {check['message']}")) for check in attention(document["checks"])]
    lines += [("waived", one_line(f"{one['check']} until {one['expires']}: {one['reason']}")) for one in document["waivers"]]
    return [*(f"{label:<15} {words}" for label, words in lines), f"verdict: {document['verdict']}"]
