# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small images that need much memory, time or disk: reading ends at a limit that the message names."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import time
import tracemalloc
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, StageFailed, TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._images import budget, descriptions, entries, layouts, passing, saved
from ansible_collections.caracal_ops.backup.plugins.module_utils._images.budget import Budget
from scenes import image_scene
from scenes.image_scene import archive, hex_of

MIB = 1 << 20
SECONDS = 60


def pax(field: str, size: int) -> bytes:
    """Return a pax header of about this size with one field."""
    length = size - size % 512 - 16
    data = f"{length} {field}=".encode()
    data += b"x" * (length - len(data) - 1) + b"\n"
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, len(data)
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)


def used(call: t.Callable[[], object]) -> tuple[str, int, float]:
    """Return the final error message, the peak memory in bytes, and the time."""
    tracemalloc.start()
    began = time.monotonic()
    try:
        call()
        message = ""
    except BackupError as exc:
        message = exc.msg
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return message, most, time.monotonic() - began


@pytest.mark.mutation
def test_headers_before_one_entry_have_an_end(tmp_path: Path) -> None:
    """A few hundred KiB of gzip could take 6 GiB: each header adds another field about the same entry."""
    many = b"".join(pax(f"SCHILY.xattr.{number}", MIB // 2) for number in range(40)) + archive([("one", b"1")])
    packed = gzip.compress(many, 9)
    assert len(packed) < MIB // 4
    message, most, _seconds = used(lambda: list(entries.read(io.BytesIO(many), "layer", Budget())))
    assert message and most < 16 * MIB


@pytest.mark.mutation
def test_headers_of_all_entries_have_an_end() -> None:
    one = pax("comment", MIB // 2) + archive([("one", b"1")])[:1024]
    message, most, _seconds = used(lambda: list(entries.read(io.BytesIO(one * 20), "layer", Budget(words=4 * MIB))))
    assert str(budget.WORDS_LIMIT) in message and most < 16 * MIB
    endless = tarfile.TarInfo("x")
    endless.type, endless.size = tarfile.XGLTYPE, 1 << 40
    with pytest.raises(TamperedData):
        list(entries.read(io.BytesIO(endless.tobuf(tarfile.GNU_FORMAT)), "layer", Budget()))


@pytest.mark.mutation
@pytest.mark.parametrize("kind", ["configurations", "descriptions"])
def test_descriptions_that_name_each_other_have_an_end(tmp_path: Path, kind: str) -> None:
    """An archive of a few MiB could keep its reader busy for hours if it names a configuration or an index again and again."""
    large = json.dumps({"config": {}, "fill": "x" * MIB}).encode()
    if kind == "configurations":
        texts = {"config.json": large, "manifest.json": json.dumps([{"Config": "config.json", "Layers": []}] * 40_000).encode()}
        image = f"sha256:{'0' * 64}"
    else:
        inner = json.dumps({"config": {"digest": f"sha256:{'1' * 64}"}, "fill": "x" * MIB}).encode()
        index = json.dumps({"manifests": [{"digest": f"sha256:{hex_of(inner)}"}] * 40_000}).encode()
        texts = {f"blobs/sha256/{hex_of(one)}": one for one in (inner, index)} | {"manifest.json": b"[]"}
        image = f"sha256:{hex_of(index)}"
    message, _most, seconds = used(lambda: descriptions.describe(texts.get, image, Budget()))
    assert str(budget.TEXTS_LIMIT) in message and seconds < SECONDS
    data = archive(list(texts.items()), 0o644)
    assert used(lambda: saved.keep(io.BytesIO(data), str(tmp_path), image, Budget()))[2] < SECONDS
    assert used(lambda: passing.look(io.BytesIO(data), image))[2] < SECONDS


@pytest.mark.mutation
def test_every_reader_spends_from_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image, data = image_scene.saved([archive([("one", b"1" * 5000)])])
    image_scene.layout(tmp_path / "layout", (image, data))
    reads: dict[str, t.Callable[[], object]] = {
        "saved": lambda: saved.keep(io.BytesIO(data), str(folder), image, made()),
        "passing": lambda: passing.look(io.BytesIO(data), image),
        "layout": lambda: _all(tmp_path / "layout", image),
    }
    for name, read in reads.items():
        for number, (field, little) in enumerate({"packed": 100, "texts": 100, "until": 0.0}.items()):
            folder = tmp_path / f"{name}{number}"
            folder.mkdir()

            def made(field: str = field, little: float = little) -> Budget:
                return Budget(**{field: little})

            monkeypatch.setattr(passing, "Budget", made)
            monkeypatch.setattr(layouts, "Budget", made)
            with pytest.raises(StageFailed if field == "until" else TamperedData):
                read()


def _all(layout: Path, image: str) -> None:
    with layouts.archived(str(layout), image) as source:
        while source.read(MIB):
            continue
