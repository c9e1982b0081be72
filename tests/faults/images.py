# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random malicious image archives: each is refused in one line, or unpacked as declared, within bounds."""

from __future__ import annotations

import functools
import gzip
import json
import os
import random
import shutil
import tarfile
import time
import typing as t
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from ansible_collections.caracal_ops.backup.plugins.module_utils._images import cache
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import isolation
from faults.tally import LEAKED, LOST, Outcome, Tally
from scenes import image_scene

KIND = "images"
SECONDS = 30.0
NAMES = ("a", "b", "a/b", "../out", "/etc/passwd", "a/../../out", ".", "", "\udcff", "a" * 300, "proc", "dev/x", "a/.wh.b", ".wh..wh..opq")
TARGETS = ("b", "/", "..", "../../..", "/etc", "a/b", "\udcfe", "/proc/self/root", "x" * 5000)
KINDS = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.XGLTYPE, b"Z")


def layer(dice: random.Random) -> bytes:
    """Entries of all kinds, their names and what they lead to."""
    made: list[tarfile.TarInfo | tuple[str, bytes]] = []
    for _number in range(dice.randrange(1, 12)):
        name = dice.choice(NAMES)
        if dice.random() < 0.4:
            made.append((name, dice.randbytes(dice.randrange(2000))))
            continue
        entry = image_scene.entry(dice.choice(KINDS), name, dice.choice(TARGETS), dice.choice((0, 0o755, 0o6755)))
        if dice.random() < 0.3:
            entry.pax_headers = {
                dice.choice(("path", "size", "GNU.sparse.major", "comment")): dice.choice(("../x", "-1", "9" * 30, "y" * 9000))
            }
        made.append(entry)
    return image_scene.archive(made, kind=dice.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)))


def image(dice: random.Random) -> tuple[str, bytes]:
    """Its id and its archive, of which one part may be another."""
    pack: t.Callable[[bytes], bytes] = dice.choice((bytes, functools.partial(gzip.compress, compresslevel=1)))
    made = image_scene.saved([layer(dice) for _number in range(dice.randrange(1, 4))], pack=pack)
    if dice.random() < 0.3:
        made = image_scene.described(made)
    return made[0], dice.choice(DAMAGES)(made, dice)


def _bytes(made: image_scene.Image, dice: random.Random) -> bytes:
    data = bytearray(made[1])
    for _number in range(dice.randrange(1, 20)):
        data[dice.randrange(len(data))] = dice.randrange(256)
    return bytes(data)


def _repeated(made: image_scene.Image, _dice: random.Random) -> bytes:
    manifest = json.loads(image_scene.files(made[1])["manifest.json"])
    return image_scene.changed(made, **{"manifest.json": json.dumps(manifest * 5000).encode()})


DAMAGES: tuple[t.Callable[[image_scene.Image, random.Random], bytes], ...] = (
    lambda made, _dice: made[1],
    lambda made, _dice: made[1],
    _bytes,
    _repeated,
    lambda made, dice: made[1][: dice.randrange(len(made[1]))],
    lambda made, dice: dice.randbytes(len(made[1])),
    lambda made, dice: image_scene.changed(made, **{"manifest.json": json.dumps(dice.choice(([], {}, 1, [1], [{"Config": 1}]))).encode()}),
)


def run(folder: Path, tally: Tally, dice: random.Random, deadline: float, most: int | None = None) -> None:
    place = folder / "images"
    for _number in range(most or 1 << 62):
        if time.monotonic() > deadline:
            break
        place.mkdir(mode=0o755)
        made = image(dice)
        tally.add(KIND, f"{made[0][:19]} of {len(made[1])} bytes", judge(place, folder, *made))
        shutil.rmtree(place)


def judge(place: Path, folder: Path, image_id: str, data: bytes) -> Outcome:
    """Nothing lies outside of its own directory, nothing in it has rights, and each word of its command is text."""
    before, began = set(os.listdir(folder)), time.monotonic()
    try:
        unpacked, _new = cache.unpacked(str(place), image_id, [image_scene.saver(data)])
        " ".join(isolation.image(unpacked.rootfs, isolation.MADE)).encode()
        left = _wrong(Path(unpacked.folder))
    except BackupError as exc:
        left = "more than one line" if "\n" in exc.msg else _left(place)
    except Exception as exc:  # noqa: BLE001 - a traceback is a finding
        return Outcome(LOST, f"a traceback: {type(exc).__name__}: {exc}")
    if time.monotonic() - began > SECONDS:
        return Outcome(LOST, f"it took {time.monotonic() - began:.0f} s")
    if set(os.listdir(folder)) != before or left:
        return Outcome(LEAKED, left or "something lies outside")
    return Outcome()


def _left(place: Path) -> str:
    return "" if all(name.startswith(".images") for name in os.listdir(place)) else "a part of it is left"


def _wrong(folder: Path) -> str:
    for above, folders, files in os.walk(folder / "rootfs"):
        for name in (*folders, *files):
            path = os.path.join(above, name)
            about = os.lstat(path)
            if not os.path.islink(path) and (about.st_mode & 0o7022 or not (os.path.isfile(path) or os.path.isdir(path))):
                return f"{name!a} has the mode {about.st_mode:o}"
    return ""
