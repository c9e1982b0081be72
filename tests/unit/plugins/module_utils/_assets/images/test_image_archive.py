# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running images in sets: stored once, shared, sealed again for other recipients, and refused if they do not match their IDs."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.images import kept_images
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import MissingDependency, ObjectExists, OptionError, TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._images import passing
from scenes import image_scene
from scenes.engine_stand_in import Engine
from scenes.image_scene import Image, archive, packed
from scenes.scene import Scene, new_identity

BASE, UPPER, OTHER = (archive([(name, name.encode() * 5000)]) for name in ("base", "upper", "other"))
ONE = image_scene.saved([BASE, UPPER, BASE])
NEXT = image_scene.saved([BASE, OTHER], ["A=1"], packed)
IMAGES = "objects/images/*"
Result = dict[str, t.Any]


def ran(image: Image, service: str = "sts") -> Result:
    return {"service": service, "replica": "1", "image": f"caracal-{service}:v1", "digest": image[0], "image_id": image[0]}


@pytest.fixture
def hosted(scene: Scene, engine: Engine) -> tuple[Scene, Engine]:
    engine.images = {image: ([], data) for image, data in (ONE, NEXT)}
    return scene, engine


def keep(scene: Scene, engine: Engine, *images: Image, set_id: str | None = None, **given: t.Any) -> Result:
    """Store these images in an open set."""
    services = [ran(one, f"service-{number}") for number, one in enumerate(images)]
    options = {"set_id": set_id or scene.new_id(), "services": services, "engine": engine.address, **given}
    return scene.call("image_archive", **options)


def commit(scene: Scene, engine: Engine, *images: Image, **given: t.Any) -> Result:
    """Do the same for a whole set."""
    set_id = scene.new_id()
    scene.call("pg_encrypted_dump", set_id=set_id)
    result = keep(scene, engine, *images, set_id=set_id, **given)
    scene.call("backup_set", state="committed", set_id=set_id)
    return result


def manifest(scene: Scene) -> Result:
    found: Result = json.loads((scene.repository / "sets" / scene.sets()[-1] / "manifest.json").read_bytes())
    return found


def reads(engine: Engine) -> int:
    return len([path for path in engine.asked if path.endswith("/get")])


def drilling(scene: Scene, *files: str) -> kept_images.Source:
    return kept_images.Source(scene.access(), scene.sets()[-1], files or (str(scene.identity),))


def saved(scene: Scene, image: Image = ONE) -> bytes:
    with kept_images.saved(drilling(scene), image[0]) as source:
        return b"".join(iter(lambda: source.read(1 << 16), b""))


@pytest.mark.no_false_alarm
def test_image_is_restored_in_the_format_of_the_engine(hosted: tuple[Scene, Engine]) -> None:
    scene, engine = hosted
    result = commit(scene, engine, ONE, NEXT)
    assert [one["shared"] for one in result["images"]] == [False, False] and result["bytes"] == result["bytes_written"] > 0
    # Two configurations and three layers. One layer is in both images, and one image has it twice.
    assert len(scene.files(IMAGES)) == 5
    stored = manifest(scene)
    assert [one["image_id"] for one in stored["images"]] == sorted((ONE[0], NEXT[0]))
    for image in (ONE, NEXT):
        seen = passing.look(image_scene.saver(saved(scene, image))().__enter__(), image[0])
        assert list(seen.documents) == [image[0]]
    assert kept_images.check(drilling(scene)).verdict == "pass"
    facts = scene.call("backup_set_verify")["set_facts"]
    assert sum(one["bytes"] for one in facts["images"]) > facts["bytes"] - facts["data_bytes"] == result["bytes"]
    assert scene.call("backup_set_info")["sets"][-1]["images"] == facts["images"]
    assert "images" in scene.call("backup_set_info")["sets"][-1]["assets"]


def test_image_referenced_by_an_index_is_stored_with_the_index(hosted: tuple[Scene, Engine]) -> None:
    scene, engine = hosted
    image = image_scene.described(NEXT)
    engine.images[image[0]] = ([], image[1])
    commit(scene, engine, image)
    (stored,) = manifest(scene)["images"]
    assert len(stored["documents"]) == 3 and stored["documents"][0] == image[0]
    assert len(passing.look(image_scene.saver(saved(scene, image))().__enter__(), image[0]).layers) == 2
    assert kept_images.check(drilling(scene)).verdict == "pass"


