# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that earlier jobs may set: every playbook that can follow a job checks them before it contacts a host."""

from __future__ import annotations

import typing as t

import pytest
import yaml

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible import artifacts
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import TamperedData
from tools.rules import tree

OF_AWX = ["awx_workflow_job_id", "awx_job_id", "tower_user_name"]
# The quickstart is for trying out the collection; notify.yml is run by the process that watches a play.
BY_HAND = {"quickstart.yml", "notify.yml"}


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("given", [[], ["caracal_backup_stats"], ["caracal_drill_set_id", "caracal_repository_verification_stats"]])
def test_accepts_variables_that_roles_pass_on_in_a_workflow(given: list[str]) -> None:
    artifacts.check([*OF_AWX, *given], ("caracal_drill_set_id",))


@pytest.mark.no_false_alarm
def test_accepts_any_variable_outside_a_workflow() -> None:
    artifacts.check(["awx_job_id", "caracal_drill_isolation", "ansible_host"], ())


@pytest.mark.mutation
@pytest.mark.parametrize(
    "name",
    [
        "ansible_ssh_common_args",
        "caracal_drill_hosts",
        "caracal_drill_set_id",
        "caracal_backup_stats_",
        "_caracal_backup_stats",
        "awx_Job",
        "x\n",
    ],
)
def test_any_other_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(TamperedData) as caught:
        artifacts.check([*OF_AWX, name], ())
    assert name.strip() in caught.value.msg and "\n" not in caught.value.msg


def test_message_with_many_names_is_short() -> None:
    with pytest.raises(TamperedData) as caught:
        artifacts.check([*OF_AWX, *(f"n{number}" * 100 for number in range(1000))], ())
    assert len(caught.value.msg) < 1500


def plays() -> list[tuple[str, dict[str, t.Any]]]:
    return [
        (path.name, play)
        for path in sorted((tree.ROOT / "playbooks").glob("*.yml"))
        if path.name not in BY_HAND
        for play in yaml.safe_load(path.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(("name", "play"), plays())
def test_the_hosts_of_each_play_are_checked_last(name: str, play: dict[str, t.Any]) -> None:
    assert play["hosts"].rstrip().removesuffix("}}").rpartition("|")[2].strip().startswith("caracal_ops.backup.checked_hosts"), name
