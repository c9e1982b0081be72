# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reason why a task failed. `test_failed_role.py` tests the other kinds of results, which Ansible fills in."""

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible import failures


@pytest.mark.no_false_alarm
def test_successful_item_is_not_a_cause_of_failure() -> None:
    assert failures.cause({"msg": "whole", "results": [{"msg": "fine"}, {"failed": True, "msg": "full"}]}) == "full"


@pytest.mark.mutation
def test_cause_contains_no_control_characters() -> None:
    assert failures.cause({"msg": "no\x1b[2J room\nfor it"}).isprintable()
