# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""OCI layouts: an image written by skopeo, umoci or buildah is accepted, and no other file of the directory is read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, MissingDependency, TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._images import cache, descriptions, layouts
from ansible_collections.caracal_ops.backup.plugins.module_utils._images.budget import Budget
from ansible_collections.caracal_ops.backup.plugins.module_utils._images.sources import Sources
from harness.users import only_root
from scenes import image_scene
from scenes.image_scene import archive, hex_of, packed

ONE = image_scene.saved([archive([("one", b"1")]), archive([("two", b"2" * 100_000)])], ["A=1"], packed)
OTHER = image_scene.saved([archive([("other", b"3")])])
Change = t.Callable[[Path], object]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir(mode=0o755)
    return tmp_path / "images"


def unpack(images: Path, folder: Path, image: str) -> dict[str, int]:
    """Unpack the image in the same way as every module that starts a program from it. Return names and sizes of its files."""
    sources = Sources(str(images), "unix:///no/such/socket", [str(folder)])
    save, *_engine = sources.of(image)
    found, _new = cache.unpacked(str(images), image, [save])
    return {path.name: path.stat().st_size for path in Path(found.rootfs).iterdir()}


def refused(images: Path, folder: Path, image: str = ONE[0]) -> str:
    """Return the one-line error. No file of the image remains."""
    with pytest.raises(MissingDependency) as raised:
        unpack(images, folder, image)
    assert [path for path in images.iterdir() if path.suffix != ".lock"] == []
    assert "\n" not in raised.value.msg
    return raised.value.msg


def fault(folder: Path, image: str = ONE[0]) -> BackupError:
    with pytest.raises(BackupError) as raised, layouts.archived(str(folder), image) as source:
        while source.read(1 << 16):
            pass
    return raised.value


def blob(folder: Path, data: bytes) -> Path:
    return folder / "blobs/sha256" / hex_of(data)


def replace(path: Path, data: bytes = b"") -> Path:
    path.unlink()
    path.write_bytes(data)
    return path


LAYER = image_scene.files(ONE[1])[json.loads(image_scene.files(ONE[1])["manifest.json"])[0]["Layers"][1]]
ONES = {"one": 1, "two": 100_000}


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("nested", [0, 1, 5])
@pytest.mark.parametrize("configured", [True, False], ids=["configuration", "description"])
def test_an_image_by_its_id(images: Path, tmp_path: Path, configured: bool, nested: int) -> None:
    ids = image_scene.layout(tmp_path / "layout", ONE, configured=configured, nested=nested)
    assert unpack(images, tmp_path / "layout", ids[0]) == ONES


@pytest.mark.no_false_alarm
def test_one_of_several(images: Path, tmp_path: Path) -> None:
    """Parts of the other images are not read."""
    image_scene.layout(tmp_path / "layout", OTHER, ONE, nested=1)
    blob(tmp_path / "layout", archive([("other", b"3")])).unlink()
    assert unpack(images, tmp_path / "layout", ONE[0]) == ONES
    assert "does not exist" in fault(tmp_path / "layout", OTHER[0]).msg


def of_machine(name: str, architecture: str) -> image_scene.Image:
    """Return an image that names its architecture."""
    layer = archive([(name, b"1")])
    names = image_scene.files(image_scene.saved([layer])[1])
    config = json.dumps({"os": "linux", "architecture": architecture, "rootfs": {"diff_ids": [f"sha256:{hex_of(layer)}"]}}).encode()
    manifest = [{**json.loads(names["manifest.json"])[0], "Config": "config.json"}]
    content = {**names, "config.json": config, "manifest.json": json.dumps(manifest).encode()}
    return f"sha256:{hex_of(config)}", archive(list(content.items()), 0o644)


def test_layout_with_several_platforms_yields_image_of_this_host(images: Path, tmp_path: Path) -> None:
    own = descriptions._this_host()[1]
    others = [of_machine(name, name) for name in ("s390x", "unknown")]
    image = image_scene.layout(tmp_path / "layout", others[0], of_machine("own", own), others[1], configured=False, nested=1)
    assert unpack(images, tmp_path / "layout", image[0]) == {"own": 1}
    # A caller who names an image by its configuration has chosen the platform.
    assert unpack(images, tmp_path / "layout", others[0][0]) == {"s390x": 1}
    other = image_scene.layout(tmp_path / "others", *others, configured=False, nested=1)
    assert f"linux/{own}" in fault(tmp_path / "others", other[0]).msg


@pytest.mark.no_false_alarm
def test_an_archive_of_a_layout(images: Path, tmp_path: Path) -> None:
    """The archive that skopeo writes for oci-archive."""
    image_scene.layout(tmp_path / "layout", OTHER, ONE)
    subprocess.run(["tar", "-C", str(tmp_path / "layout"), "-cf", str(tmp_path / "oci.tar"), "."], check=True)
    assert unpack(images, tmp_path / "oci.tar", ONE[0]) == ONES


@pytest.mark.no_false_alarm
def test_directory_with_docker_manifest_next_to_layout_is_accepted(images: Path, tmp_path: Path) -> None:
    """Docker writes its own manifest next to the layout."""
    image_scene.layout(tmp_path / "layout", ONE)
    (tmp_path / "layout/manifest.json").write_bytes(b"[]")
    assert unpack(images, tmp_path / "layout", ONE[0]) == ONES


