# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sources of images: an archive, an engine, a registry. The first one that has the image is used."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.engine import engine as engines
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import MissingDependency
from ansible_collections.caracal_ops.backup.plugins.module_utils._images import cache
from ansible_collections.caracal_ops.backup.plugins.module_utils._images.sources import Sources
from scenes import image_scene
from scenes.engine_stand_in import Engine
from scenes.image_scene import archive

IMAGE, DATA = image_scene.saved([archive([("one", b"1")])])
DIGEST = f"sha256:{'d' * 64}"
NAME = "registry.example:5000/caracal/go"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the image directory. Programs and sockets of this host are hidden."""
    monkeypatch.setattr(engines, "SOCKETS", ())
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "images").mkdir(mode=0o755)
    return tmp_path / "images"


def found(sources: Sources, *registry: str) -> bool:
    image, new = cache.unpacked(sources.directory, IMAGE, sources.of(IMAGE, *registry))
    return new and Path(image.rootfs, "one").read_bytes() == b"1"


def skopeo(directory: Path, data: bytes, status: int = 0) -> Path:
    """Create a skopeo that records its arguments and returns this data."""
    (directory.parent / "data").write_bytes(data)
    program = directory.parent / "bin" / "skopeo"
    script = f'echo "$@" > {directory.parent}/asked; echo "error: unauthorized" >&2'
    copy = f'case "$4" in docker-archive:*) /bin/cat {directory.parent}/data > "${{4#docker-archive:}}";; esac'
    program.write_text(f"#!/bin/sh\n{script}; {copy}; exit {status}\n")
    program.chmod(0o755)
    return directory.parent / "asked"


def test_an_archive_that_has_it_is_enough(directory: Path, engine: Engine) -> None:
    other = image_scene.saved([archive([("other", b"2")])])[1]
    paths = [directory.parent / name for name in ("other.tar", "whole.tar")]
    for path, data in zip(paths, (other, DATA), strict=True):
        path.write_bytes(data)
    assert found(Sources(str(directory), engine.address, ["/no/such/archive", *map(str, paths)]))
    assert engine.asked == []


@pytest.mark.mutation
def test_an_archive_that_became_a_pipe_is_not_waited_for(directory: Path) -> None:
    """In a directory where other users may write, one of them may have put a pipe there."""
    os.mkfifo(directory.parent / "image.tar")
    with pytest.raises(MissingDependency, match=r"image\.tar"):
        found(Sources(str(directory), None, [str(directory.parent / "image.tar")]))


def test_the_engine_comes_before_a_registry(directory: Path, engine: Engine) -> None:
    asked = skopeo(directory, DATA)
    engine.images = {IMAGE: ([], DATA)}
    assert found(Sources(str(directory), engine.address), NAME, DIGEST)
    assert not asked.exists()


@pytest.mark.parametrize("tag", ["", ":v1.0.0", f":v1.0.0@{DIGEST}"])
def test_a_registry_is_asked_by_digest(directory: Path, engine: Engine, tag: str) -> None:
    asked = skopeo(directory, DATA)
    assert found(Sources(str(directory), engine.address), f"{NAME}{tag}", DIGEST)
    assert asked.read_text().split()[:3] == ["copy", "--quiet", f"docker://{NAME}@{DIGEST}"]
    assert [path for path in directory.iterdir() if path.name.startswith(cache.NEW)] == []


@pytest.mark.parametrize(
    ("name", "digest"),
    [("", DIGEST), (NAME, ""), (NAME, IMAGE), ("--help", DIGEST), ("a b", DIGEST), ("UPPER", DIGEST), (NAME, "latest")],
)
def test_image_without_valid_name_and_digest_is_not_requested_from_registry(directory: Path, name: str, digest: str) -> None:
    """An image that was built on its host has no digest except its ID."""
    asked = skopeo(directory, DATA)
    with pytest.raises(MissingDependency):
        found(Sources(str(directory), None), name, digest)
    assert not asked.exists()


@pytest.mark.mutation
@pytest.mark.parametrize(("data", "status"), [(DATA[:700], 0), (image_scene.saved([archive([])])[1], 0), (DATA, 1)])
def test_invalid_or_failed_registry_download_is_refused(directory: Path, data: bytes, status: int) -> None:
    skopeo(directory, data, status)
    with pytest.raises(MissingDependency) as raised:
        found(Sources(str(directory), None), NAME, DIGEST)
    assert "\n" not in raised.value.msg
    assert [path.name for path in directory.iterdir() if path.suffix != ".lock"] == []


def test_each_source_reports_why_it_lacks_image(directory: Path, engine: Engine) -> None:
    skopeo(directory, DATA, 1)
    sources: t.Any = Sources(str(directory), engine.address, ["/no/such/archive"])
    with pytest.raises(MissingDependency) as raised:
        found(sources, NAME, DIGEST)
    assert all(word in raised.value.msg for word in ("/no/such/archive", str(engine.socket), "unauthorized"))
