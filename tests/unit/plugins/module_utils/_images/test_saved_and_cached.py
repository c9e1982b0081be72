# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image saved by an engine is trusted after its ID has been verified."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import MissingDependency, OptionError, StorageError, TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._images import cache, saved
from ansible_collections.caracal_ops.backup.plugins.module_utils._images.budget import Budget
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.images import LAYERS_LIMIT
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import isolation
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream.process import Child
from harness.waiting import eventually
from scenes import image_scene
from scenes.image_scene import archive, hex_of, symlink

LAYERS = [archive([("one", b"1")]), archive([("two", b"2")])]
IMAGE, DATA = image_scene.saved(LAYERS, ["PG_MAJOR=17"])


def keep(folder: Path, data: bytes, image: str = IMAGE) -> saved.Saved:
    folder.mkdir()
    return saved.keep(io.BytesIO(data), str(folder), image, Budget())


def files(data: bytes = DATA) -> dict[str, bytes]:
    return image_scene.files(data)


def changed(**by_name: bytes) -> bytes:
    return image_scene.changed((IMAGE, DATA), **by_name)


def described(image: bytes) -> tuple[str, bytes]:
    return image_scene.described((IMAGE, image))


@pytest.mark.no_false_alarm
def test_the_layers_of_an_image_are_found(tmp_path: Path) -> None:
    found = keep(tmp_path / "saved", DATA)
    assert [(Path(path).read_bytes(), diff_id) for path, diff_id in found.layers] == [(one, hex_of(one)) for one in LAYERS]
    assert found.config["config"]["Env"] == ["PG_MAJOR=17"]


@pytest.mark.no_false_alarm
def test_image_id_may_name_description(tmp_path: Path) -> None:
    image, data = described(DATA)
    assert len(keep(tmp_path / "index", data, image).layers) == 2


@pytest.mark.no_false_alarm
def test_configuration_in_blobs_directory_is_accepted(tmp_path: Path) -> None:
    """Docker uses this layout since release 25."""
    name = f"blobs/sha256/{CONFIG.removesuffix('.json')}"
    content = {**files(), name: files()[CONFIG], "manifest.json": json.dumps([{**MANIFEST, "Config": name}]).encode()}
    del content[CONFIG]
    assert len(keep(tmp_path / "saved", archive(list(content.items()), 0o644)).layers) == 2


@pytest.mark.mutation
def test_an_image_has_no_end_of_layers(tmp_path: Path) -> None:
    """One layer repeated many times adds nothing to an archive, but takes unlimited time."""
    image, data = image_scene.saved([LAYERS[0]] * LAYERS_LIMIT)
    assert len(keep(tmp_path / "most", data, image).layers) == LAYERS_LIMIT
    image, data = image_scene.saved([LAYERS[0]] * (LAYERS_LIMIT + 1))
    with pytest.raises(TamperedData):
        keep(tmp_path / "too many", data, image)


def test_one_of_several_images_is_found_by_its_id(tmp_path: Path) -> None:
    other, data = image_scene.saved([archive([("other", b"3")])])
    manifests = [json.loads(files(one)["manifest.json"])[0] for one in (data, DATA)]
    both = archive(list({**files(data), **files(), "manifest.json": json.dumps(manifests).encode()}.items()), 0o644)
    assert len(keep(tmp_path / "first", both).layers) == 2 and len(keep(tmp_path / "second", both, other).layers) == 1