def linked(path: Path) -> None:
    """Replace a file with a link to its new path."""
    shutil.move(path, path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def without_end(folder: Path, width: int) -> None:
    """Return an index of many entries, each of which is an index."""
    named = []
    for number in range(width):
        data = json.dumps({"manifests": [], "annotations": {"n": str(number)}}).encode()
        blob(folder, data).write_bytes(data)
        named.append({"digest": f"sha256:{hex_of(data)}", "size": len(data)})
    (folder / "index.json").write_text(json.dumps({"manifests": named}))


HOSTILE: dict[str, tuple[Change, str]] = {
    "no mark": (lambda folder: (folder / "oci-layout").unlink(), "oci-layout"),
    "another version": (lambda folder: (folder / "oci-layout").write_text('{"imageLayoutVersion": "2.0.0"}'), "oci-layout"),
    "a mark that is none": (lambda folder: (folder / "oci-layout").write_text("[" * 100_000), "oci-layout"),
    "no index": (lambda folder: (folder / "index.json").unlink(), "index.json"),
    "an index that is a link": (lambda folder: linked(folder / "index.json"), "index.json"),
    "an index that is too long": (lambda folder: os.truncate(folder / "index.json", descriptions.TEXT_LIMIT + 1), "index.json"),
    "an index of another kind": (lambda folder: (folder / "index.json").write_text("7"), "not the expected image"),
    "an index of nothing": (lambda folder: (folder / "index.json").write_text("{}"), "not the expected image"),
    "an index without end": (lambda folder: without_end(folder, descriptions.DESCRIPTIONS_LIMIT + 1), "manifests"),
    "parts that are a link": (lambda folder: linked(folder / "blobs"), "blobs"),
    "parts that are a file": (lambda folder: (shutil.rmtree(folder / "blobs"), (folder / "blobs").write_text("")), "blobs"),
    "a layer that is a link": (lambda folder: linked(blob(folder, LAYER)), hex_of(LAYER)),
    "a layer that is a pipe": (lambda folder: (blob(folder, LAYER).unlink(), os.mkfifo(blob(folder, LAYER))), hex_of(LAYER)),
    "a layer that is a directory": (lambda folder: (blob(folder, LAYER).unlink(), blob(folder, LAYER).mkdir()), hex_of(LAYER)),
    "a layer that is not there": (lambda folder: blob(folder, LAYER).unlink(), hex_of(LAYER)),
    "a layer that is another": (lambda folder: replace(blob(folder, LAYER), LAYER[:-1] + b"x"), hex_of(LAYER)),
    "a layer that is too short": (lambda folder: os.truncate(blob(folder, LAYER), len(LAYER) - 1), hex_of(LAYER)),
    "a layer that is too long": (lambda folder: os.truncate(blob(folder, LAYER), 1 << 40), hex_of(LAYER)),
}


@pytest.mark.mutation
@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_layout_is_refused_and_named(images: Path, tmp_path: Path, what: str) -> None:
    image_scene.layout(tmp_path / "layout", ONE)
    change, named = HOSTILE[what]
    change(tmp_path / "layout")
    found = fault(tmp_path / "layout")
    assert isinstance(found, TamperedData) and named in found.msg
    assert named in refused(images, tmp_path / "layout")


@pytest.mark.mutation
@only_root
def test_a_device_is_not_opened(tmp_path: Path) -> None:
    image_scene.layout(tmp_path / "layout", ONE)
    blob(tmp_path / "layout", LAYER).unlink()
    os.mknod(blob(tmp_path / "layout", LAYER), 0o20666, os.makedev(1, 5))
    assert hex_of(LAYER) in fault(tmp_path / "layout").msg


@pytest.mark.mutation
@pytest.mark.parametrize("of", ["manifest", "configuration"])
def test_a_description_that_was_altered(images: Path, tmp_path: Path, of: str) -> None:
    (image,) = image_scene.layout(tmp_path / "layout", ONE, configured=False)
    name = image if of == "manifest" else json.loads((tmp_path / "layout/blobs/sha256" / image[7:]).read_bytes())["config"]["digest"]
    path = tmp_path / "layout/blobs/sha256" / name[7:]
    path.write_bytes(path.read_bytes() + b" ")
    for asked in (image, ONE[0]):
        assert name[7:] in fault(tmp_path / "layout", asked).msg and name[7:] in refused(images, tmp_path / "layout", asked)


@pytest.mark.mutation
@pytest.mark.parametrize("size", ["7", -1, 1 << 60, 1.5, None])
def test_a_size_that_is_none(tmp_path: Path, size: t.Any) -> None:
    image_scene.layout(tmp_path / "layout", ONE)
    (config,) = (path for path in (tmp_path / "layout/blobs/sha256").iterdir() if hex_of(path.read_bytes()) == ONE[0][7:])
    layers = [{"digest": f"sha256:{hex_of(LAYER)}", "size": size}] * 2
    data = json.dumps({"config": {"digest": f"sha256:{config.name}"}, "layers": layers}).encode()
    blob(tmp_path / "layout", data).write_bytes(data)
    (tmp_path / "layout/index.json").write_text(json.dumps({"manifests": [{"digest": f"sha256:{hex_of(data)}"}]}))
    assert isinstance(fault(tmp_path / "layout"), TamperedData)


@pytest.mark.mutation
def test_descriptions_have_an_end_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image_scene.layout(tmp_path / "layout", ONE, OTHER)
    monkeypatch.setattr(layouts, "Budget", lambda: Budget(texts=400))
    assert isinstance(fault(tmp_path / "layout"), TamperedData)
