# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""An image as a container engine saves it: one tar archive with a configuration, layers, and in newer ones their descriptions by digest.

Source: `docker image save`, and the OCI image layout. Which image it is, its id tells: the SHA-256 of the configuration, or of the
description that names the configuration by digest. The configuration names each layer by digest too, so the id vouches for every byte.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import posixpath
import re
import typing as t

from .._errors import StorageError, TamperedData
from .._stream import pipes
from . import entries
from .entries import FILE, HARD_LINK, SYMLINK, Entry
from .layers import BYTES_LIMIT

FILES_LIMIT = 4096
TEXT_LIMIT = 8 << 20
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})\Z")


@dataclasses.dataclass(frozen=True)
class Saved:
    """`layers` are files on this host, the lowest first, each with the SHA-256 of what is packed in it; `config` is as the image has it."""

    layers: t.Sequence[tuple[str, str]]
    config: t.Mapping[str, t.Any]


def keep(source: pipes.Reader, folder: str, image_id: str) -> Saved:
    """Write what an engine saves into an empty directory, and find the image `sha256:...` in it.

    Raises OptionError, StorageError, TamperedData.
    """
    files = _files(source, folder)
    try:
        described = set(_named(files, _hex(image_id)))
        config, layers = _chosen(files, {_hex(image_id), *described}, image_id)
        diff_ids = [_hex(one) for one in config["rootfs"]["diff_ids"]]
        paths = [_found(files, one) for one in layers]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as exc:
        raise _fault(f"its descriptions are not those of an image ({type(exc).__name__})") from exc
    if not paths or len(diff_ids) != len(paths):
        raise _fault(f"it holds {len(paths)} layers, but its configuration names {len(diff_ids)}")
    return Saved(list(zip(paths, diff_ids, strict=True)), config)


def _files(source: pipes.Reader, folder: str) -> dict[str, str]:
    """Where each file of the archive lies now, by its name there. Links are other names."""
    found: dict[str, str] = {}
    links: dict[str, str] = {}
    left = BYTES_LIMIT
    for entry, data in entries.read(source, "what the engine saved"):
        left -= entry.size
        if len(found) + len(links) >= FILES_LIMIT or left < 0:
            raise _fault(f"it holds more than {FILES_LIMIT} files or {BYTES_LIMIT} bytes")
        name = posixpath.normpath(entry.path)
        if entry.kind == FILE:
            found[name] = _write(os.path.join(folder, str(len(found))), data)
        elif entry.kind in (SYMLINK, HARD_LINK):
            links[name] = _target(name, entry)
    return {**{name: found[target] for name, target in links.items() if target in found}, **found}


def _target(name: str, entry: Entry) -> str:
    above = posixpath.dirname(name) if entry.kind == SYMLINK else ""
    return posixpath.normpath(posixpath.join(above, entry.target))


def _write(path: str, data: pipes.Reader) -> str:
    try:
        with open(path, "xb") as out:
            pipes.copy(data, out)
    except OSError as exc:
        raise StorageError(f"the image cannot be kept in {os.path.dirname(path)}: {exc.strerror}; make room there") from exc
    return path


def _chosen(files: t.Mapping[str, str], digests: t.Collection[str], image_id: str) -> tuple[t.Any, list[t.Any]]:
    """Configuration and names of the layers of the image whose configuration has one of these digests.

    What the archive says of itself nobody vouches for: it only says where to look.
    """
    for one in json.loads(_text(_found(files, "manifest.json"))):
        config = _text(_found(files, one["Config"]))
        if hashlib.sha256(config).hexdigest() in digests:
            return json.loads(config), list(one["Layers"])
    raise _fault(f"no configuration in it has the digest that is the id {image_id[:19]}...")


def _named(files: t.Mapping[str, str], image_id: str) -> t.Iterator[str]:
    """Digests of configurations that a manifest, or an index of manifests, names whose own digest is the id."""
    for description in _descriptions(files, image_id):
        if "config" in description:
            yield _hex(description["config"]["digest"])
        for one in description.get("manifests") or []:
            yield from (_hex(other["config"]["digest"]) for other in _descriptions(files, _hex(one["digest"])) if "config" in other)


def _descriptions(files: t.Mapping[str, str], digest: str) -> t.Iterator[t.Any]:
    """The one with this digest, if it is there."""
    path = files.get(f"blobs/sha256/{digest}")
    data = _text(path) if path else b""
    if hashlib.sha256(data).hexdigest() == digest:
        yield json.loads(data)


def _found(files: t.Mapping[str, str], name: str) -> str:
    path = files.get(posixpath.normpath(name))
    if path is None:
        raise _fault(f"it lacks {name[:100]!a}")
    return path


def _text(path: str) -> bytes:
    with open(path, "rb") as source:
        data = source.read(TEXT_LIMIT + 1)
    if len(data) > TEXT_LIMIT:
        raise _fault(f"a description has more than {TEXT_LIMIT} bytes")
    return data


def _hex(digest: str) -> str:
    found = _DIGEST.match(digest)
    if found is None:
        raise _fault(f"{digest[:80]!a} is no digest")
    return found[1]


def _fault(what: str) -> TamperedData:
    return TamperedData(f"what the engine saved is not the image: {what}; pull the image anew, then run again")
