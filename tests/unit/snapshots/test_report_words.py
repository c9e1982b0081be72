# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A drill report on the console and as a page: one of a drill that passed, and one with every possible finding."""

from __future__ import annotations

import dataclasses

from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import WaiverOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._report import document, page, retention, summary, waiver
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.budget import Budgets
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, UNPROVEN, WARN, Check
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.diagnosis import Diagnosis
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.drill import Drill
from tools.snapshots import Snapshot
from unit.plugins.module_utils._report.conftest import BASE, BROKEN, STARTED
from unit.snapshots import page_words

WHERE = "/srv/reports/20261125T023000Z-ab12/report.html"
WAIVED = Check("canary.gateway", FAIL, "gateway answered 502")
WAIVERS = waiver.parse([WaiverOptions(check=WAIVED.id, reason="known, OPS-4711", expires="2026-12-31")], STARTED.date())
RESTORED = dataclasses.replace(
    BASE.restored,
    assets=["databases", "secrets"],
    left_out={"replay": "on another host"},
    recipients=[
        {"assets": "databases", "sealed_to": ["SHA256:a", "SHA256:b"], "opened_by": ["SHA256:a"]},
        {"assets": "secrets", "sealed_to": ["SHA256:b"], "opened_by": []},
    ],
)
PASSED = dataclasses.replace(BASE, restored=dataclasses.replace(BASE.restored, assets=["databases"]))
WITH_A_WAIVER = dataclasses.replace(PASSED, budgets=Budgets(3600.0, 7200.0), checks=[*BASE.checks, WAIVED], waivers=WAIVERS)
FAILED = dataclasses.replace(
    BASE,
    restored=RESTORED,
    budgets=Budgets(30.0, 900.0),
    freshness="unproven",
    sandbox={"isolation": "none", "protection": "clear", "server_version": "17.10"},
    checks=[
        *BASE.checks,
        WAIVED,
        BROKEN,
        Check("envelopes.kek", FAIL, "no session opens with it"),
        Check("envelopes.b", UNPROVEN, "no value", False),
    ],
    waivers=WAIVERS,
    diagnosis=[Diagnosis("kek.wrong", "restored STS cannot decrypt keys", "restore the secrets bundle", ("envelopes.kek", "log of sts"))],
    rollback=[
        {"id": "revoked.grants", "words": "grants are active again", "remedy": "delete them", "count": 2, "examples": ["g1"]},
        {"id": "revoked.tokens", "words": "unknown: tokens", "remedy": "rotate them", "count": None, "examples": []},
        {"id": "back.epochs", "words": "epochs", "remedy": "raise them", "count": 0, "examples": []},
    ],
)
UNREAD = dataclasses.replace(
    BASE,
    restored=dataclasses.replace(BASE.restored, snapshot_time=None, artifacts=None, bytes=None, family=None, release=None),
    checks=[],
    steps=[],
)


def console(title: str, lines: list[str]) -> str:
    return "\n".join([f"# {title}", "", *lines, ""])


def rendered(drill: Drill) -> list[str]:
    return summary.render(document.build(drill), WHERE)


def look() -> list[str]:
    checks = [
        Check("retention.partitions", PASS, "4 partitions, 3 months ahead"),
        Check("retention.exports", FAIL, "the last exported hour ended 3 d ago"),
        Check("retention.outbox", WARN, "2 event(s) were given up"),
    ]
    made = retention.Verification(
        "20261125T023000Z-ab12",
        "prod",
        BASE.repository,
        BASE.journal_head,
        "fresh",
        "pg-1",
        STARTED,
        BASE.finished,
        checks,
        waiver.parse([WaiverOptions(check="retention.exports", reason="known, OPS-4711", expires="2026-12-31")], STARTED.date()),
    )
    return retention.render(retention.build(made))


def test_console_reports_match_the_snapshot(snapshot: Snapshot) -> None:
    texts = [
        console("A drill that passed", rendered(PASSED)),
        console("With a waiver, within its budget", rendered(WITH_A_WAIVER)),
        console("One that failed", rendered(FAILED)),
        console("One in which nothing could be read", rendered(UNREAD)),
        console("A look at retention", look()),
    ]
    snapshot("console.txt", "\n".join(texts))


def test_the_page_of_a_drill_that_passed(snapshot: Snapshot) -> None:
    snapshot("page_passed.txt", page_words.words(page.render(document.build(PASSED))))


def test_the_page_of_a_drill_that_failed(snapshot: Snapshot) -> None:
    snapshot("page_failed.txt", page_words.words(page.render(document.build(FAILED))))
