# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images at and above the permitted size, and the resources of unpacking them: `python -m … DIRECTORY ARCHIVE IMAGE`."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import time
import typing as t
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from ansible_collections.caracal_ops.backup.plugins.module_utils._images import cache, saved
from ansible_collections.caracal_ops.backup.plugins.module_utils._images.sources import Sources
from scenes import image_scene

MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Unpacking:
    """`memory` is the additional memory of the process, in bytes; `error` is the message with which the image was refused."""

    seconds: float
    memory: int
    error: str


def unpack(directory: Path, archive: Path, image: str) -> Unpacking:
    """Unpack in a separate process, with the real limits."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", __name__, str(directory), str(archive), image]
    return Unpacking(**json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout))


def empty_files(number: int, folder: str) -> t.Iterator[bytes]:
    """Yield a tar archive of so many files in one directory, in pieces. It is built by hand because `tarfile` is slow."""
    first = tarfile.TarInfo(f"{folder}/{0:07}").tobuf(tarfile.USTAR_FORMAT)
    start, end = len(folder) + 1, len(folder) + 8
    rest = sum(first[:start]) + sum(first[end:148]) + 8 * ord(" ") + sum(first[156:])
    for one in range(number):
        name = b"%07d" % one
        yield b"".join((first[:start], name, first[end:148], b"%06o\0 " % (rest + sum(name)), first[156:]))
    yield saved.END


def image(path: Path, pieces: t.Iterable[bytes]) -> str:
    """Write what an engine saves of an image with this one layer, compressed; return its ID."""
    digest, layer = hashlib.sha256(), path.with_suffix(".layer")
    with gzip.open(layer, "wb", compresslevel=1) as out:
        for piece in pieces:
            digest.update(piece)
            out.write(piece)
    return of_layer(path, layer, digest.hexdigest())


def of_layer(path: Path, layer: Path, digest: str) -> str:
    """Write an image with a layer that is compressed already."""
    config = json.dumps({"rootfs": {"diff_ids": [f"sha256:{digest}"]}}).encode()
    texts = {"config.json": config, "manifest.json": json.dumps([{"Config": "config.json", "Layers": ["layer"]}]).encode()}
    with open(path, "wb") as out, open(layer, "rb") as packed:
        for name, text in texts.items():
            out.writelines(saved.file(name, len(text), [text]))
        out.writelines(saved.file("layer", layer.stat().st_size, iter(lambda: packed.read(MIB), b"")))
        out.write(saved.END)
    layer.unlink()
    return f"sha256:{image_scene.hex_of(config)}"


def zeros(path: Path, files: int, size: int) -> None:
    """Write a gzip layer of so many files of zeros. Each piece is a gzip member, so that it is created quickly."""
    header = tarfile.TarInfo("zeros")
    header.size = size
    piece = gzip.compress(bytes(MIB), 9) * (size // MIB)
    with open(path, "wb") as out:
        for _file in range(files):
            out.write(gzip.compress(header.tobuf(tarfile.GNU_FORMAT)) + piece)


def _main(directory: str, archive: str, image_id: str) -> None:
    sources = Sources(directory, "unix:///no/such/socket", [archive])
    before, started, error = _memory("VmRSS"), time.monotonic(), ""
    try:
        cache.unpacked(directory, image_id, sources.of(image_id)[:1])
    except BackupError as exc:
        error = exc.msg
    print(json.dumps(dataclasses.asdict(Unpacking(time.monotonic() - started, _memory("VmHWM") - before, error))))


def _memory(field: str) -> int:
    """Return `VmRSS`, the current memory, or `VmHWM`, the peak since this program started."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{field}:"))


if __name__ == "__main__":
    _main(*sys.argv[1:])
