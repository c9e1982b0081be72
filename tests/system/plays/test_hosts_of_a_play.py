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
def test_an_unknown_host_name_fails_the_play(tmp_path: Path, hosts: str | list[str]) -> None:
    play = played(tmp_path, hosts)
    # Status 2 means that a failure was notified, so it must not be 2 either.
    assert play.ended() not in (0, 2) and "PLAY [" not in play.output(), play.output()
    assert ("empty" if hosts == "empty" else "dril,") in play.output(), play.output()


@pytest.mark.mutation
@pytest.mark.parametrize("hosts", ["db*", "all:!drill:!web1", "drill:&web1", "~x.*"])
def test_a_pattern_that_matches_no_host_fails_the_play(tmp_path: Path, hosts: str) -> None:
    play = played(tmp_path, hosts)
    assert play.ended() not in (0, 2) and "PLAY [" not in play.output() and hosts in play.output(), play.output()


@pytest.mark.mutation
@pytest.mark.parametrize("hosts", ["drill", ["drill"], "all:!web1", "localhost"])
@pytest.mark.parametrize("limit", ["web1", "all:!drill", "@limited"])
def test_a_limit_that_excludes_all_hosts_fails_the_play(tmp_path: Path, hosts: str | list[str], limit: str) -> None:
    (tmp_path / "limited").write_text("web1\n", encoding="utf-8")
    play = played(tmp_path, hosts, "--limit", limit)
    assert play.ended() not in (0, 2) and "PLAY [" not in play.output() and f"--limit {limit}" in play.output(), play.output()


@pytest.mark.mutation
def test_ansible_refuses_a_limit_that_matches_no_host(tmp_path: Path) -> None:
    """Ansible refuses this limit before any play. It is tested here because no play of ours could detect it."""
    play = played(tmp_path, "drill", "--limit", "elsewhere")
    assert play.ended() not in (0, 2) and "PLAY [" not in play.output(), play.output()


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    ("hosts", "limit"), [("drill", "drill"), ("all", "web1"), ("drill,web1", "all:!web1"), ("localhost", "drill,localhost")]
)
def test_a_limit_that_keeps_a_host_runs_the_play(tmp_path: Path, hosts: str, limit: str) -> None:
    play = played(tmp_path, hosts, "--limit", limit)
    assert play.ended() == 0 and "PLAY [" in play.output(), play.output()


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("hosts", ["drill", "drill, web1", ["drill"], "web*", "all", "all:!web1", "localhost", "drill[0]"])
def test_existing_hosts_run_the_play(tmp_path: Path, hosts: str | list[str]) -> None:
    play = played(tmp_path, hosts)
    assert play.ended() == 0 and "PLAY [" in play.output(), play.output()


@pytest.mark.no_false_alarm
def test_a_syntax_check_needs_no_inventory(tmp_path: Path) -> None:
    play = played(tmp_path, "elsewhere", "--syntax-check")
    assert play.ended() == 0, play.output()


def test_doctor_checks_the_hosts_of_the_playbooks() -> None:
    """The playbooks name their hosts in `hosts`, before the filter."""
    patterns = yaml.safe_load((tree.ROOT / "playbooks/parts/doctor_hosts.yml").read_text(encoding="utf-8"))["__doctor_hosts"]
    for part, playbook in {"backup": "backup", "drill": "restore_drill", "retention": "retention"}.items():
        play = yaml.safe_load((tree.ROOT / f"playbooks/{playbook}.yml").read_text(encoding="utf-8"))[0]
        assert play["hosts"].partition(" | caracal_ops")[0].strip("{ ") == patterns[part].strip("{} "), part
