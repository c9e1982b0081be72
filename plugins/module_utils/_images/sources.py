# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sources of an image: a set, archives on this host, its container engine, a registry. The content is always verified by the image ID."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
import shutil
import tempfile
import typing as t

from .._drivers.engine import engine as engines
from .._errors import BackupError, OptionError
from .._files import paths
from .._stream import pipes
from .._stream.process import run
from . import cache, layouts
from .cache import Save

# The time limit for a copy of one image from a registry.
COPY_SECONDS = 3600.0
_REFERENCE = re.compile(r"[a-z0-9][A-Za-z0-9._:/-]{0,400}\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


@dataclasses.dataclass(frozen=True)
class Sources:
    """The configured sources.

    `directory` contains unpacked images. `kept` are the images in a set, by ID. `archives` are files of `docker image
    save`, or directories with OCI layouts. `engine` is the address of a socket, or None for the usual ones.
    """

    directory: str
    engine: str | None
    archives: t.Sequence[str] = ()
    kept: t.Mapping[str, Save] = dataclasses.field(default_factory=dict)

    def of(self, image_id: str, image: str = "", digest: str = "") -> list[Save]:
        """Return the ways to get an image, nearest first. A registry is used only for an `image` with a `digest` there."""
        saves = [self.kept[image_id]] if image_id in self.kept else []
        saves += [functools.partial(_archive, path, image_id) for path in self.archives]
        if self.engine or any(os.path.exists(path) for path in engines.SOCKETS):
            saves.append(lambda: engines.Engine(self.engine).saved(image_id))
        skopeo, name = shutil.which("skopeo"), _pullable(image_id, image, digest)
        if skopeo and name:
            saves.append(lambda: _registry(skopeo, f"docker://{name}@{digest}", self.directory))
        return saves

    def look(self, image_id: str, image: str = "", digest: str = "") -> None:
        """Check that one of the sources may have the image, without fetching it. Registries are not contacted and archives are not read.

        Raises MissingDependency, and OptionError for an invalid ID.
        """
        if os.path.isdir(cache.place(self.directory, image_id).folder) or image_id in self.kept:
            return
        reasons = []
        for has in (*(functools.partial(_opens, path) for path in self.archives), functools.partial(self._in_engine, image_id)):
            try:
                if has():
                    return
            except BackupError as exc:
                reasons.append(exc.msg)
        if not (shutil.which("skopeo") and _pullable(image_id, image, digest)):
            raise cache.refused(image_id, reasons)

    def _in_engine(self, image_id: str) -> bool:
        here = self.engine or any(os.path.exists(path) for path in engines.SOCKETS)
        return bool(here) and engines.Engine(self.engine).has(image_id)


def _pullable(image_id: str, image: str, digest: str) -> str:
    """Return the name to request from a registry. Empty if the image has no registry digest."""
    return _repository(image) if _DIGEST.match(digest) and digest != image_id else ""


def _opens(path: str) -> bool:
    if os.path.isdir(path):
        return True
    with _file(path):
        return True


def _archive(path: str, image_id: str) -> t.ContextManager[pipes.Reader]:
    return layouts.archived(path, image_id) if os.path.isdir(path) else _file(path)


@contextlib.contextmanager
def _file(path: str) -> t.Iterator[pipes.Reader]:
    try:
        opened = paths.reading(path)
    except OSError as exc:
        raise OptionError(f"cannot read image archive {path}: {exc.strerror}; correct the path") from exc
    with opened:
        yield opened


def _repository(image: str) -> str:
    """Return the name without a tag: a request by digest must not have a tag."""
    above, slash, name = image.partition("@")[0].rpartition("/")
    found = above + slash + name.partition(":")[0]
    return found if _REFERENCE.match(found) else ""


@contextlib.contextmanager
def _registry(skopeo: str, source: str, directory: str) -> t.Iterator[pipes.Reader]:
    """Copy the image to a file first, since skopeo cannot stream such an archive. The next run removes leftovers of a killed run."""
    with tempfile.TemporaryDirectory(prefix=cache.NEW, dir=directory) as made:
        path = os.path.join(made, "image.tar")
        run([skopeo, "copy", "--quiet", source, f"docker-archive:{path}"], timeout=COPY_SECONDS)
        with open(path, "rb") as opened:
            yield opened