def test_images_of_the_newest_set_are_not_exported_again(hosted: tuple[Scene, Engine]) -> None:
    scene, engine = hosted
    first = commit(scene, engine, ONE)
    asked = len(engine.asked)
    again = commit(scene, engine, ONE)
    assert len(engine.asked) == asked and again["images"][0]["shared"] and again["bytes_written"] == 0 and again["bytes"] == first["bytes"]
    shared = [one for one in manifest(scene)["artifacts"] if one["kind"] == "image"]
    assert {one["shared_from"] for one in shared} == {first["set_id"]} and len(scene.files(IMAGES)) == 3
    # From the third set on, the first set is still named as the creator.
    commit(scene, engine, ONE)
    assert [one for one in manifest(scene)["artifacts"] if one["kind"] == "image"] == shared
    assert scene.call("backup_set_verify")["verdict"] == "pass"


def test_only_a_new_layer_is_sealed(hosted: tuple[Scene, Engine]) -> None:
    scene, engine = hosted
    first = commit(scene, engine, ONE)
    second = commit(scene, engine, NEXT)
    made = [path for path in scene.files(IMAGES) if second["set_id"] in path]
    hexes = {image_scene.hex_of(OTHER), NEXT[0].removeprefix("sha256:")}
    assert {Path(path).name.partition(".")[0] for path in made} == hexes
    base = next(one for one in manifest(scene)["artifacts"] if one["source"] == f"sha256:{image_scene.hex_of(BASE)}")
    assert base["shared_from"] == first["set_id"]


def test_other_recipients_get_separate_objects(hosted: tuple[Scene, Engine]) -> None:
    scene, engine = hosted
    commit(scene, engine, ONE)
    more = new_identity(scene.root / "escrow")
    second = commit(scene, engine, ONE, recipients=[more])
    assert not second["images"][0]["shared"] and second["bytes_written"] == second["bytes"]
    assert len([path for path in scene.files(IMAGES) if second["set_id"] in path]) == 3
    # The recipient is one of the recipients of the previous set and can decrypt its objects.
    assert commit(scene, engine, ONE)["images"][0]["shared"]


def test_lost_object_is_sealed_again(hosted: tuple[Scene, Engine]) -> None:
    scene, engine = hosted
    commit(scene, engine, ONE)
    (scene.repository / next(path for path in scene.files(IMAGES) if image_scene.hex_of(UPPER) in path)).unlink()
    second = commit(scene, engine, ONE)
    (made,) = [path for path in scene.files(IMAGES) if second["set_id"] in path]
    assert image_scene.hex_of(UPPER) in made


# ---- check mode, and a second run


def test_check_mode_predicts_archived_images(hosted: tuple[Scene, Engine]) -> None:
    scene, engine = hosted
    commit(scene, engine, ONE)
    set_id, before = scene.new_id(), scene.files()
    services = [ran(ONE), ran(NEXT, "api"), ran(NEXT, "web")]
    given = {"set_id": set_id, "services": services, "engine": engine.address}
    known = reads(engine)
    predicted = scene.call("image_archive", check_mode=True, **given)
    assert scene.files() == before and reads(engine) == known
    assert {one["image_id"]: (one["services"], one["shared"]) for one in predicted["images"]} == {
        ONE[0]: (["sts"], True),
        NEXT[0]: (["api", "web"], False),
    }
    made = scene.call("image_archive", **given)
    unknown = {"bytes": 0, "bytes_written": 0, "seconds": 0}
    assert {**predicted, **unknown} == {**made, **unknown} and made["changed"]
    for check_mode in (True, False):
        again = scene.call("image_archive", check_mode=check_mode, **given)
        assert not again["changed"] and again["images"] == made["images"] and again["bytes"] == made["bytes"]


def test_check_mode_works_before_the_repository_exists(empty_scene: Scene, engine: Engine) -> None:
    engine.images = {ONE[0]: ([], ONE[1])}
    given = {"set_id": "20260102T030405Z-abcd", "services": [ran(ONE)], "engine": engine.address, "create_repository": True}
    assert empty_scene.call("image_archive", check_mode=True, **given)["changed"]


@pytest.mark.mutation
def test_refuses_missing_images(hosted: tuple[Scene, Engine]) -> None:
    scene, engine = hosted
    engine.images = {}
    usual = {"set_id": scene.new_id(), "engine": engine.address}
    scene.refused("image_archive", MissingDependency, ONE[0], "sts", services=[ran(ONE)], **usual)
    scene.refused("image_archive", OptionError, services=[], **usual)
    scene.refused("image_archive", OptionError, services=[{**ran(ONE), "image_id": "latest"}], **usual)


# ---- content that does not match the image


