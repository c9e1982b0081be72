# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A prune between backups of a real database: remaining sets restore, and the next backup and checkpoint use earlier results."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import ObjectMissing
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from ansible_collections.caracal_ops.backup.plugins.module_utils._sets import prune_facts
from scenes import image_scene
from scenes.engine_stand_in import Engine
from scenes.scene import Scene
from unit.plugins.module_utils._assets.images.test_image_archive import BASE, NEXT, ONE, commit

LATER = datetime.timedelta(days=3)
RULES = {"keep_last": 1, "minimum": 1}


def read_later(opened: access.Opened, real: t.Any = prune_facts.read) -> t.Any:
    """Return the facts with a later time, longer after the sets than any backup takes."""
    facts, manifests = real(opened)
    return dataclasses.replace(facts, now=facts.now + LATER), manifests


def test_remaining_set_is_whole_and_next_backup_builds_on_it(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_images_go_with_the_last_set_that_names_them(scene: Scene, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.call("backup_set_info", high_water_mark=str(scene.mark("prune")))
    engine.images = {image: ([], data) for image, data in (ONE, NEXT)}
    monkeypatch.setattr(prune_facts, "read", read_later)

    def left(image: image_scene.Image | None, **given: t.Any) -> set[str]:
        """Return the image objects that remain after all sets except a new one with this image were pruned."""
        made = commit(scene, engine, image)["set_id"] if image else scene.backup()["set_id"]
        scene.call("backup_prune", **RULES, **given, accepted_sets=[made])
        assert scene.sets() == [made] and scene.call("backup_set_verify")["verdict"] == "pass"
        return set(scene.files("objects/images/*"))

    first = left(ONE)
    # The newer set has no image objects of its own.
    assert left(ONE) == first and len(first) == 3
    newer = left(NEXT)
    base = next(path for path in first if image_scene.hex_of(BASE) in path)
    assert newer & first == {base} and len(newer) == 3
    copy = tmp_path / "copy"
    scene.call("repository_copy", destination=str(copy))
    assert {str(path.relative_to(copy)) for path in copy.glob("objects/images/*")} == newer
    assert left(None) == set()


@pytest.mark.mutation
def test_images_hide_no_shrunken_database(scene: Scene, engine: Engine) -> None:
    """The images are larger than the database and do not change."""
    engine.images = {ONE[0]: ([], ONE[1])}
    before = prune_facts.read(access.open_repository(scene.options("backup_prune", **RULES).access))[0].sets[-1].size
    commit(scene, engine, ONE)
    last = prune_facts.read(access.open_repository(scene.options("backup_prune", **RULES).access))[0].sets[-1]
    assert "images" in last.contents and abs(last.size - before) < 5000
