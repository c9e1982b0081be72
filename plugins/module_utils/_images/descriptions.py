# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Descriptions in an image: documents that refer to each other, and to the layers, by digest.

Sources: `docker image save`, and the OCI image layout. An image is identified by its ID: the SHA-256 of the
configuration, or of the description that names the configuration by digest. The configuration names each layer by
digest too, so the ID covers every byte.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
import os
import posixpath
import re
import typing as t

from .._errors import TamperedData
from .._repository.images import LAYERS_LIMIT
from .budget import Budget

# Registries do not accept larger ones.
TEXT_LIMIT = 4 << 20
# Limit of descriptions in one layout: far more than an image has platforms.
DESCRIPTIONS_LIMIT = 256
# The minimum charge for each lookup, found or not.
LEAST_READING = 512
MANIFEST, INDEX = "manifest.json", "index.json"
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})\Z")
# The OCI's names for machines that have another name in Linux.
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm"}
Text = t.Callable[[str], "bytes | None"]


@dataclasses.dataclass(frozen=True)
class Described:
    """A described image.

    `documents` are the document with the ID and the documents that it names, down to the configuration. `layers` are
    the names in the archive, lowest first, each with the SHA-256 of its unpacked content. `sizes` are the packed sizes
    of layers, if the description has them.
    """

    documents: t.Sequence[bytes]
    layers: t.Sequence[tuple[str, str]]
    sizes: t.Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def config(self) -> dict[str, t.Any]:
        return dict(json.loads(self.documents[-1]))


def describe(text: Text, image_id: str, budget: Budget) -> Described:
    """Return the image `sha256:...` in an archive.

    `text` reads a file of the archive by name and returns None if it does not exist. Every read is charged to the
    budget. Raises TamperedData, and the errors of the budget.
    """
    try:
        found = _chosen(_bounded(text, budget), image_id)
        diff_ids = [_hex(one) for one in found.config["rootfs"]["diff_ids"]]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as exc:
        raise fault(f"its manifest or configuration is invalid ({type(exc).__name__})") from exc
    names = [name for name, _none in found.layers]
    if len(names) > LAYERS_LIMIT:
        raise fault(f"it has {len(names)} layers, more than {LAYERS_LIMIT}")
    if not names or len(diff_ids) != len(names):
        raise fault(f"it has {len(names)} layers, but its configuration lists {len(diff_ids)}")
    return dataclasses.replace(found, layers=list(zip(names, diff_ids, strict=True)))


def _chosen(text: Text, image_id: str) -> Described:
    """Return the image with a configuration that the ID covers. The archive's manifest is not covered: it only helps to find the files."""
    if text(MANIFEST) is None and text(INDEX) is not None:
        return _in_layout(text, _hex(image_id))
    above: dict[str, tuple[bytes, ...]] = {_hex(image_id): (), **dict(_above(text, _hex(image_id)))}
    for one in json.loads(_needed(text, MANIFEST)):
        config = _needed(text, one["Config"])
        digest = hashlib.sha256(config).hexdigest()
        if digest in above:
            return Described([*above[digest], config], [(posixpath.normpath(name), "") for name in one["Layers"]])
    raise fault(f"none of its configurations has the digest {image_id[:19]}...")


def _in_layout(text: Text, image_id: str) -> Described:
    """Return an image below the description with the ID. If the ID belongs to a configuration, search below the index."""
    vouched = list(_descriptions(text, image_id))
    # A configuration has neither field.
    if not vouched or not {"manifests", "layers"} & json.loads(vouched[0]).keys():
        found = [one for one in _images(text, [_needed(text, INDEX)], "") if hashlib.sha256(one.documents[-1]).hexdigest() == image_id]
        if not found:
            raise fault(f"none of its configurations has the digest {image_id[:12]}..., for example after a conversion to another format")
        return dataclasses.replace(found[0], documents=found[0].documents[-1:])
    found = list(_images(text, vouched, image_id))
    fitting = [one for one in found if len(found) == 1 or _is_of_this_host(one.config)]
    if not fitting:
        raise fault(f"none of its {len(found)} images is for {'/'.join(_this_host())}")
    return fitting[0]


