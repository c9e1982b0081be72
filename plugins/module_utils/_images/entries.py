# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries of an untrusted tar archive, read in constant memory: an image as saved by an engine, or one of its layers."""

from __future__ import annotations

import dataclasses
import tarfile
import typing as t

from .._errors import TamperedData
from .._stream import pipes
from .._stream.tar_blocks import Blocks, Data
from .budget import Budget

# Limit for all metadata of one file: long names, times, attributes.
METADATA_LIMIT = 1 << 20
TAIL_LIMIT = 16 << 20
PATH_LIMIT = 4096

FILE, FOLDER, SYMLINK, HARD_LINK, DEVICE = "file", "directory", "symbolic link", "hard link", "device"
_KINDS = {
    tarfile.REGTYPE: FILE,
    tarfile.AREGTYPE: FILE,
    tarfile.CONTTYPE: FILE,
    tarfile.DIRTYPE: FOLDER,
    tarfile.SYMTYPE: SYMLINK,
    tarfile.LNKTYPE: HARD_LINK,
    tarfile.CHRTYPE: DEVICE,
    tarfile.BLKTYPE: DEVICE,
    tarfile.FIFOTYPE: DEVICE,
}


# Headers with metadata of the next entry, or of all entries.
_ABOUT = {
    tarfile.XHDTYPE: "a pax header",
    tarfile.XGLTYPE: "a pax header",
    tarfile.GNUTYPE_LONGNAME: "a name",
    tarfile.GNUTYPE_LONGLINK: "a name",
}
# The fields that are needed.
_FIELDS, _SPARSE = ("path", "linkpath", "size"), "GNU.sparse"


@dataclasses.dataclass(frozen=True)
class Entry:
    """An entry. `path` and `target` (of a link) are as written in the archive and must not be trusted.

    `size` is in bytes, and 0 except for files.
    """

    kind: str
    path: str
    target: str
    size: int
    executable: bool


def read(source: pipes.Reader, name: str, budget: Budget) -> t.Iterator[tuple[Entry, t.BinaryIO]]:
    """Yield each entry of the archive `name` and its bytes, which must be read before the next entry. At the end, the whole source is read.

    Raises TamperedData for an archive that is damaged or truncated, for an unknown type of entry, and for too much
    metadata. Headers are charged to the budget before they are read, with the errors of the budget.
    """

    def fault(what: t.Any) -> TamperedData:
        return TamperedData(f"{name} is not an intact tar archive ({str(what)[:200]}); pull or copy the image again")

    blocks = Blocks(source, fault)
    while (entry := _next(blocks, fault, lambda size: budget.spend(name, words=size))) is not None:
        data = Data(blocks, entry.size)
        yield entry, t.cast("t.BinaryIO", data)
        data.skip()
    tail = 0
    while piece := source.read(pipes.CHUNK):
        tail += len(piece)
        if tail > TAIL_LIMIT:
            raise fault("it has trailing data")


def _next(blocks: Blocks, fault: t.Callable[[t.Any], TamperedData], spend: t.Callable[[int], None]) -> Entry | None:
    extended: dict[str, str] = {}
    left = METADATA_LIMIT
    while (info := blocks.header()) is not None:
        if info.type not in _ABOUT:
            spend(tarfile.BLOCKSIZE)
            return _entry(info, extended, fault)
        spend(tarfile.BLOCKSIZE + max(info.size, 0))
        data = blocks.small(info, _ABOUT[info.type], left)
        left -= tarfile.BLOCKSIZE + len(data)
        if info.type == tarfile.XHDTYPE:
            extended.update((field, value) for field, value in blocks.pax(data).items() if field in _FIELDS or field.startswith(_SPARSE))
        elif info.type == tarfile.GNUTYPE_LONGNAME:
            extended["path"] = _text(data)
        elif info.type == tarfile.GNUTYPE_LONGLINK:
            extended["linkpath"] = _text(data)
    if extended:
        raise fault("it ends early")
    return None


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "surrogateescape")


def _entry(info: tarfile.TarInfo, extended: t.Mapping[str, str], fault: t.Callable[[t.Any], TamperedData]) -> Entry:
    path, target = extended.get("path", info.name), extended.get("linkpath", info.linkname)
    kind = _KINDS.get(info.type, "")
    if not kind or any(field.startswith(_SPARSE) for field in extended):
        raise fault(f"{path[:100]!a} has a type that images do not contain")
    # In formats before pax, a directory was a file with a name that ends with a slash.
    if kind == FILE and path.endswith("/"):
        kind = FOLDER
    if max(len(path), len(target)) > PATH_LIMIT or "\0" in path + target:
        raise fault(f"{path[:100]!a}... is not a path")
    size = extended.get("size", str(info.size))
    if not size.isascii() or not size.isdigit() or len(size) > 18:
        raise fault(f"{path[:100]!a} has no size")
    return Entry(kind, path, target, int(size) if kind == FILE else 0, bool(info.mode & 0o111))
