# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each alert fires when it must and not earlier, evaluated by the real promtool.

Its clock begins at 0, so a time in the past is negative.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from scenes import promtool
from scenes.promtool import Case

NOW = promtool.END
HOUR, DAY = 3600, 86400


def metric(name: str, deployment: str = "prod", **labels: str) -> str:
    found = {"deployment": deployment, "instance": "backup:9100", "job": "node", **labels}
    pairs = ", ".join(f'{key}="{value}"' for key, value in found.items())
    return f"caracal_backup_{name}{{{pairs}}}"


def verdicts(name: str, found: str, deployment: str = "prod") -> dict[str, float]:
    return {metric(name, deployment, verdict=one): float(one == found) for one in ("pass", "fail", "unproven")}


def ago(seconds: float) -> float:
    return NOW - seconds


def well(deployment: str = "prod") -> dict[str, float | str]:
    """Return all metrics of a healthy deployment."""

    def own(name: str, **labels: str) -> str:
        return metric(name, deployment, **labels)

    return {
        own("last_snapshot_timestamp_seconds"): ago(20 * HOUR),
        own("last_commit_timestamp_seconds"): ago(19 * HOUR),
        own("last_size_bytes"): 5e9,
        own("longest_lock_wait_seconds"): 0.5,
        own("repository_free_bytes"): 1e12,
        own("identity_proved_timestamp_seconds", recipient="a"): ago(90 * DAY),
        own("identity_proved_timestamp_seconds", recipient="b"): ago(2 * DAY),
        own("journal_entries"): 40,
        own("findings", state="open"): 0,
        own("findings", state="acknowledged"): 3,
        **verdicts("checkpoint_verdict", "pass", deployment),
        own("checkpoint_finished_timestamp_seconds"): ago(HOUR),
        own("archive_last_hour_timestamp_seconds"): ago(2 * HOUR),
        own("archive_finished_timestamp_seconds"): ago(HOUR),
        own("archive_faults"): 0,
        **verdicts("drill_verdict", "pass", deployment),
        own("drill_finished_timestamp_seconds"): ago(6 * DAY),
        own("drill_passed_timestamp_seconds"): ago(6 * DAY),
        own("drill_recovery_time_seconds"): 1800,
        own("drill_rto_budget_seconds"): 7200,
        own("drill_recovery_point_seconds"): 20 * HOUR,
        own("drill_rpo_budget_seconds"): 26 * HOUR,
        **verdicts("retention_verdict", "pass", deployment),
        own("retention_finished_timestamp_seconds"): ago(20 * HOUR),
        **verdicts("verification_verdict", "pass", deployment),
        own("verification_finished_timestamp_seconds"): ago(6 * DAY),
        own("prune_finished_timestamp_seconds"): ago(6 * DAY),
        own("prune_stopped"): 0,
        own("copy_finished_timestamp_seconds"): ago(20 * HOUR),
        own("copy_faults"): 0,
        'node_textfile_scrape_error{instance="backup:9100", job="node"}': 0,
    }


def but(*changes: t.Mapping[str, float | str], without: str = "nothing") -> dict[str, float | str]:
    """Return the metrics of a healthy deployment with changes, without the metrics that begin with a given name."""
    found = {name: value for name, value in well().items() if not name.startswith(f"caracal_backup_{without}")}
    for one in changes:
        found.update(one)
    return found


ABSENT = "CaracalMetricsAbsent"
# For each job that must run regularly: its alert, its metric, and the longest time since its last run.
LATE = [
    ("CaracalBackupLate", "last_snapshot_timestamp_seconds", 26 * HOUR),
    ("CaracalDrillLate", "drill_passed_timestamp_seconds", 8 * DAY),
    ("CaracalCheckpointLate", "checkpoint_finished_timestamp_seconds", 3 * HOUR),
    ("CaracalArchiveLate", "archive_last_hour_timestamp_seconds", 6 * HOUR),
    ("CaracalRetentionLate", "retention_finished_timestamp_seconds", 26 * HOUR),
    ("CaracalVerificationLate", "verification_finished_timestamp_seconds", 8 * DAY),
    ("CaracalPruneLate", "prune_finished_timestamp_seconds", 8 * DAY),
    ("CaracalCopyLate", "copy_finished_timestamp_seconds", 26 * HOUR),
]
RECIPIENT = metric("identity_proved_timestamp_seconds", recipient="a")
# If a snapshot is too old, the recovery point objective is also exceeded.
ALSO = {"CaracalBackupLate": ["CaracalRpoExceeded"]}