def _images(text: Text, top: t.Sequence[bytes], seen: str) -> t.Iterator[Described]:
    """Yield the images with a stored manifest and configuration, below an index of any depth."""
    waiting: collections.deque[tuple[bytes, tuple[bytes, ...]]] = collections.deque((one, (one,)) for one in top)
    visited = {seen}
    while waiting:
        data, above = waiting.popleft()
        description = json.loads(data)
        for digest in _configuration(description):
            names = [(blob(_hex(one["digest"])), _size(one["size"])) for one in description["layers"]]
            layers, sizes = [(name, "") for name, _bytes in names], dict(names)
            yield from (Described([*above, config], layers, sizes) for config in _descriptions(text, digest))
        for digest in dict.fromkeys(_hex(one["digest"]) for one in description.get("manifests") or []):
            if digest not in visited:
                visited.add(digest)
                waiting.extend((one, (*above, one)) for one in _descriptions(text, digest))
            if len(visited) > DESCRIPTIONS_LIMIT:
                raise fault(f"it has more than {DESCRIPTIONS_LIMIT} manifests")


def _bounded(text: Text, budget: Budget) -> Text:
    """Charge all reads to the budget, because descriptions may refer to each other endlessly."""

    def read(name: str) -> bytes | None:
        data = text(name)
        budget.spend("its descriptions", texts=LEAST_READING + len(data or b""))
        return data

    return read


def _size(value: t.Any) -> int:
    if not isinstance(value, int):
        raise fault(f"{str(value)[:40]!a} is not a size")
    return value


def _this_host() -> tuple[str, str]:
    machine = os.uname().machine
    return "linux", _MACHINES.get(machine, machine)


def _is_of_this_host(config: t.Mapping[str, object]) -> bool:
    """Return whether the image is for this host. An image without a platform counts as suitable."""
    return all(config.get(name, own) == own for name, own in zip(("os", "architecture"), _this_host(), strict=True))


def _above(text: Text, image_id: str) -> t.Iterator[tuple[str, tuple[bytes, ...]]]:
    """Yield the digests of configurations named by a manifest with the ID as digest, or by an index of manifests, and these documents."""
    for data in _descriptions(text, image_id):
        description = json.loads(data)
        yield from ((digest, (data,)) for digest in _configuration(description))
        for one in description.get("manifests") or []:
            for other in _descriptions(text, _hex(one["digest"])):
                yield from ((digest, (data, other)) for digest in _configuration(json.loads(other)))


def _configuration(description: t.Any) -> t.Iterator[str]:
    """Yield the digest of the configuration that a manifest names. A configuration has a field with this name too, but without a digest."""
    named = description.get("config") or {}
    if "digest" in named:
        yield _hex(named["digest"])


def _descriptions(text: Text, digest: str) -> t.Iterator[bytes]:
    """Yield the document with this digest, if it exists."""
    data = text(blob(digest)) or b""
    if hashlib.sha256(data).hexdigest() == digest:
        yield data


def blob(digest: str) -> str:
    """Return the name of a file with this SHA-256, in newer archives."""
    return f"blobs/sha256/{digest}"


def _needed(text: Text, name: str) -> bytes:
    data = text(posixpath.normpath(name))
    if data is None:
        raise fault(f"it lacks {name[:100]!a}")
    return data


def _hex(digest: str) -> str:
    found = _DIGEST.match(digest)
    if found is None:
        raise fault(f"{digest[:80]!a} is not a digest")
    return found[1]


def fault(what: str) -> TamperedData:
    """Return the error for an image that does not match its descriptions."""
    return TamperedData(f"the saved image is not the expected image: {what}; pull the image again, then run this again")
