# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statistics of an earlier job of a workflow arrive as an extra variable. Their values do not change the next job or its output."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from scenes import role_settings
from scenes.metrics_text import parse
from scenes.old_repository import OldRepository
from scenes.playing import Play, backup_settings, stats_of
from scenes.scene import Scene
from unit.monitoring.test_stats import NAMES, PLAIN

VERIFICATION, SETS, COPY, PRUNE = (f"caracal_repository_{name}_stats" for name in ("verification", "sets", "copy", "prune"))


def play(old: OldRepository, name: str, role: str, earlier: t.Mapping[str, t.Any], *arguments: str, **own: t.Any) -> Play:
    """Run a playbook with the statistics `earlier` of an earlier job."""
    (old.folder / "ansible.cfg").write_text("[defaults]\nshow_custom_stats = true\n")
    settings = {
        "repository": old.store.location,
        "deployment": "prod",
        "allowed_signers": str(old.allowed),
        "high_water_mark": str(old.mark(role)),
        **own,
    }
    made = Play(name, {**role_settings.of("caracal_repository", settings), **earlier}, old.folder, arguments)
    made.ended()
    return made


@pytest.mark.mutation
def test_earlier_stats_change_no_verdict_and_no_setting(old: OldRepository) -> None:
    marker = old.folder / "executed"
    lie = {"verdict": "pass", "set_id": f"{{{{ lookup('pipe', 'touch {marker}') }}}}", "failed_sets": 0, "newest": "20200101T000000Z-aaaa"}
    earlier = dict.fromkeys(NAMES, lie)
    Path(old.store.location, old.manifest_of(old.made[2]).artifacts[0].path).unlink()
    verify = {"identity_files": [str(old.identity)]}
    old.see("drill")
    plain, lied = (play(old, "verify_repository", "drill", one, **verify) for one in ({}, earlier))
    assert plain.process.returncode == lied.process.returncode == 2
    found = stats_of(lied.output())
    assert found == stats_of(plain.output()) and list(found) == [VERIFICATION]
    stats = found[VERIFICATION]
    assert (stats["verdict"], stats["finding"], stats["failed_sets"], stats["deployment"]) == ("fail", "set.objects", 1, "prod")

    listed = stats_of(play(old, "sets", "operator", earlier).output())[SETS]
    assert listed["newest"] == old.made[-1] and listed["sets"] == len(old.made)
    assert not marker.exists()


def test_prune_and_copy_set_plain_stats_but_not_in_check_mode(old: OldRepository) -> None:
    old.see("prune")
    own = {"signing_key": str(old.keys / "prune"), "keep_last": 2, "minimum": 1}
    assert stats_of(play(old, "prune", "prune", {}, "--check", **own).output()) == {}
    pruned = play(old, "prune", "prune", {}, **own)
    stats = stats_of(pruned.output())[PRUNE]
    assert (stats["pruned"], stats["kept"], stats["locked"]) == (3, len(old.sets()), 0), pruned.output()
    copied = stats_of(play(old, "repository_copy", "operator", {PRUNE: stats}, destination=str(old.folder / "copy")).output())[COPY]
    assert copied["copied"] > 0 and copied["kept"] == 0
    for one in (stats, copied):
        assert not [value for value in one.values() if isinstance(value, str) and not PLAIN.match(value)], json.dumps(one)


def test_backup_and_checkpoint_set_stats_of_their_results(empty_scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "ansible.cfg").write_text("[defaults]\nshow_custom_stats = true\n")
    metrics = tmp_path / "checkpoint.prom"
    settings = {**backup_settings(empty_scene), "caracal_backup_checkpoint_metrics_file": str(metrics)}
    earlier = {name: {"set_id": "20200101T000000Z-aaaa", "verdict": "fail"} for name in NAMES}

    def play(name: str, *arguments: str) -> dict[str, t.Any]:
        made = Play(name, {**settings, **earlier}, tmp_path, arguments)
        assert made.ended() == 0, made.output()
        empty_scene.is_clean(made.output())
        return stats_of(made.output())

    assert play("backup", "--check") == {}
    made = play("backup")["caracal_backup_stats"]
    assert (made["set_id"], made["verdict"], made["timestamp"]) == (empty_scene.sets()[-1], "pass", "not_applicable") and made["bytes"] > 0
    assert play("audit_checkpoint", "--check") == {} and not metrics.exists()
    entered = play("audit_checkpoint")["caracal_backup_checkpoint_stats"]
    assert (entered["verdict"], entered["checkpoint"], entered["rows"]) == ("pass", "", 0)
    assert parse(metrics.read_text())["caracal_backup_checkpoint_rows"] == {(("deployment", "prod"),): 0}
