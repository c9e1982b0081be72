# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an image says of itself: documents that name each other, and its layers, by digest.

Sources: `docker image save`, and the OCI image layout. Which image it is, its id tells: the SHA-256 of the configuration, or of the
description that names the configuration by digest. The configuration names each layer by digest too, so the id vouches for every byte.
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

# Registries take none that is larger.
TEXT_LIMIT = 4 << 20
# Of descriptions of one layout: far more than an image has platforms.
DESCRIPTIONS_LIMIT = 256
# What a look for one counts at least, found or not.
LEAST_READING = 512
MANIFEST, INDEX = "manifest.json", "index.json"
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})\Z")
# What the OCI calls the machines whose names are others.
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm"}
Text = t.Callable[[str], "bytes | None"]


@dataclasses.dataclass(frozen=True)
class Described:
    """`documents` are what has the id and what that names, down to the configuration; `layers` their names in the archive, the lowest
    first, each with the SHA-256 of what is packed in it; `sizes` are those of layers as they are packed, where somebody says them."""

    documents: t.Sequence[bytes]
    layers: t.Sequence[tuple[str, str]]
    sizes: t.Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def config(self) -> dict[str, t.Any]:
        return dict(json.loads(self.documents[-1]))


def describe(text: Text, image_id: str, budget: Budget) -> Described:
    """The image `sha256:...` in an archive whose files `text` reads by name, None where one is not there. Raises TamperedData, and what the
    budget raises, from which every reading is spent."""
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
    """The image whose configuration the id vouches for. What the archive says of itself nobody vouches for: it only says where to look."""
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
    """Below the description with the id; or, where the id is that of a configuration, wherever the index leads."""
    vouched = list(_descriptions(text, image_id))
    # A configuration has neither.
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
    """Those whose manifest and configuration are there, below an index of any depth."""
    waiting: collections.deque[tuple[bytes, tuple[bytes, ...]]] = collections.deque((one, (one,)) for one in top)
    looked = {seen}
    while waiting:
        data, above = waiting.popleft()
        description = json.loads(data)
        for digest in _configuration(description):
            names = [(blob(_hex(one["digest"])), _size(one["size"])) for one in description["layers"]]
            layers, sizes = [(name, "") for name, _bytes in names], dict(names)
            yield from (Described([*above, config], layers, sizes) for config in _descriptions(text, digest))
        for digest in dict.fromkeys(_hex(one["digest"]) for one in description.get("manifests") or []):
            if digest not in looked:
                looked.add(digest)
                waiting.extend((one, (*above, one)) for one in _descriptions(text, digest))
            if len(looked) > DESCRIPTIONS_LIMIT:
                raise fault(f"it has more than {DESCRIPTIONS_LIMIT} manifests")


def _bounded(text: Text, budget: Budget) -> Text:
    """The same with an end: descriptions may name each other again and again."""

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
    """One that does not say fits."""
    return all(config.get(name, own) == own for name, own in zip(("os", "architecture"), _this_host(), strict=True))


def _above(text: Text, image_id: str) -> t.Iterator[tuple[str, tuple[bytes, ...]]]:
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


def _descriptions(text: Text, digest: str) -> t.Iterator[bytes]:
    """The one with this digest, if it is there."""
    data = text(blob(digest)) or b""
    if hashlib.sha256(data).hexdigest() == digest:
        yield data


def blob(digest: str) -> str:
    """The name of what has this SHA-256, in newer archives."""
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
    """Of an image that is not what it says."""
    return TamperedData(f"the saved image is not the expected image: {what}; pull the image again, then run this again")
