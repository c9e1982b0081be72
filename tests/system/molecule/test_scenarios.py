# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Molecule passes a scenario without a verify playbook, so this test checks that every scenario proves something."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
SCENARIOS = sorted(path.parent for path in ROOT.glob("molecule/*/molecule.yml"))
REQUIRED = ("prepare.yml", "converge.yml", "verify.yml", "destroy.yml")


def faults_of(scenario: Path) -> list[str]:
    """Return the reasons why a scenario could pass without a proof."""
    missing = [f"{name} is missing" for name in REQUIRED if not (scenario / name).is_file()]
    if missing:
        return missing
    sequence = yaml.safe_load((scenario / "molecule.yml").read_text(encoding="utf-8"))["scenario"]["test_sequence"]
    faults = [f"the test sequence has no {name}" for name in ("converge", "verify") if name not in sequence]
    plays: list[dict[str, t.Any]] = yaml.safe_load((scenario / "verify.yml").read_text(encoding="utf-8"))
    tasks = [task for play in plays for task in play.get("tasks", ())]
    if not any("ansible.builtin.assert" in task for task in tasks):
        faults.append("verify.yml asserts nothing")
    made = "converged.json"
    if not all(made in (scenario / name).read_text(encoding="utf-8") for name in ("converge.yml", "verify.yml")):
        faults.append(f"verify.yml does not need {made}, which only converge.yml makes")
    return faults


def test_there_are_scenarios() -> None:
    assert {path.name for path in SCENARIOS} >= {"default", "tampered"}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.name)
def test_each_scenario_proves_something(scenario: Path) -> None:
    assert faults_of(scenario) == []


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("verify.yml", None, "verify.yml is missing"),
        ("verify.yml", "- hosts: localhost\n  tasks: []\n# converged.json\n", "verify.yml asserts nothing"),
        ("converge.yml", "- hosts: localhost\n", "verify.yml does not need converged.json, which only converge.yml makes"),
        ("molecule.yml", "scenario: {test_sequence: [converge]}\n", "the test sequence has no verify"),
    ],
)
def test_an_empty_scenario_is_found(tmp_path: Path, name: str, text: str | None, fault: str) -> None:
    for path in SCENARIOS[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).unlink()
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert faults_of(tmp_path) == [fault]
