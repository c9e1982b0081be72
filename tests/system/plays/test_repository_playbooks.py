# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks prune, verify_repository, repository_copy and sets with a real ansible-playbook."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from scenes import role_settings
from scenes.old_repository import OldRepository
from scenes.playing import Play
from scenes.scene import tree


def play(old: OldRepository, name: str, role: str, *options: str, **own: t.Any) -> tuple[int, str]:
    """Return exit status and output."""
    settings = {
        "repository": old.store.location,
        "deployment": "prod",
        "allowed_signers": str(old.allowed),
        "high_water_mark": str(old.mark(role)),
        **own,
    }
    played = Play(name, role_settings.of("caracal_repository", settings), old.folder, options)
    return played.ended(), played.output()


def prune(old: OldRepository, *options: str) -> tuple[int, str]:
    return play(old, "prune", "prune", *options, signing_key=str(old.keys / "prune"), keep_last=2, minimum=1)


def test_prune_shows_its_plan_then_acts_then_changes_nothing(old: OldRepository) -> None:
    status, output = prune(old)
    assert status == 2 and "for the first time" in output and len(old.sets()) == 6
    before = tree(Path(old.store.location))
    status, output = prune(old, "--check", "--diff")
    assert status == 0 and f"-set {old.made[0]}: no rule keeps it" in output and "would prune 3 sets" in output, output
    assert tree(Path(old.store.location)) == before
    status, output = prune(old)
    assert status == 0 and "changed=1" in output and "Pruned 3 sets" in output, output
    assert old.sets() == old.made[3:]
    status, output = prune(old)
    assert status == 0 and "changed=0" in output, output


def test_a_set_without_secrets_stops_a_prune(old: OldRepository) -> None:
    prune(old)
    bare = old.add(0.1, secrets=False)
    status, output = prune(old)
    assert status == 2 and f"nothing is pruned: set {bare} has no secrets" in output, output
    assert len(old.sets()) == 7


def test_copy_then_verify_the_copy(old: OldRepository) -> None:
    copy = str(old.folder / "copy")
    status, output = play(old, "repository_copy", "operator", destination=copy)
    assert status == 0 and "Copied" in output and "0 objects existed already" in output, output
    verify = {"repository": copy, "identity_files": [str(old.identity)]}
    status, output = play(old, "verify_repository", "drill", **verify)
    assert status == 0 and "Verdict pass: 6 sets" in output and "changed=0" in output, output
    Path(copy, layout.inventory_key(old.made[2])).unlink()
    status, output = play(old, "verify_repository", "drill", **verify)
    assert status == 2 and "verdict fail: set.objects" in output and old.made[2] in output, output


def test_sets_are_listed_newest_first(old: OldRepository) -> None:
    status, output = play(old, "sets", "operator")
    assert status == 0 and "changed=0" in output, output
    assert sorted(old.sets(), key=output.index) == old.sets()[::-1]
