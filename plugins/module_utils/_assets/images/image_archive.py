# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: store the images of running services in an open set. A drill then needs no registry."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ..._ansible.boundary import Invocation
from ..._drivers.engine.engine import Engine
from ..._errors import MissingDependency, OptionError, StorageError, TamperedData
from ..._evidence import open_set
from ..._evidence.open_set import OpenSet
from ..._images import passing
from ..._images.layers import Layer
from ..._options import declared
from ..._options.declared import Path
from ..._options.shared import OpenSetOptions, RecipientOptions, RepositoryOptions, ServiceOptions
from ..._repository import artifact as artifacts
from ..._repository import images, services
from ..._repository import layout as keys
from ..._repository.artifact import Artifact, ArtifactRecord
from ..._repository.images import Image
from ..._stream import pipes

PART = "images"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    access: RepositoryOptions
    open_set: OpenSetOptions
    recipients: RecipientOptions = dataclasses.field(default_factory=RecipientOptions)
    signing_key: Path | None = None
    services: tuple[ServiceOptions, ...] = ()
    engine: str | None = None


class ImageResult(t.TypedDict):
    """An image in the result. `shared` means that another set contains all of it."""

    image_id: str
    services: list[str]
    shared: bool


class ImagesResult(t.TypedDict):
    """The archive's part of the module's result."""

    images: list[ImageResult]
    bytes: int
    bytes_written: int


class ImagesPart(t.TypedDict):
    """The archive's part of the set."""

    artifacts: list[ArtifactRecord]
    images: list[images.ImageRecord]
    result: ImagesResult


class ArchiveResult(ImagesResult):
    """The set `set_id`, and the time for its images in seconds. `diff` lists the images."""

    changed: bool
    set_id: str
    diff: dict[str, str]
    seconds: float


def run(invocation: Invocation[Options]) -> ArchiveResult:
    """Encrypt what the newest set does not contain, and add the part. In check mode, only check that the engine has the images."""
    started = time.monotonic()
    given = invocation.options
    wanted = _wanted(given.services)
    target = open_set.load(given.access, given.open_set, given.signing_key, given.recipients, invocation.check_mode)
    content = target.parts()
    if PART in content:
        result: ImagesResult = content[PART]["result"]
    else:
        there = [one.key for one in target.store.list(keys.IMAGES) if keys.maker_of(one.key) == target.set_id]
        target.refuse_leftovers(there)
        dry = invocation.check_mode or not target.opened
        made = _Archive(target, given.engine).predict(wanted) if dry else _Archive(target, given.engine).make(wanted)
        result = made["result"]
        if not dry:
            target.add_part(PART, made)
    listing = "".join(f"{one['image_id']} {', '.join(one['services'])}\n" for one in result["images"])
    changed = PART not in content
    diff = {"before": "" if changed else listing, "after": listing}
    seconds = round(time.monotonic() - started, 3)
    return {**result, "changed": changed, "set_id": target.set_id, "diff": diff, "seconds": seconds}


def _wanted(given: t.Sequence[ServiceOptions]) -> dict[str, list[str]]:
    """Return the image IDs, each with the services that run from it."""
    found: dict[str, set[str]] = {}
    for one in services.given(given):
        found.setdefault(one.image_id, set()).add(one.service)
    if not found:
        raise OptionError("services is empty, so there is no image to back up; set it to the services that deployment_info returns")
    return {image_id: sorted(names) for image_id, names in sorted(found.items())}


