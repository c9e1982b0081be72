# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images of containers, made here: honest ones and others, as `docker image save` writes them."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
import typing as t
from pathlib import Path

# Its id, and what is saved of it.
Image = tuple[str, bytes]
Entries = t.Sequence[tarfile.TarInfo | tuple[str, bytes]]


def entry(kind: bytes, path: str, target: str = "", mode: int = 0o755) -> tarfile.TarInfo:
    """One without bytes."""
    info = tarfile.TarInfo(path)
    info.type, info.linkname, info.mode = kind, target, mode
    return info


def folder(path: str) -> tarfile.TarInfo:
    return entry(tarfile.DIRTYPE, path)


def symlink(path: str, target: str) -> tarfile.TarInfo:
    return entry(tarfile.SYMTYPE, path, target)


def hard_link(path: str, target: str) -> tarfile.TarInfo:
    return entry(tarfile.LNKTYPE, path, target)


def archive(entries: Entries, mode: int = 0o755, kind: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar archive of these entries; a file is its path and its bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as made:
        for one in entries:
            if isinstance(one, tarfile.TarInfo):
                made.addfile(one)
            else:
                info = tarfile.TarInfo(one[0])
                info.size, info.mode = len(one[1]), mode
                made.addfile(info, io.BytesIO(one[1]))
    return out.getvalue()


def hex_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def packed(data: bytes) -> bytes:
    return gzip.compress(data, 1, mtime=0)


def saved(layers: t.Sequence[bytes], environment: t.Sequence[str] = (), pack: t.Callable[[bytes], bytes] = bytes) -> tuple[str, bytes]:
    """The id of an image, and what an engine saves of it. `layers` are tar archives, the lowest first."""
    config = json.dumps(
        {"config": {"Env": list(environment)}, "rootfs": {"diff_ids": [f"sha256:{hex_of(one)}" for one in layers]}}
    ).encode()
    files = {f"blobs/sha256/{hex_of(pack(one))}": pack(one) for one in layers}
    manifest = [{"Config": f"{hex_of(config)}.json", "RepoTags": None, "Layers": [f"blobs/sha256/{hex_of(pack(one))}" for one in layers]}]
    return f"sha256:{hex_of(config)}", archive(
        [*files.items(), (f"{hex_of(config)}.json", config), ("manifest.json", json.dumps(manifest).encode())], 0o644
    )


def saver(data: bytes) -> t.Callable[[], t.ContextManager[io.BytesIO]]:
    """An engine that saves this, whatever it is asked for."""
    return lambda: contextlib.nullcontext(io.BytesIO(data))


def programs(names: t.Sequence[str], path: str, *others: tuple[str, bytes]) -> Image:
    """These programs of this host with their libraries, as a distribution without /usr merged lays them out."""
    files = {os.path.realpath(program): f"{path}/{os.path.basename(program)}" for program in names}
    for program in names:
        linked = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
        # The second path of a line, if it has two, is where the first is found.
        for name, where in re.findall(r"^\s*(?:(\S+) => )?(/\S+) \(", linked, re.MULTILINE):
            files.setdefault(where, where if not name else f"/lib/{os.path.basename(name)}")
    layer = [(target.lstrip("/"), Path(source).read_bytes()) for source, target in files.items()]
    environment = [f"PATH={path}:/usr/bin", "LD_LIBRARY_PATH=/lib"]
    return saved([archive([folder("etc"), ("etc/os", b"of the image"), *layer, *others])], environment)
