# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules of `monitoring/prometheus` with the real promtool: the alerts that fire for a test's series."""

from __future__ import annotations

import json
import shutil
import subprocess
import typing as t
from pathlib import Path

import yaml

from tools.rules import tree

FOLDER = tree.ROOT / "monitoring" / "prometheus"
LIMITS, ALERTS = FOLDER / "caracal_backup_limits.rules.yml", FOLDER / "caracal_backup_alerts.rules.yml"
# There is a sample and an evaluation of the rules at each step. The longest rule waits two hours.
STEP, STEPS = 240, 36
END = STEP * STEPS
# Deployment and instance of the series of a case, replaced by a separate name for each case.
DEPLOYMENT, INSTANCE = "prod", "backup:9100"
OF_HOSTS = "CaracalTextfileUnreadable"


class Case(t.NamedTuple):
    """`series` are metrics with their labels and their constant value, or a sequence in promtool's own notation.

    `fired` are the expected alerts for the case; `others` are alerts for other deployments, with the deployment's name.
    """

    name: str
    series: t.Mapping[str, float | str]
    fired: t.Collection[str]
    others: t.Collection[tuple[str, str]] = ()


def rules(path: Path) -> list[dict[str, t.Any]]:
    return [rule for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    assert program, "promtool is missing: python -m tools.bring_tools promtool"
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


def test(folder: Path, cases: t.Sequence[Case], *limits: Path) -> str:
    """Return promtool's errors, or an empty string if all cases are true. Each case is a deployment in one Prometheus."""
    path = folder / "cases.yml"
    files = [str(one) for one in (*limits, ALERTS)]
    path.write_text(json.dumps({"rule_files": files, "evaluation_interval": f"{STEP}s", "tests": [_test(cases)]}))
    done = run("test", "rules", path)
    assert done.returncode == 0 or "FAILED" in done.stdout + done.stderr, done
    return "" if done.returncode == 0 else done.stdout + done.stderr


def limits_for(folder: Path, cases: t.Sequence[Case]) -> Path:
    """Return the delivered limits, for each case."""
    text = LIMITS.read_text(encoding="utf-8")
    start = text.index("  - name: ")
    path = folder / "limits.yml"
    path.write_text(text[:start] + "".join(text[start:].replace(DEPLOYMENT, one.name) for one in cases))
    return path


def _test(cases: t.Sequence[Case]) -> dict[str, t.Any]:
    series = {
        _of(case, name): value if isinstance(value, str) else f"{value}x{STEPS}" for case in cases for name, value in case.series.items()
    }
    fired = [(alert, case.name) for case in cases for alert in case.fired] + [one for case in cases for one in case.others]
    return {
        "interval": f"{STEP}s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": 'group by (alertname, deployment, instance) (ALERTS{alertstate="firing"})',
                "eval_time": f"{END}s",
                "exp_samples": [{"labels": _labels(*one), "value": 1} for one in sorted(fired)],
            }
        ],
    }


def _of(case: Case, series: str) -> str:
    return series.replace(f'"{DEPLOYMENT}"', f'"{case.name}"').replace(f'"{INSTANCE}"', f'"{case.name}"')


def _labels(alert: str, whom: str) -> str:
    label = "instance" if alert == OF_HOSTS else "deployment"
    return f'{{alertname="{alert}", {label}="{whom}"}}' if whom else f'{{alertname="{alert}"}}'
