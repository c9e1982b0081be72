# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A push runs the same as a clone: targets of the Makefile, on every supported version, each part once."""

from __future__ import annotations

import re
import typing as t

import pytest
import yaml

from tools import area, ci, tiers

WORKFLOWS = sorted((area.CLONE / ".github/workflows").glob("*.yml"))
Jobs = dict[str, dict[str, t.Any]]


@pytest.fixture(scope="module")
def jobs() -> Jobs:
    (path,) = WORKFLOWS
    return dict(yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"])


def commands(jobs: Jobs) -> dict[str, list[str]]:
    return {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}


def test_every_command_is_a_makefile_target(jobs: Jobs) -> None:
    targets = set(re.findall(r"^([a-z]+):", (area.CLONE / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for name, found in commands(jobs).items():
        assert len(found) == 1, name
        target = re.fullmatch(r'make ([a-z]+)(?: ARGS="[^"]+")?', found[0])
        assert target and target[1] in targets, found


def test_a_push_runs_all_required_targets(jobs: Jobs) -> None:
    needed = [f"make {target}" for target in ci.TARGETS]
    on_a_push = [command for name, found in commands(jobs).items() if "if" not in jobs[name] for command in found]
    assert sorted(on_a_push) == sorted(needed)


def test_oldest_supported_ansible_is_tested(jobs: Jobs) -> None:
    oldest = yaml.safe_load((area.CLONE / "meta/runtime.yml").read_text(encoding="utf-8"))["requires_ansible"]
    tested = {pair["ansible"] for pair in jobs["gate"]["strategy"]["matrix"]["include"]}
    assert re.fullmatch(r">=([0-9.]+)\.0", oldest)[1] == min(tested, key=lambda series: [int(one) for one in series.split(".")])  # type: ignore[index]
    assert {pair["python"] for pair in jobs["gate"]["strategy"]["matrix"]["include"]} == {"3.11", "3.12", "3.13"}


def test_workflow_runs_every_part(jobs: Jobs) -> None:
    parts = [tiers.part_of(part) for part in jobs["all"]["strategy"]["matrix"]["part"]]
    assert parts == [(number, len(parts)) for number in range(1, len(parts) + 1)]
