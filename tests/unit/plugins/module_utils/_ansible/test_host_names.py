# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts that a play names must exist."""

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible import host_names
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError

GROUPS = {"all": ["app", "drill"], "backups": ["app"], "empty": [], "ungrouped": []}


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("names", [["app"], ["backups", "drill"], ["all"], ["localhost"], ["web*", "!app", "&x", "~a", "a[0]", "::1"], []])
def test_accepts_known_names_and_patterns(names: list[str]) -> None:
    host_names.check(names, GROUPS)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("name", ["all", "localhost", "127.0.0.1"])
def test_accepts_this_machine_without_an_inventory(name: str) -> None:
    host_names.check([name], {"all": [], "ungrouped": []})


@pytest.mark.mutation
@pytest.mark.parametrize("name", ["App", "empty", "prod"])
def test_refuses_a_name_without_hosts(name: str) -> None:
    with pytest.raises(OptionError) as caught:
        host_names.check(["app", name], GROUPS)
    assert f" {name}," in caught.value.msg and "app," not in caught.value.msg


def test_message_with_many_names_is_short() -> None:
    with pytest.raises(OptionError) as caught:
        host_names.check([f"n{number}" * 100 for number in range(1000)], GROUPS)
    assert len(caught.value.msg) < 1500


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(("names", "reached"), [(["web*"], ["web1"]), (["all", "!all"], [])])
def test_accepts_patterns_with_hosts_and_an_excluded_all(names: list[str], reached: list[str]) -> None:
    host_names.check_reached(names, "", reached)


@pytest.mark.mutation
@pytest.mark.parametrize("limit", ["", "web1"])
def test_a_play_that_reaches_no_host_is_refused_by_its_pattern(limit: str) -> None:
    with pytest.raises(OptionError) as caught:
        host_names.check_reached(["db*", "!db1"], limit, [])
    assert "db*:!db1" in caught.value.msg and ("web1" in caught.value.msg) == bool(limit)
