# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The images of a drill come from its set, without archives, an engine or a registry."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import drill_state, service_images
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import engine as drill
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.service_option import ServiceStart
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.steps import image_sources
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.steps.step import Made, Work
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.steps.verify import Verify
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.engine import engine as engines
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import MissingDependency
from scenes import image_scene
from scenes.engine_stand_in import Engine
from scenes.image_scene import Image, archive, packed
from scenes.scene import Scene
from unit.plugins.module_utils._assets.images.test_image_archive import commit, flip

ONE = image_scene.saved([archive([("bin/sts", b"of the first layer")]), archive([("bin/api", b"2")])], ["A=1"], packed)
INDEXED = image_scene.described(ONE)


@pytest.fixture
def drilled(scene: Scene, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """Return the newest set, which contains an image that this host does not have."""
    engine.images = {image: ([], data) for image, data in (ONE, INDEXED)}
    commit(scene, engine, ONE, INDEXED)
    monkeypatch.setattr(engines, "SOCKETS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    usual = {**scene.given("state_verify", sandbox="/none"), "step": "verify", "images_directory": str(tmp_path / "images")}
    del usual["sandbox"]
    state = t.cast("drill_state.DrillState", State(scene.sets()[-1]))
    return Work(Invocation(complete(drill.Options, usual), False, lambda _text: None), state)


class State:
    """The state of a drill before it begins."""

    def __init__(self, set_id: str) -> None:
        self.set_id = set_id
        self.kept: dict[str, t.Any] = {}


def verified(work: Work) -> Made:
    made = Verify().take(work)
    work.kept.update(made.kept)
    return made


def verdict(made: Made) -> str:
    return next(check["verdict"] for check in made.checks if check["id"] == "images.kept")


def service(image: Image) -> ServiceStart:
    return ServiceStart(name="sts", command=("/bin/sts",), image=image[0], reference=f"none@{image[0]}")


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("image", [ONE, INDEXED])
def test_a_drill_needs_nothing_but_the_set(drilled: Work, image: Image) -> None:
    assert verdict(verified(drilled)) == "pass"
    found = service_images.bring([service(image)], image_sources.of(drilled))
    assert Path(found["sts"].rootfs, "bin/sts").read_bytes() == b"of the first layer" and found["sts"].environment() == {"A": "1"}


def test_unpacked_image_is_not_read_from_set_again(drilled: Work, scene: Scene) -> None:
    verified(drilled)
    before = service_images.bring([service(ONE)], image_sources.of(drilled))
    for path in scene.files("objects/images/*"):
        (scene.repository / path).unlink()
    assert service_images.bring([service(ONE)], image_sources.of(drilled)) == before


def test_images_count_for_no_room(drilled: Work) -> None:
    made = verified(drilled)
    assert made.kept["bytes"] < t.cast("int", made.bytes)


@pytest.mark.mutation
@pytest.mark.parametrize("damage", [flip, Path.unlink])
def test_altered_or_missing_stored_image_is_not_started(drilled: Work, scene: Scene, damage: t.Callable[[Path], None]) -> None:
    verified(drilled)
    for path in scene.files("objects/images/*.tar.zst.age"):
        damage(scene.repository / path)
    made = verified(drilled)
    assert verdict(made) == "fail" and made.stops
    with pytest.raises(MissingDependency):
        service_images.bring([service(ONE)], image_sources.of(drilled))
    assert [path for path in Path(drilled.given.images.images_directory).iterdir() if path.is_dir()] == []


@pytest.mark.mutation
def test_an_image_that_the_set_does_not_keep_is_not_had(drilled: Work) -> None:
    drilled.kept["images"] = [{"image_id": f"sha256:{'7' * 64}"}]
    with pytest.raises(MissingDependency):
        service_images.bring([service((f"sha256:{'7' * 64}", b""))], image_sources.of(drilled))


def test_a_set_without_images_goes_on_as_before(drilled: Work, scene: Scene) -> None:
    older = Work(drilled.invocation, t.cast("drill_state.DrillState", State(scene.sets()[0])))
    assert verdict(verified(older)) == "not_applicable"
    assert image_sources.of(older).kept == {}
