# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entries of a tar archive that others wrote: an image as an engine saves it, or a layer of one. In constant memory."""

from __future__ import annotations

import dataclasses
import tarfile
import typing as t

from .._errors import TamperedData
from .._stream import pipes
from .._stream.tar_blocks import Blocks, Data
from .budget import Budget

# Of all that is said about one file: long names, times, attributes.
SAID_LIMIT = 1 << 20
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


# Headers that say something about the entry after them, or about all.
_ABOUT = {
    tarfile.XHDTYPE: "a pax header",
    tarfile.XGLTYPE: "a pax header",
    tarfile.GNUTYPE_LONGNAME: "a name",
    tarfile.GNUTYPE_LONGLINK: "a name",
}
# What of it is needed.
_FIELDS, _SPARSE = ("path", "linkpath", "size"), "GNU.sparse"


@dataclasses.dataclass(frozen=True)
class Entry:
    """`path` and `target`, where a link leads, are as they were written: believe neither. `size` is in bytes, 0 but for files."""

    kind: str
    path: str
    target: str
    size: int
    executable: bool


def read(source: pipes.Reader, name: str, budget: Budget) -> t.Iterator[tuple[Entry, t.BinaryIO]]:
    """Each entry of the archive `name` and its bytes, which must be read before the next one is asked for; then all of the source.

    Raises TamperedData for an archive that is damaged or ends early, for a kind of entry that is none of the known, and for endless words;
    and what the budget raises, from which headers are spent before they are read.
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
    said: dict[str, str] = {}
    left = SAID_LIMIT
    while (info := blocks.header()) is not None:
        if info.type not in _ABOUT:
            spend(tarfile.BLOCKSIZE)
            return _entry(info, said, fault)
        spend(tarfile.BLOCKSIZE + max(info.size, 0))
        data = blocks.small(info, _ABOUT[info.type], left)
        left -= tarfile.BLOCKSIZE + len(data)
        if info.type == tarfile.XHDTYPE:
            said.update((field, value) for field, value in blocks.pax(data).items() if field in _FIELDS or field.startswith(_SPARSE))
        elif info.type == tarfile.GNUTYPE_LONGNAME:
            said["path"] = _text(data)
        elif info.type == tarfile.GNUTYPE_LONGLINK:
            said["linkpath"] = _text(data)
    if said:
        raise fault("it ends early")
    return None


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "surrogateescape")


def _entry(info: tarfile.TarInfo, said: t.Mapping[str, str], fault: t.Callable[[t.Any], TamperedData]) -> Entry:
    path, target = said.get("path", info.name), said.get("linkpath", info.linkname)
    kind = _KINDS.get(info.type, "")
    if not kind or any(field.startswith(_SPARSE) for field in said):
        raise fault(f"{path[:100]!a} has a type that images do not contain")
    # Before pax, a directory was a file whose name ends so.
    if kind == FILE and path.endswith("/"):
        kind = FOLDER
    if max(len(path), len(target)) > PATH_LIMIT or "\0" in path + target:
        raise fault(f"{path[:100]!a}... is not a path")
    size = said.get("size", str(info.size))
    if not size.isascii() or not size.isdigit() or len(size) > 18:
        raise fault(f"{path[:100]!a} has no size")
    return Entry(kind, path, target, int(size) if kind == FILE else 0, bool(info.mode & 0o111))
