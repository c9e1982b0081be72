# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shared settings are named `caracal_ops_<name>`, former names are refused, and all of them work with `-e`."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible import former_settings, role_variables
from scenes.playing import Play, backup_settings
from scenes.scene import Scene
from tools.rules import tree
from unit.snapshots import role_words

# Roles that use a repository.
ROLES = sorted(
    path.parent.parent.name
    for path in tree.ROOT.glob("roles/*/meta/main.yml")
    if (yaml.safe_load(path.read_text("utf-8")) or {}).get("dependencies") == [{"role": "caracal_ops.backup.caracal_ops"}]
)
ONCE = {"repository": "/r", "deployment": "prod", "allowed_signers": "/s", "high_water_mark": "/m", "revoked_keys": "/k"}
USUAL = {"allowed_signers": "/etc/caracal-ops/allowed_signers", "high_water_mark": "/var/lib/caracal-ops/high-water-mark.json"}
JOURNAL = "__caracal_ops_journal"


def settings(role: str, given: dict[str, t.Any], names: t.Iterable[str]) -> dict[str, t.Any]:
    found = role_words.values(role, given, *(f"{role}_{name}" for name in names))
    return {name: found[f"{role}_{name}"] for name in names}


def journal(role: str, given: dict[str, t.Any]) -> dict[str, t.Any]:
    found: dict[str, t.Any] = role_words.values(role, given, JOURNAL)[JOURNAL]
    return {name: found.get(name, "") for name in ONCE}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_uses_the_shared_settings(role: str) -> None:
    assert journal(role, {f"caracal_ops_{name}": value for name, value in ONCE.items()}) == ONCE
    assert journal(role, {}) == {**dict.fromkeys(ONCE, ""), **USUAL}
    assert journal(role, {"caracal_ops_compose_project": "staging"})["deployment"] == "staging"


def current() -> set[str]:
    """Return every setting of every role."""
    specs = (yaml.safe_load(path.read_text("utf-8"))["argument_specs"] for path in tree.ROOT.glob("roles/*/meta/argument_specs.yml"))
    return {name for one in specs for entry in one.values() for name in entry.get("options") or {}}


def test_each_shared_setting_is_of_the_role_with_these() -> None:
    assert {f"caracal_ops_{name}" for name in role_variables.SHARED} == {name for name in current() if name.startswith("caracal_ops_")}


def test_each_former_name_has_a_new_one() -> None:
    names = former_settings.FORMER
    hosts = {name for name in names.values() if name.endswith("_hosts")}
    playbooks = "".join(path.read_text("utf-8") for path in (tree.ROOT / "playbooks").glob("*.yml"))
    assert all(name in playbooks for name in hosts)
    assert set(names.values()) - hosts <= current() and not names.keys() & current()


@pytest.mark.mutation
@pytest.mark.parametrize(
    "name", ["caracal_backup_login_host", "caracal_repository_repository", "caracal_prune_hosts", "caracal_repository_examined"]
)
def test_a_former_name_is_refused(name: str) -> None:
    words = role_words.printed("caracal_ops", "main", {"__caracal_ops_former": former_settings.errors_of([name, "caracal_ops_login_host"])})
    assert len(words) == 1 and name in words[0] and former_settings.FORMER[name] in words[0]


@pytest.mark.mutation
def test_a_play_with_a_former_name_creates_nothing(scene: Scene, tmp_path: Path) -> None:
    before = scene.files()
    play = Play("backup", {**backup_settings(scene), "caracal_backup_login_port": 5432}, tmp_path)
    assert play.ended() != 0 and "caracal_ops_login_port" in play.output()
    assert scene.files() == before


def test_recipients_files_have_default_path_unless_recipients_are_given() -> None:
    names = {"caracal_backup": ["", "secrets_"], "caracal_drill": [""]}
    for role, kinds in names.items():
        for kind in kinds:
            [usual] = settings(role, {}, [f"{kind}recipients_files"]).values()
            assert len(usual) == 1 and usual[0].startswith("/etc/caracal-ops/")
            named = settings(role, {f"{role}_{kind}recipients": ["age1..."]}, [f"{kind}recipients_files"])
            assert list(named.values()) == [[]]


def texts(role: str) -> dict[str, str]:
    """Return every number and boolean of a role in the form of `-e name=value`."""
    with open(tree.ROOT / "roles" / role / "meta" / "argument_specs.yml", encoding="utf-8") as file:
        options = yaml.safe_load(file)["argument_specs"]["main"]["options"]
    simple = {name: one for name, one in options.items() if one["type"] in ("int", "float", "bool")}
    return {name: "4" if one["type"] != "bool" else "false" for name, one in simple.items()}


@pytest.mark.mutation
@pytest.mark.parametrize("role", ["caracal_backup", "caracal_restore"])
def test_numbers_and_truth_values_of_the_command_line_are_understood(role: str) -> None:
    given = {**texts(role), f"{role}_identity_files": ["/i"], f"{role}_recipients": ["age1..."]}
    assert list(role_words.values(role, given, f"__{role}_wrong")[f"__{role}_wrong"]) == []
