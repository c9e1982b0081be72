# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Transfer of an image: it is first checked as a whole and then passed on layer by layer."""

from __future__ import annotations

import io
import json

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._images import layers, passing
from ansible_collections.caracal_ops.backup.plugins.module_utils._images.budget import Budget
from scenes import image_scene
from scenes.image_scene import archive, hex_of, packed, symlink

ONE, TWO = archive([("one", b"1" * 3000)]), archive([("two", b"2")])
IMAGE, DATA = image_scene.saved([ONE, TWO, ONE])
DIGESTS = [f"sha256:{hex_of(one)}" for one in (ONE, TWO)]


def handed_on(data: bytes, image: str = IMAGE, wanted: list[str] | None = None) -> dict[str, bytes]:
    seen = passing.look(io.BytesIO(data), image)
    found: dict[str, bytes] = {}

    def take(digest: str, layer: layers.Layer) -> None:
        assert digest not in found
        found[digest] = b"".join(iter(lambda: layer.read(1000), b""))
        layer.compare(digest.removeprefix("sha256:"))

    passing.hand_on(io.BytesIO(data), seen, DIGESTS if wanted is None else wanted, take)
    return found


@pytest.mark.no_false_alarm
def test_each_layer_passes_once_as_it_is_unpacked() -> None:
    assert handed_on(DATA) == dict(zip(DIGESTS, (ONE, TWO), strict=True))
    seen = passing.look(io.BytesIO(DATA), IMAGE)
    assert seen.layers == [(DIGESTS[0], len(ONE)), (DIGESTS[1], len(TWO)), (DIGESTS[0], len(ONE))]
    assert list(seen.documents) == [IMAGE]
    image, data = image_scene.saved([ONE, TWO], pack=packed)
    assert handed_on(data, image) == dict(zip(DIGESTS, (ONE, TWO), strict=True))


def test_only_what_is_wanted_is_handed_on() -> None:
    assert handed_on(DATA, wanted=DIGESTS[1:]) == {DIGESTS[1]: TWO}
    assert handed_on(DATA, wanted=[]) == {}


def test_a_layer_may_be_a_link() -> None:
    files = image_scene.files(DATA)
    manifest = json.loads(files["manifest.json"])
    manifest[0]["Layers"] = ["a/layer.tar", "b/layer.tar", "c/layer.tar"]
    del files[f"blobs/sha256/{hex_of(ONE)}"], files[f"blobs/sha256/{hex_of(TWO)}"]
    files |= {"a/layer.tar": ONE, "b/layer.tar": TWO, "manifest.json": json.dumps(manifest).encode()}
    data = archive([symlink("c/layer.tar", "../a/layer.tar"), *files.items()], 0o644)
    assert handed_on(data) == dict(zip(DIGESTS, (ONE, TWO), strict=True))


@pytest.mark.mutation
def test_bombs_end_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are not layers count too, because the layers are not known yet."""
    monkeypatch.setattr(passing, "Budget", lambda: Budget(size=100_000))
    bomb = packed(bytes(60_000))
    with pytest.raises(TamperedData):
        passing.look(io.BytesIO(archive([("a", bomb), ("b", bomb)], 0o644)), IMAGE)


@pytest.mark.mutation
def test_a_layer_that_is_gone_the_second_time_is_missed() -> None:
    seen = passing.look(io.BytesIO(DATA), IMAGE)
    files = image_scene.files(DATA)
    del files[f"blobs/sha256/{hex_of(TWO)}"]
    with pytest.raises(TamperedData):
        passing.hand_on(io.BytesIO(archive(list(files.items()), 0o644)), seen, DIGESTS, lambda _digest, _layer: None)
