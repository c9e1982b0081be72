# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action groups set repository options once for a play or role, and playbooks pass the operator's settings to them."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

from tools.rules import tree
from unit.architecture.test_documented import MODULES, spec_of


@pytest.mark.parametrize(
    ("group", "options"),
    [
        ("repository", {"s3_endpoint"}),
        ("journal", {"repository", "deployment", "allowed_signers", "revoked_keys", "high_water_mark"}),
        ("database", {"login_host", "login_port", "login_user", "login_password_file", "login_unix_socket", "ssl_mode"}),
    ],
)
def test_a_group_has_exactly_the_modules_that_take_the_options(group: str, options: set[str]) -> None:
    runtime = yaml.safe_load((tree.ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    takes = [name for name in MODULES if options <= spec_of(name).keys()]
    assert takes and runtime["action_groups"][group] == sorted(takes)


GROUP = "group/caracal_ops.backup.repository"
ACCESS = "{{ caracal_ops_access | default({}, true) }}"
# The quickstart creates its own bucket with an identity for each of two hosts; the others do not use a repository.
OF_ITS_OWN = {"quickstart.yml", "notify.yml", "setup.yml", "schedule.yml"}
PLAYBOOKS = sorted((tree.ROOT / "playbooks").glob("*.yml"))


def passes_on(play: dict[str, t.Any]) -> bool:
    """Return whether the operator's settings reach every module of the play that uses a repository."""
    return play.get("module_defaults") == {GROUP: ACCESS}


@pytest.mark.parametrize("path", [one for one in PLAYBOOKS if one.name not in OF_ITS_OWN], ids=lambda one: str(one.stem))
def test_each_playbook_can_reach_any_bucket(path: Path) -> None:
    plays = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert plays and all(passes_on(play) for play in plays)


def test_every_exception_is_an_existing_playbook() -> None:
    assert {one.name for one in PLAYBOOKS} > OF_ITS_OWN


@pytest.mark.mutation
@pytest.mark.parametrize("found", [{}, {"module_defaults": {}}, {"module_defaults": {"group/caracal_ops.backup.all": ACCESS}}])
def test_finds_a_play_without_the_module_defaults(found: dict[str, t.Any]) -> None:
    assert not passes_on({"hosts": "localhost", **found})
