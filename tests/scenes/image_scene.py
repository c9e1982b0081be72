# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Container images, valid and invalid ones, as `docker image save` writes them."""

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

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import tools
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install

# Its ID, and its saved bytes.
Image = tuple[str, bytes]
Entries = t.Sequence[tarfile.TarInfo | tuple[str, bytes]]


def entry(kind: bytes, path: str, target: str = "", mode: int = 0o755) -> tarfile.TarInfo:
    """Return an entry without content."""
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
    """Return a tar archive of these entries; a file is its path and its bytes."""
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
    """Return the ID of an image, and its saved bytes. `layers` are tar archives, the lowest first."""
    config = json.dumps(
        {"config": {"Env": list(environment)}, "rootfs": {"diff_ids": [f"sha256:{hex_of(one)}" for one in layers]}}
    ).encode()
    files = {f"blobs/sha256/{hex_of(pack(one))}": pack(one) for one in layers}
    manifest = [{"Config": f"{hex_of(config)}.json", "RepoTags": None, "Layers": [f"blobs/sha256/{hex_of(pack(one))}" for one in layers]}]
    return f"sha256:{hex_of(config)}", archive(
        [*files.items(), (f"{hex_of(config)}.json", config), ("manifest.json", json.dumps(manifest).encode())], 0o644
    )


def files(data: bytes) -> dict[str, bytes]:
    """Return the content of an archive, by name."""
    with tarfile.open(fileobj=io.BytesIO(data)) as read:
        return {one.name: t.cast("io.BufferedReader", read.extractfile(one)).read() for one in read.getmembers()}


def changed(image: Image, **by_name: bytes) -> bytes:
    """Return the saved bytes of an image with some files replaced."""
    return archive(list({**files(image[1]), **by_name}.items()), 0o644)


def described(image: Image) -> Image:
    """Return the image as an engine that stores images by manifest saves it: the ID is the digest of an index."""
    names = files(image[1])
    config = next(name for name in names if name.endswith(".json") and name != "manifest.json")
    manifest = json.dumps({"config": {"digest": f"sha256:{hex_of(names[config])}"}, "layers": []}).encode()
    index = json.dumps({"manifests": [{"digest": f"sha256:{'0' * 64}"}, {"digest": f"sha256:{hex_of(manifest)}"}]}).encode()
    blobs = {f"blobs/sha256/{hex_of(one)}": one for one in (manifest, index)}
    return f"sha256:{hex_of(index)}", archive(list({**names, **blobs}.items()), 0o644)


def layout(folder: Path, *images: Image, configured: bool = True, nested: int = 0) -> list[str]:
    """Write images in an OCI layout, like skopeo; return their IDs.

    The ID is the digest of the configuration, or of the manifest if not `configured`. With `nested` index levels above
    the manifests, it is the digest of the top index.
    """
    (folder / "blobs/sha256").mkdir(parents=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def put(data: bytes) -> dict[str, t.Any]:
        (folder / "blobs/sha256" / hex_of(data)).write_bytes(data)
        return {"digest": f"sha256:{hex_of(data)}", "size": len(data)}

    ids, named = [], []
    for image, data in images:
        names = files(data)
        (manifest,) = json.loads(names["manifest.json"])
        layers = [put(names[name]) for name in manifest["Layers"]]
        named.append(put(json.dumps({"schemaVersion": 2, "config": put(names[manifest["Config"]]), "layers": layers}).encode()))
        ids.append(image if configured else named[-1]["digest"])
    for _level in range(nested):
        named = [put(json.dumps({"schemaVersion": 2, "manifests": named}).encode())]
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": named}))
    return ids if configured or not nested else [named[0]["digest"]]


def saver(data: bytes) -> t.Callable[[], t.ContextManager[io.BytesIO]]:
    """Return an engine call that saves these bytes for any request."""
    return lambda: contextlib.nullcontext(io.BytesIO(data))


def programs(names: t.Sequence[str], path: str, *others: tuple[str, bytes]) -> Image:
    """Return an image with these programs of this host and their libraries, in the layout of a distribution without a merged /usr."""
    files = {f"{path}/{os.path.basename(program)}": os.path.realpath(program) for program in names}
    return _of_host(files, [path], others)


def ran(service: str, image: str) -> dict[str, t.Any]:
    """Return the record in a set that a service ran, with an image that no registry has."""
    about = {"image": f"{service}:1", "digest": image, "image_id": image}
    return {"service": service, "replica": "1", **about, "command": [], "working_directory": "/"}


PGSQL = "/usr/local/pgsql"


def postgres(install: Install, environment: t.Sequence[str] = ()) -> Image:
    """Return an image with this host's PostgreSQL and what it needs from a system: a shell, a time zone, a locale."""
    root = os.path.commonpath(install.folders)
    found = [install.program(name) for name in ("initdb", "postgres", *tools.PROGRAMS)]
    found += [os.path.join(install.libdir, name) for name in os.listdir(install.libdir) if ".so" in name]
    found += _files(install.sharedir)
    files = {f"{PGSQL}/{os.path.relpath(path, root)}": path for path in found}
    system = ["/bin/sh", "/usr/share/zoneinfo/UTC", *_files("/usr/lib/locale/C.utf8")]
    return _of_host({**files, **{path: path for path in system}}, [f"{PGSQL}/bin", "/bin"], (), environment)


def _files(folder: str) -> list[str]:
    return [os.path.join(above, name) for above, _folders, names in os.walk(folder) for name in names]


def _of_host(files: dict[str, str], path: t.Sequence[str], others: Entries, environment: t.Sequence[str] = ()) -> Image:
    """Return an image with files of this host, by their paths in the image, and with the libraries that they need."""
    linked = [source for source in files.values() if os.access(source, os.X_OK) or ".so" in source]
    # If a line has two paths, the first is found at the second.
    output = subprocess.run(["ldd", *linked], check=False, capture_output=True, text=True).stdout
    for name, where in re.findall(r"^\s*(?:(\S+) => )?(/\S+) \(", output, re.MULTILINE):
        files.setdefault(where if not name else f"/lib/{os.path.basename(name)}", where)
    layer = [(target.lstrip("/"), Path(source).read_bytes()) for target, source in files.items()]
    variables = [f"PATH={':'.join(path)}:/usr/bin", "LD_LIBRARY_PATH=/lib", *environment]
    return saved([archive([folder("etc"), ("etc/os", b"of the image"), *layer, *others])], variables)
