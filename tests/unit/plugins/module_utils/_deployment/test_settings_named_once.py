# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all roles share is named once, as `caracal_ops_<name>`; what is named for one role alone wins; and all of it works from `-e`."""

from __future__ import annotations

import typing as t

import pytest
import yaml

from tools.rules import tree
from unit.snapshots import role_words

# Those that work on a repository.
ROLES = sorted(path.parent.parent.name for path in tree.ROOT.glob("roles/*/defaults/main.yml") if "_repository:" in path.read_text("utf-8"))
ONCE = {"repository": "/r", "deployment": "prod", "allowed_signers": "/s", "high_water_mark": "/m", "revoked_keys": "/k"}
USUAL = {"allowed_signers": "/etc/caracal-ops/allowed_signers", "high_water_mark": "/var/lib/caracal-ops/high-water-mark.json"}


def settings(role: str, given: dict[str, t.Any], names: t.Iterable[str] = ONCE) -> dict[str, t.Any]:
    found = role_words.values(role, given, *(f"{role}_{name}" for name in names))
    return {name: found[f"{role}_{name}"] for name in names}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_takes_what_is_named_once(role: str) -> None:
    assert settings(role, {f"caracal_ops_{name}": value for name, value in ONCE.items()}) == ONCE
    assert settings(role, {}) == {**dict.fromkeys(ONCE, ""), **USUAL}
    assert settings(role, {"caracal_ops_compose_project": "staging"})["deployment"] == "staging"
    own = {f"{role}_{name}": "/own" for name in ONCE}
    assert settings(role, {**own, **{f"caracal_ops_{name}": value for name, value in ONCE.items()}}) == dict.fromkeys(ONCE, "/own")


@pytest.mark.parametrize("role", ["caracal_backup", "caracal_drill", "caracal_restore"])
def test_jobs_are_named_once(role: str) -> None:
    name = f"__{role}_jobs"
    for given, jobs in (({}, 2), ({"caracal_ops_jobs": "7"}, 7), ({"caracal_ops_jobs": 7, f"{role}_jobs": "3"}, 3)):
        assert int(role_words.values(role, given, name)[name]) == jobs


def test_recipients_lie_at_the_usual_place_unless_some_are_named() -> None:
    names = {"caracal_backup": ["", "secrets_"], "caracal_drill": [""]}
    for role, kinds in names.items():
        for kind in kinds:
            [usual] = settings(role, {}, [f"{kind}recipients_files"]).values()
            assert len(usual) == 1 and usual[0].startswith("/etc/caracal-ops/")
            named = settings(role, {f"{role}_{kind}recipients": ["age1..."]}, [f"{kind}recipients_files"])
            assert list(named.values()) == [[]]


def texts(role: str) -> dict[str, str]:
    """Every number and truth value of a role as `-e name=value` gives it."""
    with open(tree.ROOT / "roles" / role / "meta" / "argument_specs.yml", encoding="utf-8") as file:
        options = yaml.safe_load(file)["argument_specs"]["main"]["options"]
    simple = {name: one for name, one in options.items() if one["type"] in ("int", "float", "bool")}
    return {name: "4" if one["type"] != "bool" else "false" for name, one in simple.items()}


@pytest.mark.mutation
@pytest.mark.parametrize("role", ["caracal_backup", "caracal_restore"])
def test_numbers_and_truth_values_of_the_command_line_are_understood(role: str) -> None:
    given = {**texts(role), f"{role}_identity_files": ["/i"], f"{role}_recipients": ["age1..."]}
    assert list(role_words.values(role, given, f"__{role}_wrong")[f"__{role}_wrong"]) == []
