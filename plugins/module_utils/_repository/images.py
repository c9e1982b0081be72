# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The container images in a set, and the objects that each image consists of. The image ID covers all of them by digest."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from . import artifact as artifacts
from . import layout
from .artifact import Artifact
from .fields import Fields

# The same limit as for services; container engines allow 127 layers.
LIMIT = 1000
LAYERS_LIMIT = 1000
# An index, a manifest and a configuration.
DOCUMENTS_LIMIT = 3
# Limit for the unpacked bytes of all images, because a few encrypted bytes can unpack to an unlimited size.
BYTES_LIMIT = 32 << 30
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


class LayerRecord(t.TypedDict):
    """A layer in the manifest; `Layer` describes the fields."""

    digest: str
    size: int


class ImageRecord(t.TypedDict):
    """An image in the manifest or in a part of a set; `Image` describes the fields."""

    image_id: str
    documents: list[str]
    layers: list[LayerRecord]


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer. `digest` and `size` (in bytes) are of the uncompressed tar archive."""

    digest: str
    size: int


@dataclasses.dataclass(frozen=True)
class Image:
    """An image. `layers` starts with the lowest one.

    `documents` are digests: first the document with the image ID, then the documents that it names, down to the
    configuration.
    """

    image_id: str
    documents: tuple[str, ...]
    layers: tuple[Layer, ...]

    @property
    def digests(self) -> frozenset[str]:
        """Digests of all documents and layers of the image."""
        return frozenset((*self.documents, *(one.digest for one in self.layers)))

    def to_dict(self) -> ImageRecord:
        layers: list[LayerRecord] = [{"digest": one.digest, "size": one.size} for one in self.layers]
        return {"image_id": self.image_id, "documents": list(self.documents), "layers": layers}


class ImageResult(t.TypedDict):
    """An image of a set as modules return it."""

    image_id: str
    bytes: int


def parse(values: t.Sequence[object], name: str) -> tuple[Image, ...]:
    """Parse the images of a document. Raises TamperedData."""
    if len(values) > LIMIT:
        raise Fields({}, name).fault(f"names more than {LIMIT} images")
    found = tuple(_parsed(Fields(one, f"images[{number}] of {name}")) for number, one in enumerate(values))
    if len({one.image_id for one in found}) != len(found):
        raise Fields({}, name).fault("names an image twice")
    if are_too_large(found):
        raise Fields({}, name).fault(f"names images of more than {BYTES_LIMIT} bytes")
    return found


def are_too_large(found: t.Iterable[Image]) -> bool:
    """Return whether the images exceed the limit of a set. Each layer is counted once."""
    return sum(one.size for one in {layer for image in found for layer in image.layers}) > BYTES_LIMIT


def _parsed(fields: Fields) -> Image:
    image_id, documents = fields.text("image_id", _DIGEST), fields.texts("documents")
    if not 0 < len(documents) <= DOCUMENTS_LIMIT or documents[0] != image_id or not all(map(_DIGEST.match, documents)):
        raise fields.fault("has invalid documents")
    layers = fields.array("layers")
    if not 0 < len(layers) <= LAYERS_LIMIT:
        raise fields.fault("has invalid layers")
    found = Image(image_id, documents, tuple(_layer(Fields(one, f"a layer of {fields.name}")) for one in layers))
    fields.end()
    return found


def _layer(fields: Fields) -> Layer:
    found = Layer(fields.text("digest", _DIGEST), fields.integer("size"))
    fields.end()
    return found


def objects(found: t.Iterable[Artifact]) -> dict[str, Artifact]:
    """Return the artifacts of images, by the digest of their content."""
    return {one.source: one for one in found if one.kind == artifacts.IMAGE and one.source}


def check(images: t.Sequence[Image], found: t.Iterable[Artifact], name: str) -> None:
    """Raise TamperedData unless each image has all of its artifacts exactly once, and each artifact belongs to an image."""
    wanted = {(digest, False) for image in images for digest in image.documents}
    wanted |= {(layer.digest, True) for image in images for layer in image.layers}
    there = [(one.source, layout.is_layer(one.path)) for one in found if one.kind == artifacts.IMAGE]
    if len({digest for digest, _layer in wanted}) != len(wanted) or len(there) != len(wanted) or wanted != set(there):
        raise Fields({}, name).fault("has artifacts of images that do not match its list of images")


def results(images: t.Iterable[Image], found: t.Sequence[Artifact]) -> list[ImageResult]:
    """Return the ID of each image and the size of its objects. Images can share objects."""
    there = objects(found)
    return [{"image_id": one.image_id, "bytes": sum(there[digest].size for digest in one.digests)} for one in images]
