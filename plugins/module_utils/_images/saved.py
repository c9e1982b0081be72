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
import itertools
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
Taken = t.TypeVar("Taken")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})\Z")


@dataclasses.dataclass(frozen=True)
class Saved:
    """`layers` are files on this host, the lowest first, each with the SHA-256 of what is packed in it; `config` is as the image has it."""

    layers: t.Sequence[tuple[str, str]]
    config: t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Described:
    """`documents` are what has the id and what that names, down to the configuration; `layers` their names in the archive, the lowest
    first, each with the SHA-256 of what is packed in it."""

    documents: t.Sequence[bytes]
    layers: t.Sequence[tuple[str, str]]

    @property
    def config(self) -> dict[str, t.Any]:
        return dict(json.loads(self.documents[-1]))


def keep(source: pipes.Reader, folder: str, image_id: str) -> Saved:
    """Write what an engine saves into an empty directory, and find the image `sha256:...` in it.

    Raises OptionError, StorageError, TamperedData.
    """
    numbers = itertools.count()
    found = files(source, lambda _name, _size, data: _write(os.path.join(folder, str(next(numbers))), data))

    def text(name: str) -> bytes | None:
        return _text(found[name]) if name in found else None

    image = describe(text, image_id)
    return Saved([(_named(found, name), diff_id) for name, diff_id in image.layers], image.config)


def files(source: pipes.Reader, take: t.Callable[[str, int, pipes.Reader], Taken]) -> dict[str, Taken]:
    """What `take` makes of each file of the archive, of its name, size and bytes, by its name there. Links are other names."""
    found: dict[str, Taken] = {}
    links: dict[str, str] = {}
    left = BYTES_LIMIT
    for entry, data in entries.read(source, "what the engine saved"):
        left -= entry.size
        if len(found) + len(links) >= FILES_LIMIT or left < 0:
            raise _fault(f"it holds more than {FILES_LIMIT} files or {BYTES_LIMIT} bytes")
        name = posixpath.normpath(entry.path)
        if entry.kind == FILE:
            found[name] = take(name, entry.size, data)
        elif entry.kind in (SYMLINK, HARD_LINK):
            links[name] = _target(name, entry)
    return {**{name: found[target] for name, target in links.items() if target in found}, **found}


def describe(text: t.Callable[[str], bytes | None], image_id: str) -> Described:
    """The image `sha256:...` in an archive whose files `text` reads by name, None where one is not there. Raises TamperedData."""
    try:
        found = _chosen(text, image_id)
        diff_ids = [_hex(one) for one in found.config["rootfs"]["diff_ids"]]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as exc:
        raise _fault(f"its descriptions are not those of an image ({type(exc).__name__})") from exc
    names = [name for name, _none in found.layers]
    if not names or len(diff_ids) != len(names):
        raise _fault(f"it holds {len(names)} layers, but its configuration names {len(diff_ids)}")
    return dataclasses.replace(found, layers=list(zip(names, diff_ids, strict=True)))


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


def _chosen(text: t.Callable[[str], bytes | None], image_id: str) -> Described:
    """The image whose configuration the id vouches for. What the archive says of itself nobody vouches for: it only says where to look."""
    above: dict[str, tuple[bytes, ...]] = {_hex(image_id): (), **dict(_above(text, _hex(image_id)))}
    for one in json.loads(_needed(text, "manifest.json")):
        config = _needed(text, one["Config"])
        digest = hashlib.sha256(config).hexdigest()
        if digest in above:
            return Described([*above[digest], config], [(posixpath.normpath(name), "") for name in one["Layers"]])
    raise _fault(f"no configuration in it has the digest that is the id {image_id[:19]}...")


def _above(text: t.Callable[[str], bytes | None], image_id: str) -> t.Iterator[tuple[str, tuple[bytes, ...]]]:
    """Digests of configurations that a manifest, or an index of manifests, names whose own digest is the id; and these documents."""
    for data in _descriptions(text, image_id):
        description = json.loads(data)
        yield from ((digest, (data,)) for digest in _configuration(description))
        for one in description.get("manifests") or []:
            for other in _descriptions(text, _hex(one["digest"])):
                yield from ((digest, (data, other)) for digest in _configuration(json.loads(other)))


def _configuration(description: t.Any) -> t.Iterator[str]:
    """The digest of the configuration that a manifest names. A configuration has such a field too, of which it is none."""
    named = description.get("config") or {}
    if "digest" in named:
        yield _hex(named["digest"])


def _descriptions(text: t.Callable[[str], bytes | None], digest: str) -> t.Iterator[bytes]:
    """The one with this digest, if it is there."""
    data = text(blob(digest)) or b""
    if hashlib.sha256(data).hexdigest() == digest:
        yield data


def blob(digest: str) -> str:
    """The name of what has this SHA-256, in newer archives."""
    return f"blobs/sha256/{digest}"


def _needed(text: t.Callable[[str], bytes | None], name: str) -> bytes:
    data = text(posixpath.normpath(name))
    if data is None:
        raise _fault(f"it lacks {name[:100]!a}")
    return data


def _named(found: t.Mapping[str, Taken], name: str) -> Taken:
    if name not in found:
        raise _fault(f"it lacks {name[:100]!a}")
    return found[name]


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
