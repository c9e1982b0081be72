# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A prune between backups of a real database: what is left restores, and the next backup and checkpoint know what was before."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import ObjectMissing
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import options
from ansible_collections.caracal_ops.backup.plugins.module_utils._sets import prune_facts
from scenes.scene import Scene

LATER = datetime.timedelta(days=3)
RULES = {"keep_last": 1, "minimum": 1}


def read_later(opened: options.Opened, real: t.Any = prune_facts.read) -> t.Any:
    """As long after the sets were made as no backup takes."""
    facts, manifests = real(opened)
    return dataclasses.replace(facts, now=facts.now + LATER), manifests


def test_what_is_left_is_whole_and_the_next_backup_builds_on_it(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.call("backup_set_info", high_water_mark=str(scene.mark("prune")))
    first, second = scene.sets()
    third = scene.backup()["set_id"]
    with monkeypatch.context() as later:
        later.setattr(prune_facts, "read", read_later)
        predicted = scene.call("backup_prune", check_mode=True, **RULES)
        done = scene.call("backup_prune", **RULES)
        assert {**done, "journal_head": ""} == {**predicted, "journal_head": ""}
    assert done["pruned"] == [first, second] and scene.sets() == [third]
    scene.refused("backup_set_verify", ObjectMissing, first, "was pruned", set_id=first)
    shared = [one for one in scene.files("objects/**/*") if first in one]
    assert shared, "leaves that the first set stored and the third one names"
    assert scene.call("backup_set_verify")["verdict"] == "pass"
    assert scene.call("escrow_verify")["verdict"] == "pass"
    result = scene.call("audit_checkpoint")
    assert {one["verdict"] for one in result["checks"]} <= {"pass", "not_applicable"}
    assert scene.backup()["set_id"] in scene.sets()
