# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Layers of an image, unpacked one over the other. Source: the OCI image specification, "Image Layer Filesystem Changeset".

A layer removes content of lower layers with whiteouts: `.wh.NAME` removes NAME in the same directory, and
`.wh..wh..opq` the content of its directory. A layer is read two or three times, in constant memory. The first pass
verifies it, so that no layer is used that is endless or not named in the image's configuration. If it has whiteouts,
the second pass applies them. The last pass unpacks its content.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import typing as t
import zlib

from .._deps import require_zstandard
from .._errors import TamperedData
from .._stream import pipes
from . import entries
from .budget import BYTES_LIMIT, Budget
from .entries import DEVICE, FILE, FOLDER, HARD_LINK, SYMLINK, Entry
from .tree import Tree

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
_GZIP, _ZSTD = b"\x1f\x8b", bytes.fromhex("28b52ffd")


def unpack(path: str, tree: Tree, diff_id: str, budget: Budget) -> None:
    """Unpack the layer in the file `path` over the tree. It is a tar archive, uncompressed or compressed with gzip or zstd.

    `diff_id` is the SHA-256 of the tar archive, in hex. Raises StorageError, TamperedData, and the errors of the
    budget.
    """
    name = f"layer {diff_id[:12]}"
    before, removes = dataclasses.replace(budget), False
    with _opened(path, name) as source:
        for entry, _data in entries.read(source, name, budget):
            budget.spend(name, entries=1, size=entry.size)
            removes = removes or _base(entry).startswith(WHITEOUT)
        source.compare(diff_id)
    held = before.size - budget.size
    # Padding is read as well, and many layers may consist of padding only.
    budget.spend(name, size=max(0, source.size - held))
    tree.needs(before.entries - budget.entries, held)
    if removes:
        with _opened(path, name) as source:
            _remove(source, tree, name, budget)
    with _opened(path, name) as source:
        for entry, data in entries.read(source, name, budget):
            if not _base(entry).startswith(WHITEOUT):
                _put(tree, entry, data, name)


@contextlib.contextmanager
def _opened(path: str, name: str) -> t.Iterator[Layer]:
    with open(path, "rb") as packed:
        yield Layer(packed, name)


class Layer:
    """The tar archive in a layer, uncompressed or compressed with gzip or zstd, and the digest of all bytes that were read."""

    def __init__(self, packed: pipes.Reader, name: str) -> None:
        self.digest = hashlib.sha256()
        self.size = 0
        self._source = _unpacked(packed)
        self._name = name

    def compare(self, diff_id: str) -> None:
        """Raise TamperedData unless the whole content has this SHA-256, in hex."""
        found = self.digest.hexdigest()
        if found != diff_id:
            raise TamperedData(
                f"{self._name} has the digest {found[:12]}..., which does not match the image's configuration; pull or copy the image again"
            )

    def read(self, size: int) -> bytes:
        try:
            data = self._source.read(size)
            self.size += len(data)
        except (EOFError, zlib.error, gzip.BadGzipFile, require_zstandard().ZstdError) as exc:
            raise TamperedData(f"cannot unpack {self._name} ({str(exc)[:100]}); pull or copy the image again") from exc
        if self.size > BYTES_LIMIT:
            raise TamperedData(
                f"{self._name} contains more than {BYTES_LIMIT} bytes, so the image is malicious or damaged; use another image"
            )
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
    """A stream with first bytes that were already read."""

    def __init__(self, head: bytes, rest: pipes.Reader) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int) -> bytes:
        if self._head:
            piece, self._head = self._head[:size], self._head[size:]
            return piece
        return self._rest.read(size)


def _base(entry: Entry) -> str:
    return entry.path.rstrip("/").rpartition("/")[2]


def _remove(source: pipes.Reader, tree: Tree, name: str, budget: Budget) -> None:
    for entry, _data in entries.read(source, name, budget):
        folder, base = entry.path.rstrip("/").rpartition("/")[0], _base(entry)
        if base == OPAQUE:
            tree.empty(folder)
        elif base.startswith(WHITEOUT):
            tree.remove(f"{folder}/{_named(base, entry, name)}")


def _named(base: str, entry: Entry, name: str) -> str:
    gone = base.removeprefix(WHITEOUT)
    if gone in ("", ".", "..") or gone.startswith(WHITEOUT):
        raise TamperedData(
            f"{name}: {entry.path[:200]!a} is an invalid whiteout file, so the image is malicious or damaged; use another image"
        )
    return gone


def _put(tree: Tree, entry: Entry, data: pipes.Reader, name: str) -> None:
    if entry.kind == FOLDER:
        tree.folder(entry.path)
    elif entry.kind == FILE:
        tree.file(entry.path, data, executable=entry.executable)
    elif entry.kind == SYMLINK:
        tree.symlink(entry.path, entry.target)
    elif entry.kind == HARD_LINK:
        tree.hard_link(entry.path, entry.target)
    # A running image gets the devices that the host selects; many images have their own in /dev.
    elif entry.kind == DEVICE and not entry.path.lstrip("./").startswith("dev/"):
        raise TamperedData(f"{name}: {entry.path[:200]!a} is a device, so the image is malicious or damaged; use another image")