def hostile() -> dict[str, bytes]:
    files = image_scene.files(ONE[1])
    layer = f"blobs/sha256/{image_scene.hex_of(UPPER)}"
    config = next(name for name in files if name.endswith(".json") and name != "manifest.json")
    return {
        "another layer": image_scene.changed(ONE, **{layer: OTHER}),
        "half a layer": image_scene.changed(ONE, **{layer: packed(UPPER)[:100]}),
        "no layer": archive([(name, data) for name, data in files.items() if name != layer], 0o644),
        "another configuration": image_scene.changed(ONE, **{config: files[config] + b" "}),
        "half of it": ONE[1][: len(ONE[1]) // 2],
        "another image": NEXT[1],
        "endless descriptions": archive([(f"{number}.json", b"[" + bytes(7 << 20)) for number in range(5)], 0o644),
    }


@pytest.mark.mutation
@pytest.mark.parametrize("what", hostile())
def test_content_that_differs_from_image_is_refused_and_not_stored(hosted: tuple[Scene, Engine], what: str) -> None:
    scene, engine = hosted
    engine.images[ONE[0]] = ([], hostile()[what])
    options = {"set_id": scene.new_id(), "services": [ran(ONE)], "engine": engine.address}
    message = scene.refused("image_archive", TamperedData, ONE[0], "sts", check_mode=False, **options)
    assert scene.files(IMAGES) == [] and message
    if what == "another layer":
        assert all(image_scene.hex_of(one) in message for one in (UPPER, OTHER))


@pytest.mark.mutation
def test_an_engine_that_hands_out_something_else_later_is_refused(hosted: tuple[Scene, Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    scene, engine = hosted
    look = passing.look

    def seen_once(source: t.Any, image_id: str) -> passing.Seen:
        seen = look(source, image_id)
        engine.images[ONE[0]] = ([], hostile()["another layer"])
        return seen

    monkeypatch.setattr(passing, "look", seen_once)
    set_id = scene.new_id()
    with pytest.raises(TamperedData):
        keep(scene, engine, ONE, set_id=set_id)
    assert not [path for path in scene.files(IMAGES) if image_scene.hex_of(OTHER) in path or image_scene.hex_of(UPPER) in path]
    # The image's own objects exist without harm, as after a kill.
    assert [path for path in scene.files(IMAGES) if set_id in path] and not scene.files(f"sets/{set_id}/parts/*")
    monkeypatch.undo()
    engine.images[ONE[0]] = ([], ONE[1])
    with pytest.raises(ObjectExists):
        keep(scene, engine, ONE, set_id=set_id)
    scene.call("backup_set", state="aborted", set_id=set_id)
    assert scene.files(IMAGES) == []


# ---- stored objects


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


@pytest.mark.mutation
@pytest.mark.parametrize("what", [UPPER, ONE[0]])
@pytest.mark.parametrize("damage", [flip, Path.unlink])
def test_a_stored_object_that_was_altered_is_found(hosted: tuple[Scene, Engine], what: t.Any, damage: t.Callable[[Path], None]) -> None:
    scene, engine = hosted
    commit(scene, engine, ONE)
    digest = what.removeprefix("sha256:") if isinstance(what, str) else image_scene.hex_of(what)
    damage(scene.repository / next(path for path in scene.files(IMAGES) if digest in path))
    found = kept_images.check(drilling(scene))
    assert (found.id, found.verdict, found.required) == (kept_images.CHECK_ID, "fail", True)
    assert scene.call("backup_set_verify", require_valid=False)["verdict"] == "fail"


@pytest.mark.mutation
def test_finds_image_content_that_does_not_match_its_id(hosted: tuple[Scene, Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup host signs bytes that do not match the ID."""
    scene, engine = hosted
    look = passing.look

    def lying(source: t.Any, image_id: str) -> passing.Seen:
        seen = look(source, image_id)
        return passing.Seen({image_id: next(iter(seen.documents.values())) + b" "}, seen.layers, seen.places)

    with monkeypatch.context() as patch:
        patch.setattr(passing, "look", lying)
        commit(scene, engine, ONE)
    assert kept_images.check(drilling(scene)).verdict == "fail"
    assert scene.call("backup_set_verify")["verdict"] == "pass"


def test_images_are_unproven_without_a_matching_identity(hosted: tuple[Scene, Engine]) -> None:
    scene, engine = hosted
    assert kept_images.check(drilling(scene)).verdict == "not_applicable"
    commit(scene, engine, ONE)
    new_identity(scene.root / "stranger")
    for files in ((), (str(scene.root / "stranger"),)):
        assert kept_images.check(dataclasses.replace(drilling(scene), identity_files=files)).verdict == "unproven"
