# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A play for hosts that are not in the inventory fails. Ansible alone would run nothing and exit with status 0."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from scenes.playing import Play
from tools.rules import tree


def played(tmp_path: Path, hosts: str | list[str], *options: str) -> Play:
    inventory = tmp_path / "inventory.json"
    local = {"ansible_connection": "local", "ansible_python_interpreter": "/bin/false"}
    inventory.write_text(json.dumps({"all": {"hosts": {"drill": local, "web1": local}, "children": {"empty": {}}}}), encoding="utf-8")
    return Play("verify_repository", {"caracal_drill_hosts": hosts}, tmp_path, ("--tags", "none", *options), inventory)


@pytest.mark.mutation
@pytest.mark.parametrize("hosts", ["dril", "drill,dril", ["drill", "dril"], "drill:dril", "empty"])
def test_a_name_that_is_not_there_ends_the_play(tmp_path: Path, hosts: str | list[str]) -> None:
    play = played(tmp_path, hosts)
    # Status 2 means that a failure was notified, so it must not be 2 either.
    assert play.ended() not in (0, 2) and "PLAY [" not in play.output(), play.output()
    assert ("empty" if hosts == "empty" else "dril,") in play.output(), play.output()


@pytest.mark.mutation
@pytest.mark.parametrize("hosts", ["db*", "all:!drill:!web1", "drill:&web1", "~x.*"])
def test_a_pattern_without_a_host_ends_the_play(tmp_path: Path, hosts: str) -> None:
    play = played(tmp_path, hosts)
    assert play.ended() not in (0, 2) and "PLAY [" not in play.output() and hosts in play.output(), play.output()


@pytest.mark.mutation
@pytest.mark.parametrize("hosts", ["drill", ["drill"], "all:!web1", "localhost"])
@pytest.mark.parametrize("limit", ["web1", "all:!drill", "@limited"])
def test_a_limit_that_leaves_no_host_ends_the_play(tmp_path: Path, hosts: str | list[str], limit: str) -> None:
    (tmp_path / "limited").write_text("web1\n", encoding="utf-8")
    play = played(tmp_path, hosts, "--limit", limit)
    assert play.ended() not in (0, 2) and "PLAY [" not in play.output() and f"--limit {limit}" in play.output(), play.output()


@pytest.mark.mutation
def test_a_limit_that_no_host_has_is_refused_by_ansible_itself(tmp_path: Path) -> None:
    """Ansible refuses this limit before any play. It is tested here because no play of ours could detect it."""
    play = played(tmp_path, "drill", "--limit", "elsewhere")
    assert play.ended() not in (0, 2) and "PLAY [" not in play.output(), play.output()


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    ("hosts", "limit"), [("drill", "drill"), ("all", "web1"), ("drill,web1", "all:!web1"), ("localhost", "drill,localhost")]
)
def test_a_limit_that_leaves_a_host_is_played(tmp_path: Path, hosts: str, limit: str) -> None:
    play = played(tmp_path, hosts, "--limit", limit)
    assert play.ended() == 0 and "PLAY [" in play.output(), play.output()


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("hosts", ["drill", "drill, web1", ["drill"], "web*", "all", "all:!web1", "localhost", "drill[0]"])
def test_what_is_there_is_played_on(tmp_path: Path, hosts: str | list[str]) -> None:
    play = played(tmp_path, hosts)
    assert play.ended() == 0 and "PLAY [" in play.output(), play.output()


@pytest.mark.no_false_alarm
def test_a_look_at_the_syntax_needs_no_inventory(tmp_path: Path) -> None:
    play = played(tmp_path, "elsewhere", "--syntax-check")
    assert play.ended() == 0, play.output()


def test_doctor_looks_where_the_playbooks_play() -> None:
    """The playbooks name their hosts in `hosts`, before the filter."""
    looked = yaml.safe_load((tree.ROOT / "playbooks/parts/doctor_hosts.yml").read_text(encoding="utf-8"))["__doctor_hosts"]
    for part, playbook in {"backup": "backup", "drill": "restore_drill", "retention": "retention"}.items():
        play = yaml.safe_load((tree.ROOT / f"playbooks/{playbook}.yml").read_text(encoding="utf-8"))[0]
        assert play["hosts"].partition(" | caracal_ops")[0].strip("{ ") == looked[part].strip("{} "), part
