# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The code, the guide, the alert rules and the dashboard use the same metrics."""

from __future__ import annotations

import ast
import json
import re
import typing as t

import pytest
import yaml

from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import metrics
from scenes import promtool
from tools.rules import tree

DASHBOARD = tree.ROOT / "monitoring" / "grafana" / "caracal_backup.json"
GUIDE = tree.ROOT / "docs" / "docsite" / "rst" / "guide_monitoring.rst"
ROLES = tree.ROOT / "roles"
WRITTEN = {f"{metrics.PREFIX}_{name}" for name in metrics.MEANINGS}
# Metrics of node_exporter itself.
FOREIGN = {"node_textfile_scrape_error"}
_NAME = re.compile(r"\b(?:caracal_backup|node)[a-z_:]*[a-z]\b")
_ANY = re.compile(r'__name__=~"([^"]+)"')


def recorded() -> set[str]:
    return {rule["record"] for path in (promtool.LIMITS, promtool.ALERTS) for rule in promtool.rules(path) if "record" in rule}


def panels() -> list[dict[str, t.Any]]:
    found: list[dict[str, t.Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return found


def drawn() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel.get("targets", [])]


def asked(expression: str) -> set[str]:
    """Return the names of the metrics in a PromQL expression, without names that only a pattern matches."""
    return set(_NAME.findall(re.sub(r'"[^"]*"', '""', expression)))


def unknown(expressions: t.Iterable[str]) -> set[str]:
    """Return metrics that the expressions use, but that no job writes and no rule records."""
    return {name for one in expressions for name in asked(one)} - WRITTEN - FOREIGN - recorded()


def test_the_guide_has_each_metric_with_its_meaning() -> None:
    text = re.sub(r"\s+", " ", GUIDE.read_text(encoding="utf-8"))
    documented = dict(re.findall(r"\* - ``caracal_backup_(\w+)`` - (?:``\w+`` - )?(?:- )?(.*?)(?= \* - | [A-Z]\w+, in ``|$)", text))
    assert {name: words.strip() for name, words in documented.items()} == metrics.MEANINGS


def test_each_metric_is_written() -> None:
    """The name of each metric must also be in code outside the table of meanings. The tests of each job check the values."""
    module = ast.parse((tree.ROOT / "plugins/module_utils/_evidence/metrics.py").read_text(encoding="utf-8"))
    rest = [node for node in module.body if not (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MEANINGS")]
    literals = {one.value for node in rest for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    made = {f"drill_{name}_budget_seconds" for name in ("rto", "rpo")}
    assert set(metrics.MEANINGS) - literals - made == set()


def test_rules_and_dashboard_use_only_written_metrics() -> None:
    rules = [rule["expr"] for path in (promtool.LIMITS, promtool.ALERTS) for rule in promtool.rules(path)]
    assert rules and drawn() and unknown([*rules, *drawn()]) == set()
    patterns = [pattern for one in [*rules, *drawn()] for pattern in _ANY.findall(one)]
    assert patterns and all(any(re.fullmatch(pattern, name) for name in WRITTEN) for pattern in patterns)


@pytest.mark.mutation
def test_finds_a_used_metric_that_no_job_writes() -> None:
    assert unknown(["max by (deployment) (caracal_backup_last_seize_bytes) > caracal_backup:limit_secs"]) == {
        "caracal_backup_last_seize_bytes",
        "caracal_backup:limit_secs",
    }


def test_every_limit_has_its_alert_and_its_line_in_the_guide() -> None:
    limits = {rule["labels"]["of"] for rule in promtool.rules(promtool.LIMITS)}
    reached = {rule["labels"]["of"] for rule in promtool.rules(promtool.ALERTS) if "record" in rule}
    assert limits == reached | {"free"}
    late = "".join(rule["expr"] for rule in promtool.rules(promtool.ALERTS) if "alert" in rule)
    assert {one for one in limits if f'of="{one}"' not in late} == set()
    assert {one for one in limits if not re.search(rf"^``{one}``", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)} == set()


def test_the_guide_has_each_alert_with_its_severity() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    alerts = {(rule["alert"], rule["labels"]["severity"]) for rule in promtool.rules(promtool.ALERTS) if "alert" in rule}
    assert set(re.findall(r"\* - ``(Caracal\w+)``\n     - (\w+)", text)) == alerts


def test_guide_lists_each_metrics_file_variable() -> None:
    variables = {
        name for path in ROLES.glob("*/defaults/main.yml") for name in yaml.safe_load(path.read_text()) if name.endswith("metrics_file")
    }
    assert variables and {name for name in variables if f"  {name}: /" not in GUIDE.read_text(encoding="utf-8")} == set()


def test_panels_have_ids_titles_units_and_do_not_overlap() -> None:
    assert len({one["id"] for one in panels()}) == len(panels())
    shown = [one for one in panels() if one["type"] != "row"]
    assert shown and all(one["title"] and one["description"] and one["fieldConfig"]["defaults"]["unit"] for one in shown)
    covered = [(x, y) for one in panels() for x in range(*_span(one, "x", "w")) for y in range(*_span(one, "y", "h"))]
    assert len(covered) == len(set(covered)) and max(x for x, _y in covered) < 24


def _span(panel: t.Mapping[str, t.Any], start: str, length: str) -> tuple[int, int]:
    place = panel["gridPos"]
    return place[start], place[start] + place[length]


def test_panel_units_match_the_metric_names() -> None:
    """Seconds are shown as a time, bytes as a size, and all other metrics as a number, according to the name's ending."""
    for panel in panels():
        endings = {name.rsplit("_", 1)[-1] for target in panel.get("targets", []) for name in asked(target["expr"])}
        wanted = {{"seconds": "s", "bytes": "bytes"}.get(ending, "short") for ending in endings}
        assert panel["type"] == "row" or wanted == {panel["fieldConfig"]["defaults"]["unit"]}, panel["title"]


def test_each_panel_shows_the_chosen_deployments() -> None:
    content = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    variables = {one["name"]: one for one in content["templating"]["list"]}
    assert (
        variables["deployment"]["multi"]
        and variables["deployment"]["allValue"] == ".*"
        and "deployment" in variables["deployment"]["query"]["query"]
    )
    for expression in drawn():
        selectors = re.findall(r"caracal_backup[a-z_:]*[a-z]\b(\{[^}]*\})?", expression)
        assert all('deployment=~"$deployment"' in one for one in selectors), expression
    sources = [one["datasource"] for panel in panels() if panel["type"] != "row" for one in (panel, *panel["targets"])]
    assert {one["uid"] for one in sources} == {"${datasource}"} and variables["datasource"]["query"] == "prometheus"