class _Archive:
    """Layers that are already encrypted for the current recipients, and layers that still have to be."""

    def __init__(self, target: OpenSet, engine: str | None) -> None:
        self._target = target
        self._address = engine
        self._known, self._held = _earlier(target)
        self._new: dict[str, Artifact] = {}

    def predict(self, wanted: t.Mapping[str, list[str]]) -> ImagesPart:
        """Return the part without the objects that still have to be encrypted.

        Raises MissingDependency for an image that the engine does not have.
        """
        found = [image for image_id in wanted if (image := self._shared(image_id))]
        for image_id in wanted.keys() - {one.image_id for one in found}:
            if not Engine(self._address).has(image_id):
                raise _gone(image_id, wanted[image_id])
        return self._part(wanted, found, found)

    def make(self, wanted: t.Mapping[str, list[str]]) -> ImagesPart:
        shared = [image for image_id in wanted if (image := self._shared(image_id))]
        there = {one.image_id: one for one in shared}
        return self._part(wanted, [there.get(image_id) or self._archived(image_id, names) for image_id, names in wanted.items()], shared)

    def _shared(self, image_id: str) -> Image | None:
        """Return an image that is complete in earlier sets. It needs neither encryption nor the engine."""
        known = self._known.get(image_id)
        return known if known and known.digests <= self._held.keys() else None

    def _archived(self, image_id: str, names: t.Sequence[str]) -> Image:
        engine = Engine(self._address)
        if not engine.has(image_id):
            raise _gone(image_id, names)
        try:
            return self._sealed(engine, image_id)
        except TamperedData as exc:
            raise exc.reworded(f"image {image_id} of {', '.join(names)[:200]} was not backed up: {exc.msg}") from exc

    def _sealed(self, engine: Engine, image_id: str) -> Image:
        """Encrypt an image. All of it is verified before any object is published."""
        with engine.saved(image_id) as source:
            seen = passing.look(source, image_id)
        paths = {digest: keys.image_key(digest, self._target.set_id, layer=False) for digest in seen.documents}
        paths |= {digest: keys.image_key(digest, self._target.set_id, layer=True) for digest, _size in seen.layers}
        paths = {digest: path for digest, path in paths.items() if digest not in self._held}
        for digest, text in seen.documents.items():
            if digest in paths:
                self._seal_text(digest, paths[digest], text)
        missing = {digest for digest, _size in seen.layers} & paths.keys()
        if missing:
            with engine.saved(image_id) as source:
                passing.hand_on(source, seen, missing, lambda digest, layer: self._seal_layer(digest, paths[digest], layer))
        return Image(image_id, tuple(seen.documents), tuple(images.Layer(*one) for one in seen.layers))

    def _seal_text(self, digest: str, path: str, text: bytes) -> None:
        with self._target.sealed(path) as (sealer, publish):
            sealer.write(text)
            self._add(self._target.artifact(artifacts.IMAGE, path, publish(path), digest))

    def _seal_layer(self, digest: str, path: str, layer: Layer) -> None:
        with self._target.sealed(path) as (sealer, publish):
            pipes.copy(layer, sealer)
            layer.compare(digest.removeprefix("sha256:"))
            self._add(self._target.artifact(artifacts.IMAGE, path, publish(path), digest))

    def _add(self, made: Artifact) -> None:
        self._new[str(made.source)] = self._held[str(made.source)] = made

    def _part(self, wanted: t.Mapping[str, list[str]], found: t.Sequence[Image], shared: t.Sequence[Image]) -> ImagesPart:
        if images.are_too_large(found):
            raise OptionError(f"the images have more than {images.BYTES_LIMIT} bytes, the limit of a set; do not back them up")
        named = [self._held[digest] for digest in sorted(frozenset().union(*(one.digests for one in found)))]
        results: list[ImageResult] = [
            {"image_id": image_id, "services": names, "shared": image_id in {one.image_id for one in shared}}
            for image_id, names in wanted.items()
        ]
        written = sum(one.size for one in self._new.values())
        return {
            "artifacts": [one.to_dict() for one in named],
            "images": [one.to_dict() for one in found],
            "result": {"images": results, "bytes": sum(one.size for one in named), "bytes_written": written},
        }


def _gone(image_id: str, names: t.Sequence[str]) -> MissingDependency:
    return MissingDependency(
        f"image {image_id} of {', '.join(names)[:200]} is not in the engine, "
        "or was removed while its containers run; recreate these services"
    )


def _earlier(target: OpenSet) -> tuple[dict[str, Image], dict[str, Artifact]]:
    """Return the newest set's images by ID, and its objects by digest that all current recipients can decrypt.

    Both are empty for a damaged set.
    """
    record = target.opened.catalog.newest() if target.opened else None
    if not target.opened or not record:
        return {}, {}
    try:
        manifest = target.opened.catalog.read(record.set_id).manifest
    except (TamperedData, StorageError):
        return {}, {}
    recipients = {one.fingerprint for one in target.recipients}
    held = {}
    for digest, one in images.objects(manifest.artifacts).items():
        stored = target.store.stat(one.path) if recipients <= set(one.recipients) else None
        if stored is not None and stored.size == one.size:
            held[digest] = dataclasses.replace(one, shared_from=one.shared_from or record.set_id)
    return {one.image_id: one for one in manifest.images}, held
