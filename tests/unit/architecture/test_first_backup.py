# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first-backup page has the settings and commands of the guides that tests run, and requires nothing else."""

from __future__ import annotations

import re

import yaml

from scenes import guide_pages
from tools.rules import tree

PAGE = "guide_first_backup"
INVENTORY, COMPOSE, PLAIN = (yaml.safe_load(block) for block in guide_pages.blocks(PAGE, "yaml"))
HOSTS = {"caracal_ops_compose_host", "caracal_backup_hosts", "caracal_drill_hosts"}


def examples(page: str) -> list[dict[str, object]]:
    found = [yaml.safe_load(block) for block in guide_pages.blocks(page, "yaml")]
    return [one for one in found if isinstance(one, dict)]


def commands(page: str) -> list[str]:
    return [
        line for block in guide_pages.blocks(page, "console") for line in re.findall(r"^\$ (ansible-playbook .*)$", block, re.MULTILINE)
    ]


def test_compose_needs_at_most_six_settings_from_its_guide() -> None:
    assert len(COMPOSE) <= 6
    assert any(COMPOSE.items() <= one.items() for one in examples("guide_compose"))
    assert any(one == INVENTORY for one in examples("guide_compose"))


def test_settings_of_plain_hosts_are_in_their_guide() -> None:
    own = {name: value for name, value in PLAIN.items() if name not in HOSTS}
    assert any(own.items() <= one.items() for one in examples("guide_plain_hosts"))


def test_each_command_runs_a_playbook_and_three_reach_the_drill() -> None:
    played = [re.findall(r"caracal_ops\.backup\.(\w+)", line)[0] for line in commands(PAGE)]
    assert played == ["setup", "backup", "restore_drill", "doctor"]
    assert all((tree.ROOT / "playbooks" / f"{name}.yml").is_file() for name in played)
    assert set(commands(PAGE)[:3]) <= set(commands("guide_compose"))


def test_hba_rule_of_the_login_is_the_same_in_both_guides() -> None:
    rule = f"line='local all {PLAIN['caracal_ops_login_user']} scram-sha-256' insertbefore=BOF"
    for page in (PAGE, "guide_plain_hosts"):
        assert [block for block in guide_pages.blocks(page, "console") if rule in block and "reload postgresql" in block]
