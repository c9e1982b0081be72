# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The summary of keys: a line for each host, and warnings about hosts with two roles."""

from __future__ import annotations

import typing as t

import pytest
import yaml

from ansible_collections.caracal_ops.backup.plugins.module_utils._setup import key_summary
from tools.rules import tree

KEYS: dict[str, t.Any] = {
    "deployment": "prod",
    "directory": "/keys",
    "backup": {"b.example": "SHA256:b"},
    "drill": {"d.example": "SHA256:d", "e.example": None},
    "prune": {"p.example": "SHA256:p"},
    "operator": "SHA256:o",
    "break_glass": [],
    "added": [],
}
# The rights of each host with two roles.
OPENS, DELETES = "can decrypt every set", "can create and delete sets"


def lines(**own: t.Any) -> list[str]:
    return key_summary.lines({**KEYS, **own})


def test_key_names_match_role() -> None:
    (task,) = yaml.safe_load((tree.ROOT / "roles/caracal_setup/tasks/summary.yml").read_text(encoding="utf-8"))
    assert task["vars"]["__caracal_setup_keys"].keys() == KEYS.keys()


@pytest.mark.no_false_alarm
def test_each_key_is_named_with_its_host() -> None:
    found = "\n".join(lines(added=["drill@prod SHA256:d"], break_glass=["/keys/a", "/keys/b"]))
    for host, mark in {**KEYS["backup"], **KEYS["drill"], **KEYS["prune"]}.items():
        assert f"on {host}: {mark or 'not created yet'}" in found
    assert all(word in found for word in ("SHA256:o, /keys/operator_signing_key", "drill@prod SHA256:d", "/keys/a, /keys/b"))
    assert OPENS not in found and DELETES not in found


def test_without_new_keys_nothing_is_to_compare_or_to_move() -> None:
    found = "\n".join(lines(operator=""))
    assert "ssh-keygen -l" not in found and "safe" not in found and "not created yet, /keys" in found


@pytest.mark.mutation
@pytest.mark.parametrize(("role", "harm"), [("drill", OPENS), ("prune", DELETES)])
def test_a_host_with_two_roles_is_named(role: str, harm: str) -> None:
    found = [line for line in lines(**{role: {"b.example": "SHA256:x"}}) if harm in line]
    assert len(found) == 1 and "b.example" in found[0]
