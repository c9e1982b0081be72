# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An OCI image layout: a directory with the parts of an image by digest, as written by skopeo. It is converted to an archive.

The writer of the directory is not trusted. So only regular files are read, no link is followed, and each part is
compared with its digest.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import posixpath
import typing as t

from .._errors import BackupError, OptionError, TamperedData
from .._files import paths
from .._files.folder import Folder
from .._stream import pipes
from . import descriptions, saved
from .budget import Budget
from .descriptions import INDEX, MANIFEST, TEXT_LIMIT

MARK, MARKED = "oci-layout", "1.0.0"


@contextlib.contextmanager
def archived(path: str, image_id: str) -> t.Iterator[pipes.Reader]:
    """Yield the image `sha256:...` of the layout in this directory as an archive. Other images of the layout are left out.

    Reading it raises OptionError for an unreadable file, and TamperedData if the directory is not a layout or does not
    contain the image.
    """
    with contextlib.closing(_archive(path, image_id)) as pieces:
        yield pipes.Pieces(pieces)


def _archive(path: str, image_id: str) -> t.Generator[bytes, None, None]:
    layout = _Layout(path)
    layout.check()
    budget = Budget()
    image = descriptions.describe(layout.text, image_id, budget)
    budget.spend(path, packed=sum(image.sizes.values()))
    for name, text in layout.texts.items():
        if text is not None:
            yield from saved.file(name, len(text), [text])
    for name, size in image.sizes.items():
        yield from saved.file(name, size, layout.pieces(name, size))
    yield saved.END


class _Layout:
    """An open layout. `texts` are the requested descriptions, by name."""

    def __init__(self, path: str) -> None:
        self.texts: dict[str, bytes | None] = {}
        self._path = path

    def check(self) -> None:
        """Check that this is a layout of the supported version."""
        try:
            version = json.loads(self.text(MARK) or b"{}")["imageLayoutVersion"]
        except (ValueError, KeyError, TypeError, RecursionError):
            version = None
        if version != MARKED:
            raise self._fault(MARK, f"does not describe an OCI layout of version {MARKED}")
        if self.text(INDEX) is None:
            raise self._fault(INDEX, "does not exist")

    def text(self, name: str) -> bytes | None:
        """Return a description, or None if it does not exist.

        The additional manifest of Docker is ignored, since the layout has the same information.
        """
        if name not in self.texts and name != MANIFEST:
            self.texts[name] = self._text(name)
        return self.texts.get(name)

    def _text(self, name: str) -> bytes | None:
        try:
            descriptor, size = self._open(name)
        except FileNotFoundError:
            return None
        with open(descriptor, "rb") as file:
            if size > TEXT_LIMIT:
                raise self._fault(name, f"has more than {TEXT_LIMIT} bytes, too many for a manifest or configuration")
            data = self._read(name, file, size)
        if name.startswith("blobs/"):
            self._compare(name, hashlib.sha256(data).hexdigest())
        return data

    def pieces(self, name: str, size: int) -> t.Iterator[bytes]:
        """Yield the pieces of a layer, and compare its digest at the end."""
        try:
            descriptor, found = self._open(name)
        except FileNotFoundError:
            raise self._fault(name, "does not exist") from None
        with open(descriptor, "rb", buffering=0) as file:
            digest, left = hashlib.sha256(), size
            if found != size:
                raise self._fault(name, f"has {found} bytes instead of {size}")
            while left and (piece := self._read(name, file, min(left, pipes.PIECE))):
                digest.update(piece)
                left -= len(piece)
                yield piece
        if left:
            raise self._fault(name, "became shorter while it was read")
        self._compare(name, digest.hexdigest())

    def _open(self, name: str) -> tuple[int, int]:
        """Open a file and return its descriptor and size. Raises FileNotFoundError."""
        try:
            above, last = os.path.split(name)
            with paths.descend(paths.folder(self._path), above, Folder.child) as folder:
                descriptor = folder.open(last)
        except FileNotFoundError:
            raise
        except OSError as exc:
            raise self._refused(name, exc) from exc
        return descriptor, os.fstat(descriptor).st_size

    def _read(self, name: str, file: t.BinaryIO, size: int) -> bytes:
        try:
            return file.read(size)
        except OSError as exc:
            raise self._refused(name, exc) from exc

    def _refused(self, name: str, exc: OSError) -> BackupError:
        if exc.errno in (errno.ELOOP, errno.ENOTDIR):
            return self._fault(name, "has a symbolic link or a file in its path")
        if exc.errno == errno.EINVAL:
            return self._fault(name, "is not a regular file")
        return OptionError(f"cannot read {posixpath.join(self._path, name)}: {exc.strerror}; fix that, or copy the image there again")

    def _compare(self, name: str, found: str) -> None:
        if posixpath.basename(name) != found:
            raise self._fault(name, f"has the digest sha256:{found}")

    def _fault(self, name: str, what: str) -> TamperedData:
        return TamperedData(f"{posixpath.join(self._path, name)} {what}; copy the image there again")