def test_a_layer_that_is_there_twice_may_be_a_link(tmp_path: Path) -> None:
    layer = archive([("one", b"1")])
    image, data = image_scene.saved([layer, layer])
    name = f"blobs/sha256/{hex_of(layer)}"
    manifest = json.loads(files(data)["manifest.json"])
    manifest[0]["Layers"] = ["first/layer.tar", "second/layer.tar"]
    content = {**files(data), "first/layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    del content[name]
    found = keep(tmp_path / "saved", archive([*content.items(), symlink("second/layer.tar", "../first/layer.tar")], 0o644), image)
    assert found.layers[0] == found.layers[1]


MANIFEST = json.loads(files()["manifest.json"])[0]
CONFIG = MANIFEST["Config"]
HOSTILE = {
    "another configuration": changed(**{CONFIG: b'{"rootfs": {"diff_ids": []}}'}),
    "none of its configurations": changed(**{"manifest.json": json.dumps([{**MANIFEST, "Config": "none.json"}]).encode()}),
    "a layer less": changed(**{"manifest.json": json.dumps([{**MANIFEST, "Layers": MANIFEST["Layers"][:1]}]).encode()}),
    "a layer that is not there": changed(**{"manifest.json": json.dumps([{**MANIFEST, "Layers": ["../../etc/passwd"] * 2}]).encode()}),
    "no manifest": archive([("one", b"1")]),
    "a manifest of another kind": changed(**{"manifest.json": b"7"}),
    "a manifest that is none": changed(**{"manifest.json": b"[" * 100_000}),
    "an endless manifest": changed(**{"manifest.json": b" " * (saved.TEXT_LIMIT + 1)}),
    "the description of another image": described(DATA)[1],
}


@pytest.mark.mutation
@pytest.mark.parametrize("what", HOSTILE)
def test_archive_that_does_not_match_image_is_refused(tmp_path: Path, what: str) -> None:
    image = "sha256:" + "7" * 64 if what == "the description of another image" else IMAGE
    with pytest.raises(TamperedData):
        keep(tmp_path / "saved", HOSTILE[what], image)


@pytest.mark.mutation
def test_a_description_that_was_altered_vouches_for_nothing(tmp_path: Path) -> None:
    image, data = described(DATA)
    content = files(data)
    name = f"blobs/sha256/{image.removeprefix('sha256:')}"
    content[name] += b" "
    with pytest.raises(TamperedData):
        keep(tmp_path / "saved", archive(list(content.items())), image)


@pytest.mark.mutation
def test_an_archive_of_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved, "FILES_LIMIT", 3)
    with pytest.raises(TamperedData):
        keep(tmp_path / "saved", DATA)


# ---- the cache


class Engine:
    """Counts the requests for its image."""

    def __init__(self, data: bytes = DATA) -> None:
        self.data = data
        self.asked = 0

    def save(self) -> t.Any:
        self.asked += 1
        return contextlib.nullcontext(io.BytesIO(self.data))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir(mode=0o755)
    return tmp_path / "images"


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir() if path.suffix != ".lock"}


def test_an_image_is_unpacked_once(directory: Path) -> None:
    engine = Engine()
    for new in (True, False):
        image, was_new = cache.unpacked(str(directory), IMAGE, [engine.save])
        assert was_new is new and engine.asked == 1
        assert {path.name: path.read_bytes() for path in Path(image.rootfs).iterdir()} == {"one": b"1", "two": b"2"}
        assert image.environment() == {"PG_MAJOR": "17"}
        assert names(directory) == {IMAGE.removeprefix("sha256:")}
        assert set(os.listdir(image.folder)) == {"rootfs", "config.json", "size"} and image.size() > 0


@pytest.mark.mutation
def test_refused_image_leaves_no_files(directory: Path) -> None:
    wrong = Engine(changed(**{MANIFEST["Layers"][1]: archive([("two", b"other")])}))
    with pytest.raises(MissingDependency):
        cache.unpacked(str(directory), IMAGE, [wrong.save])
    assert not names(directory)
    with pytest.raises(MissingDependency):
        cache.unpacked(str(directory), IMAGE, [])
    # The next source may have the right image.
    assert cache.unpacked(str(directory), IMAGE, [wrong.save, Engine().save])[1]
    shutil.rmtree(directory / IMAGE.removeprefix("sha256:"))
    assert cache.unpacked(str(directory), IMAGE, [Engine().save])[1]


def test_leftovers_of_killed_run_and_unused_images_are_removed(directory: Path) -> None:
    unused, used, foreign = directory / ("a" * 64), directory / ("b" * 64), directory / "of somebody"
    for path in (unused, used, foreign, directory / ".new-0123"):
        (path / "rootfs").mkdir(parents=True)
    for path in (unused, foreign):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    cache.unpacked(str(directory), IMAGE, [Engine().save])
    assert names(directory) == {IMAGE.removeprefix("sha256:"), used.name, foreign.name}