CASES = [
    Case("a good day", well(), []),
    *[Case(f"{alert} too long ago", but({metric(name): ago(most + HOUR)}), [alert, *ALSO.get(alert, [])]) for alert, name, most in LATE],
    *[Case(f"{alert} it never ran", but(without=name), [alert, ABSENT]) for alert, name, _most in LATE],
    *[
        Case(f"{alert} a clock ahead", but({metric(name): NOW + 2 * DAY}), [alert, ABSENT, "CaracalClockAhead"])
        for alert, name, _most in LATE
    ],
    Case("an identity of two was proved long ago", but({RECIPIENT: ago(101 * DAY)}), ["CaracalIdentityUnproved"]),
    Case("an identity was never proved", but({RECIPIENT: -2e9}), ["CaracalIdentityUnproved"]),
    Case("nobody tells of identities", but(without="identity"), ["CaracalIdentityUnproved", ABSENT]),
    Case("a failed drill", but(verdicts("drill_verdict", "fail")), ["CaracalDrillFailed"]),
    Case("a drill that proved nothing", but(verdicts("drill_verdict", "unproven")), ["CaracalDrillUnproven"]),
    Case("slow recovery", but({metric("drill_recovery_time_seconds"): 7201}), ["CaracalRtoExceeded"]),
    Case("a drill of an old set", but({metric("drill_recovery_point_seconds"): 26 * HOUR + 1}), ["CaracalRpoExceeded"]),
    Case(
        "an old set now",
        but({metric("drill_rpo_budget_seconds"): 12 * HOUR, metric("drill_recovery_point_seconds"): HOUR}),
        ["CaracalRpoExceeded"],
    ),
    Case("no budgets", but(without="drill_rpo_budget_seconds"), []),
    Case("less room than the limit", but({metric("repository_free_bytes"): 15e9}), ["CaracalRoomLow"]),
    Case("less room than two sets", but({metric("last_size_bytes"): 6e11}), ["CaracalRoomLow"]),
    Case("nobody tells of room", but(without="repository_free_bytes"), ["CaracalRoomLow"]),
    Case("kept too short", but(verdicts("retention_verdict", "fail")), ["CaracalRetentionFailed"]),
    Case("retention that nothing shows", but(verdicts("retention_verdict", "unproven")), ["CaracalRetentionUnproven"]),
    Case("edited audit rows", but(verdicts("checkpoint_verdict", "fail")), ["CaracalAuditRowsChanged"]),
    Case("a finding that is open", but({metric("findings", state="open"): 1}), ["CaracalAuditRowsChanged"]),
    Case("checkpoints without a beginning", but(verdicts("checkpoint_verdict", "unproven")), ["CaracalCheckpointUnproven"]),
    Case("an export that was written over", but({metric("archive_faults"): 1}), ["CaracalArchiveFaulty"]),
    Case("a repository that was altered", but(verdicts("verification_verdict", "fail")), ["CaracalVerificationFailed"]),
    Case("a repository that could not be read", but(verdicts("verification_verdict", "unproven")), ["CaracalVerificationUnproven"]),
    Case("a prune that stopped", but({metric("prune_stopped"): 1}), ["CaracalPruneStopped"]),
    Case("objects that were not copied", but({metric("copy_faults"): 3}), ["CaracalCopyFaulty"]),
    Case("somebody waited", but({metric("longest_lock_wait_seconds"): 11}), ["CaracalBackupHeldUp"]),
    Case("a journal that was rolled back", but({metric("journal_entries"): "40x15 39x20"}), ["CaracalJournalShrank"]),
    Case("a journal that grew", but({metric("journal_entries"): "40x15 41x20"}), []),
    Case(
        "a host that stops reporting",
        but({name: f"{value}x15 stale" for name, value in well().items() if "copy_" in name}),
        ["CaracalCopyLate", ABSENT],
    ),
    Case(
        "a deployment that stops reporting altogether",
        {name: f"{value}x15 stale" for name, value in well().items()},
        [*(alert for alert, _name, _most in LATE), "CaracalIdentityUnproved", "CaracalRoomLow", ABSENT],
    ),
    Case("nothing was ever scheduled", {}, [*(alert for alert, _name, _most in LATE), "CaracalIdentityUnproved", "CaracalRoomLow", ABSENT]),
    Case(
        "the newest of two hosts counts",
        but({metric("copy_finished_timestamp_seconds", instance="old:9100"): ago(90 * DAY)}),
        [],
    ),
    Case(
        "a metrics file that cannot be read",
        but({'node_textfile_scrape_error{instance="backup:9100", job="node"}': 1}),
        [promtool.OF_HOSTS],
    ),
]


@pytest.mark.story("alerts")
def test_each_alert_fires_when_it_must_and_at_no_other_time(tmp_path: Path) -> None:
    assert promtool.test(tmp_path, CASES, promtool.limits_for(tmp_path, CASES)) == ""


def test_alerts_on_a_deployment_without_limits(tmp_path: Path) -> None:
    others = [("CaracalDeploymentWithoutLimits", "test")]
    assert promtool.test(tmp_path, [Case("prod", {**well(), **well("test")}, [], others)], promtool.LIMITS) == ""


def test_alerts_if_the_limits_are_absent(tmp_path: Path) -> None:
    assert promtool.test(tmp_path, [Case("prod", well(), ["CaracalDeploymentWithoutLimits"], [("CaracalLimitsAbsent", "")])]) == ""


def test_each_deployment_can_have_its_own_limits(tmp_path: Path) -> None:
    """The guide recommends one rule group for each deployment."""
    strict = tmp_path / "strict.yml"
    text = promtool.LIMITS.read_text(encoding="utf-8")
    strict.write_text(text.replace("prod", "strict").replace("vector(26 * 3600)", "vector(2 * 3600)"))
    cases = [Case("prod", well(), []), Case("strict", well(), ["CaracalBackupLate", "CaracalRetentionLate", "CaracalCopyLate"])]
    assert promtool.test(tmp_path, cases, promtool.LIMITS, strict) == ""


def test_every_alert_has_a_case() -> None:
    named = {alert for case in CASES for alert in case.fired} | {"CaracalLimitsAbsent", "CaracalDeploymentWithoutLimits"}
    assert named == {rule["alert"] for rule in promtool.rules(promtool.ALERTS) if "alert" in rule}


def test_rule_files_are_valid() -> None:
    done = promtool.run("check", "rules", promtool.LIMITS, promtool.ALERTS)
    assert done.returncode == 0, done


@pytest.mark.mutation
@pytest.mark.parametrize("fired", [[], ["CaracalDrillFailed", "CaracalCopyLate"]])
def test_a_wrong_expectation_is_found(tmp_path: Path, fired: list[str]) -> None:
    assert "got" in promtool.test(tmp_path, [Case("prod", but(verdicts("drill_verdict", "fail")), fired)], promtool.LIMITS)
