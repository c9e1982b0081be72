# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reason why a task failed. `test_failed_role.py` tests the other kinds of results, which Ansible fills in."""

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible import failures


@pytest.mark.no_false_alarm
def test_an_item_that_did_not_fail_is_no_cause() -> None:
    assert failures.cause({"msg": "whole", "results": [{"msg": "fine"}, {"failed": True, "msg": "full"}]}) == "full"


@pytest.mark.mutation
def test_a_message_moves_no_cursor() -> None:
    assert failures.cause({"msg": "no\x1b[2J room\nfor it"}).isprintable()