def test_cache_over_its_limit_removes_longest_unused_images_first(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "KEPT_BYTES", 250_000)
    now = time.time()
    for age, name in enumerate("abcde"):
        path = directory / (name * 64)
        (path / "rootfs").mkdir(parents=True)
        (path / "size").write_text("100000")
        os.utime(path, (now, now - age * 86400 * 2 - 60))
    # A program runs in the oldest image: its mount is listed in the mount table of that process.
    with pytest.MonkeyPatch.context() as runs:
        runs.setattr(cache, "_is_in_use", lambda image: image.folder.endswith("e" * 64))
        cache.unpacked(str(directory), IMAGE, [Engine().save])
    assert names(directory) == {IMAGE.removeprefix("sha256:"), "a" * 64, "b" * 64, "e" * 64}
    cache.unpacked(str(directory), IMAGE, [])
    assert names(directory) == {IMAGE.removeprefix("sha256:"), "a" * 64, "b" * 64}
    monkeypatch.setattr(cache, "KEPT_BYTES", 0)
    cache.unpacked(str(directory), IMAGE, [])
    assert names(directory) == {IMAGE.removeprefix("sha256:"), "a" * 64}, "another run may be about to start its programs"


def test_an_image_from_which_a_program_runs_is_in_use(directory: Path) -> None:
    image, _new = cache.unpacked(str(directory), IMAGE, [Engine().save])
    assert not cache._is_in_use(image)
    bwrap = isolation.find_bwrap() or ""
    command = [bwrap, "--dev-bind", "/", "/", "--ro-bind", image.rootfs, "/mnt", "--die-with-parent", "--", "sleep", "60"]
    running = Child(command)
    try:
        eventually(lambda: cache._is_in_use(image))
    finally:
        running.kill()
    eventually(lambda: not cache._is_in_use(image))


class Stalled(io.BytesIO):
    """A source that ends in the middle without an error."""

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        while not data:
            signal.pause()
        return data


@pytest.mark.mutation
@pytest.mark.parametrize("part", [0.01, 0.5, 0.99])
def test_killed_run_does_not_block_next_run(directory: Path, part: float) -> None:
    cut = Stalled(DATA[: int(len(DATA) * part)])
    child = os.fork()
    if child == 0:
        try:
            cache.unpacked(str(directory), IMAGE, [lambda: contextlib.nullcontext(cut)])
        finally:
            os._exit(1)
    eventually(lambda: any(name.startswith(".new-") for name in names(directory)))
    os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    image, new = cache.unpacked(str(directory), IMAGE, [Engine().save])
    assert new and names(directory) == {IMAGE.removeprefix("sha256:")}
    assert sorted(os.listdir(image.rootfs)) == ["one", "two"]


@pytest.mark.mutation
def test_a_directory_that_others_may_write_is_refused(directory: Path) -> None:
    engine = Engine()
    directory.chmod(0o777)
    with pytest.raises(StorageError):
        cache.unpacked(str(directory), IMAGE, [engine.save])
    assert engine.asked == 0


@pytest.mark.parametrize("image", ["postgres:17", "sha256:../../etc", "sha256:" + "A" * 64, "a" * 64])
def test_an_image_has_an_id(directory: Path, image: str) -> None:
    with pytest.raises(OptionError):
        cache.unpacked(str(directory), image, [Engine().save])


ODD: tuple[t.Any, ...] = (None, 5, 1.5, float("inf"), True, "x", [], {}, [[]], [None], {"a": 1}, "\ud800", 10**40)


@pytest.mark.mutation
@pytest.mark.parametrize("field", ["Env", "Entrypoint", "Cmd", "WorkingDir"])
def test_start_configuration_of_any_type_yields_only_strings(tmp_path: Path, field: str) -> None:
    """Any start configuration in an image is either used, or refused with a message that names it."""
    image = cache.place(str(tmp_path), IMAGE)
    Path(image.folder).mkdir()
    for odd in ODD:
        Path(image.folder, "config.json").write_text(json.dumps({"config": {field: odd}}), encoding="utf-8")
        assert all(isinstance(one, str) for one in (*image.environment().values(), *image.command(), image.working_directory()))
