# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each playbook that is a job runs its role in `parts/job.yml`, so that start, failure and end are notified."""

from __future__ import annotations

import typing as t

import pytest
import yaml

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible import schedule_awx
from tools.rules import tree

FRAME = {"ansible.builtin.import_tasks": "parts/job.yml"}


def plays(job: str) -> list[dict[str, t.Any]]:
    found: list[dict[str, t.Any]] = yaml.safe_load((tree.ROOT / "playbooks" / f"{job}.yml").read_text(encoding="utf-8"))
    return found


def framed(play: dict[str, t.Any], job: str) -> bool:
    """Return whether the play sends notifications under the name of its job, and does nothing outside the frame."""
    (task,) = play["tasks"]
    outside = play.keys() & {"pre_tasks", "post_tasks", "roles", "handlers"}
    named = play["vars"]["caracal_notify_job"] == job and "caracal_ops_notify" in play["vars"]["caracal_notify_channels"]
    return named and not outside and task.items() - {("name", task["name"])} == FRAME.items()


@pytest.mark.parametrize("job", schedule_awx.SIDES)
def test_each_job_is_notified(job: str) -> None:
    (play,) = plays(job)
    assert framed(play, job)
    role, entry = play["vars"]["__caracal_job"]["role"].rpartition(".")[2], play["vars"]["__caracal_job"].get("tasks_from", "main")
    assert (tree.ROOT / "roles" / role / "tasks" / f"{entry}.yml").is_file()


@pytest.mark.mutation
@pytest.mark.parametrize("change", [{"tasks": [{"name": "x", "ansible.builtin.debug": None}]}, {"pre_tasks": []}, {"roles": []}], ids=str)
def test_finds_a_play_with_tasks_outside_the_job_file(change: dict[str, t.Any]) -> None:
    (play,) = plays("backup")
    assert not framed({**play, **change}, "backup") and not framed(play, "prune")
