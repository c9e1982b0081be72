# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Layers of an image, unpacked one over the other. Source: the OCI image specification, "Image Layer Filesystem Changeset".

A layer removes what lies below it by whiteouts: `.wh.NAME` the NAME beside it, `.wh..wh..opq` all that was in its directory before. Its
bytes are believed only once they are what the image's configuration names, so nothing of it is used before all of it was read.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import os
import typing as t
import zlib

from .._deps import require_zstandard
from .._errors import TamperedData
from .._stream import pipes
from . import entries
from .entries import DEVICE, FILE, FOLDER, HARD_LINK, SYMLINK, Entry
from .tree import Tree

ENTRIES_LIMIT = 500_000
BYTES_LIMIT = 32 << 30
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
_GZIP, _ZSTD = b"\x1f\x8b", bytes.fromhex("28b52ffd")


@dataclasses.dataclass
class Budget:
    """What all layers of an image may hold together."""

    entries: int = ENTRIES_LIMIT
    size: int = BYTES_LIMIT

    def spend(self, entry: Entry, name: str) -> None:
        self.entries -= 1
        self.size -= entry.size
        if self.entries < 0:
            raise TamperedData(f"{name}: the image holds more than {ENTRIES_LIMIT} entries; it was made to do harm, use another one")
        if self.size < 0:
            raise TamperedData(f"{name}: the image holds more than {BYTES_LIMIT} bytes; it was made to do harm, use another one")


def unpack(path: str, tree: Tree, diff_id: str, budget: Budget) -> None:
    """Unpack the layer in the file `path`, a tar archive as it is or in gzip or zstd, over the tree.

    `diff_id` is the SHA-256 of the tar archive, in hex. Raises StorageError, TamperedData.
    """
    name = f"layer {diff_id[:12]}"
    with open(path, "rb") as packed:
        source = Layer(packed, name)
        _apply(source, tree, name, budget)
    source.compare(diff_id)


class Layer:
    """What is packed in a layer, a tar archive as it is or in gzip or zstd, and the digest of all that was read."""

    def __init__(self, packed: pipes.Reader, name: str) -> None:
        self.digest = hashlib.sha256()
        self.size = 0
        self._source = _unpacked(packed)
        self._name = name

    def compare(self, diff_id: str) -> None:
        """Raises TamperedData unless all of it has this SHA-256, in hex."""
        found = self.digest.hexdigest()
        if found != diff_id:
            raise TamperedData(f"{self._name} holds {found[:12]}...; the image is not what its configuration names, get it anew")

    def read(self, size: int) -> bytes:
        try:
            data = self._source.read(size)
            self.size += len(data)
        except (EOFError, zlib.error, gzip.BadGzipFile, require_zstandard().ZstdError) as exc:
            raise TamperedData(f"{self._name} cannot be unpacked ({str(exc)[:100]}); get the image anew") from exc
        if self.size > BYTES_LIMIT:
            raise TamperedData(f"{self._name} holds more than {BYTES_LIMIT} bytes; the image was made to do harm, use another one")
        self.digest.update(data)
        return data


def _unpacked(packed: pipes.Reader) -> pipes.Reader:
    head = b""
    while len(head) < len(_ZSTD) and (more := packed.read(len(_ZSTD) - len(head))):
        head += more
    source = _Again(head, packed)
    if head[:2] == _GZIP:
        return t.cast("pipes.Reader", gzip.GzipFile(fileobj=t.cast("t.BinaryIO", source)))
    if head == _ZSTD:
        return t.cast("pipes.Reader", require_zstandard().ZstdDecompressor().stream_reader(source, read_across_frames=True))
    return source


class _Again:
    """A stream whose first bytes were read already."""

    def __init__(self, head: bytes, rest: pipes.Reader) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int) -> bytes:
        if self._head:
            piece, self._head = self._head[:size], self._head[size:]
            return piece
        return self._rest.read(size)


def _apply(source: pipes.Reader, tree: Tree, name: str, budget: Budget) -> None:
    placed: set[str] = set()
    for entry, data in entries.read(source, name):
        budget.spend(entry, name)
        folder, _slash, base = entry.path.rstrip("/").rpartition("/")
        if base == OPAQUE:
            tree.empty(folder, placed)
        elif base.startswith(WHITEOUT):
            tree.remove(f"{folder}/{_named(base, entry, name)}")
        else:
            _keep(_put(tree, entry, data, name), tree, placed)


def _named(base: str, entry: Entry, name: str) -> str:
    gone = base.removeprefix(WHITEOUT)
    if gone in ("", ".", "..") or gone.startswith(WHITEOUT):
        raise TamperedData(f"{name}: {entry.path[:200]!a} removes no file beside it; the image was made to do harm, use another one")
    return gone


def _put(tree: Tree, entry: Entry, data: pipes.Reader, name: str) -> str:
    if entry.kind == FOLDER:
        return tree.folder(entry.path)
    if entry.kind == FILE:
        return tree.file(entry.path, data, executable=entry.executable)
    if entry.kind == SYMLINK:
        return tree.symlink(entry.path, entry.target)
    if entry.kind == HARD_LINK:
        return tree.hard_link(entry.path, entry.target)
    # Whoever runs it gets devices of the host's choice; many images carry their own in /dev.
    if entry.kind == DEVICE and not entry.path.lstrip("./").startswith("dev/"):
        raise TamperedData(f"{name}: {entry.path[:200]!a} is a device; the image was made to do harm, use another one")
    return tree.root


def _keep(where: str, tree: Tree, placed: set[str]) -> None:
    """What this layer has put there, and all above it."""
    while where != tree.root and where not in placed:
        placed.add(where)
        where = os.path.dirname(where)
