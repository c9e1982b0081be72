# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import tempfile
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import drill_state
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.drill_options import DrillOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.steps import prepare
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.steps.step import Work
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxInfo
from harness.small_programs import as_nobody
from harness.users import only_root

# A container's user often has the group of root, and a directory service's user often has the group of all users.
GROUPS = (0, 100)


class State:
    """The state of a drill with a sandbox for the user `uid`, and a set without replay files."""

    def __init__(self, directory: str, uid: int) -> None:
        place = (directory, f"{directory}/data", f"{directory}/socket")
        made = SandboxInfo(*place, 5432, "caracal", "17.6", "1", 1, uid, "clear", "bubblewrap", "", ())
        self.kept: dict[str, t.Any] = {"sandbox": made.to_result(), "assets": {"replay": []}}


def of(directory: str) -> DrillOptions:
    place = {"repository": "/none", "deployment": "prod", "allowed_signers": "/none", "high_water_mark": "/none", "step": "prepare"}
    return complete(DrillOptions, {**place, "sandbox_directory": directory})


def owners(uid: int | None) -> tuple[tuple[int, int], set[tuple[int, int]], int]:
    """Return our user, the owner of replay directories, and the group of restored secrets. `uid` is None for our own user."""
    with tempfile.TemporaryDirectory() as directory:
        state = t.cast("drill_state.DrillState", State(directory, os.geteuid() if uid is None else uid))
        work = Work(Invocation(of(directory), False, lambda _text: None), state)
        prepare._replay(work)
        seen = [os.stat(folder) for folder, _folders, _files in os.walk(directory) if folder != directory]
        return (os.geteuid(), os.getegid()), {(one.st_uid, one.st_gid) for one in seen}, work.group


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("group", GROUPS)
def test_an_ordinary_user_keeps_his_group(group: int) -> None:
    us, found, given = as_nobody(owners, None, group=group)
    assert (found, given) == ({us}, us[1])


@only_root
def test_sandbox_user_chosen_by_root_has_own_group() -> None:
    assert owners(61200)[1:] == ({(61200, 61200)}, 61200)
