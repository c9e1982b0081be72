# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read images from a set in the format of `docker image save`, and verify that they match their IDs."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import typing as t

from ..._errors import BackupError, ObjectMissing, OptionError, StageFailed, StorageError, TamperedData
from ..._evidence import access
from ..._images import descriptions
from ..._images import saved as archives
from ..._images.budget import Budget
from ..._options.shared import RepositoryOptions
from ..._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, Check
from ..._repository import images, objects
from ..._repository.artifact import Artifact
from ..._repository.images import Image
from ..._stream import pipes

CHECK_ID = "images.kept"


@dataclasses.dataclass(frozen=True)
class Source:
    """A set, and the identities that decrypt its images."""

    access: RepositoryOptions
    set_id: str
    identity_files: tuple[str, ...]


@contextlib.contextmanager
def saved(source: Source, image_id: str) -> t.Iterator[pipes.Reader]:
    """Stream an image that the set contains.

    An error of the store is not about this host's disk. So it becomes a StageFailed, and the caller tries the next source of
    the image.
    """
    with contextlib.closing(_archive(source, image_id)) as pieces:
        yield pipes.Pieces(pieces)


def _archive(source: Source, image_id: str) -> t.Generator[bytes, None, None]:
    try:
        kept = _Kept(source)
        image = next((one for one in kept.images if one.image_id == image_id), None)
        if image is None:
            raise OptionError(f"set {source.set_id} does not contain image {image_id[:19]}; use a source that contains it")
        yield from kept.archive(image)
    except StorageError as exc:
        raise StageFailed.caused_by(exc, f"cannot read image {image_id[:19]} from set {source.set_id}: {exc.msg}") from exc


def check(source: Source) -> Check:
    """Check that every image in the set matches its ID. All bytes are decrypted. The check does not apply to a set without images."""
    kept = _Kept(source)
    if not kept.images:
        return Check(CHECK_ID, NOT_APPLICABLE, "the set contains no images", required=False)
    try:
        layers = kept.compare()
    except (TamperedData, ObjectMissing) as exc:
        return Check(CHECK_ID, FAIL, exc.msg)
    except BackupError as exc:
        return Check(CHECK_ID, UNPROVEN, exc.msg)
    return Check(CHECK_ID, PASS, f"{len(kept.images)} images, their configurations and {layers} layers match their IDs")


class _Kept:
    """The images of a set, and their objects by digest."""

    def __init__(self, source: Source) -> None:
        catalog = access.open_repository(source.access).catalog
        found = catalog.read(catalog.get(source.set_id).set_id)
        self.images = found.manifest.images
        self._objects = images.objects(found.manifest.artifacts)
        self._signed = catalog.signed(found)
        self._identities = source.identity_files

    def archive(self, image: Image) -> t.Iterator[bytes]:
        """Yield the archive of an image: descriptions first, since the reader needs them, then each layer once."""
        documents = [self._text(digest) for digest in image.documents]
        for name, text in _texts(image, documents).items():
            yield from archives.file(name, len(text), [text])
        for layer in dict.fromkeys(image.layers):
            yield from archives.file(_name(layer.digest), layer.size, self._pieces(layer))
        yield archives.END

    def compare(self) -> int:
        """Return the number of layers. Raise TamperedData if any content does not match an ID."""
        for image in self.images:
            texts = _texts(image, [self._text(digest) for digest in image.documents])
            described = descriptions.describe(texts.get, image.image_id, Budget())
            if [f"sha256:{diff_id}" for _name, diff_id in described.layers] != [one.digest for one in image.layers]:
                raise TamperedData(f"image {image.image_id} has other layers than the set records; use another set")
        layers = {layer for image in self.images for layer in image.layers}
        for layer in sorted(layers, key=lambda one: one.digest):
            digest = hashlib.sha256()
            for piece in self._pieces(layer):
                digest.update(piece)
            self._is(layer.digest, digest.hexdigest())
        return len(layers)

    def _text(self, digest: str) -> bytes:
        with objects.open_sealed(self._signed, self._object(digest).path, self._identities) as source:
            data = source.read_all(descriptions.TEXT_LIMIT)
        self._is(digest, hashlib.sha256(data).hexdigest())
        return data

    def _pieces(self, layer: images.Layer) -> t.Iterator[bytes]:
        """Yield exactly as many bytes as the signed size."""
        path, left = self._object(layer.digest).path, layer.size
        with objects.open_sealed(self._signed, path, self._identities) as source:
            while piece := source.read(pipes.PIECE):
                left -= len(piece)
                if left < 0:
                    break
                yield piece
        if left:
            raise TamperedData(f"{path} does not contain a layer of {layer.size} bytes; use another set")

    def _is(self, digest: str, found: str) -> None:
        if digest != f"sha256:{found}":
            raise TamperedData(f"{self._object(digest).path} has the digest sha256:{found}; use another set")

    def _object(self, digest: str) -> Artifact:
        return self._objects[digest]


def _texts(image: Image, documents: t.Sequence[bytes]) -> dict[str, bytes]:
    """Return the files of an archive that describe its other files."""
    names = [_name(digest) for digest in image.documents]
    manifest = [{"Config": names[-1], "RepoTags": None, "Layers": [_name(one.digest) for one in image.layers]}]
    return {descriptions.MANIFEST: json.dumps(manifest).encode(), **dict(zip(names, documents, strict=True))}


def _name(digest: str) -> str:
    return descriptions.blob(digest.removeprefix("sha256:"))
