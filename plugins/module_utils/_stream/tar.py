# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Regular files as a pax tar archive, streamed in constant memory.

An archive with any other type of file, or with a path that could lead elsewhere, is refused as a whole.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import tarfile
import typing as t

from .._errors import StageFailed, TamperedData
from . import pipes
from .tar_blocks import Blocks, Data

NAME_LIMIT = 255
# Limit in bytes for one pax header, which has a path and four numbers.
PAX_LIMIT = 1 << 14
# Each name is kept to detect duplicates. One pass adds at most 20,000 files, and the last line of each as a separate member.
MEMBERS_LIMIT = 50_000
# Limit in bytes after the end of the archive: tar fills its last record.
TAIL_LIMIT = 1 << 20
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)
_PAX_FIELDS = {"path", "mtime", "uid", "gid", "size", "hdrcharset"}
_NUMBER = re.compile(r"[0-9]{1,18}\Z")
_NAME = re.compile(r"[^/\0]{1,255}(/[^/\0]{1,255})*\Z")
_MTIME = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?\Z")


@dataclasses.dataclass(frozen=True)
class Member:
    """One file: relative name, size in bytes, modification time in nanoseconds since 1970, permission bits, numeric owner."""

    name: str
    size: int
    mtime_ns: int
    mode: int
    uid: int
    gid: int


class Writer:
    """Writes an archive: `add` each file, then call `finish`."""

    def __init__(self, sink: pipes.Sink) -> None:
        self._sink = sink

    def add(self, member: Member, source: pipes.Reader) -> str:
        """Add exactly `member.size` bytes of `source` and return their SHA-256 in hex. Raises StageFailed if there are fewer."""
        self._sink.write(_header(member))
        digest, left = hashlib.sha256(), member.size
        while left:
            data = source.read(min(left, pipes.CHUNK))
            if not data:
                raise StageFailed(f"{member.name} became shorter while it was read; run the backup again")
            digest.update(data)
            self._sink.write(data)
            left -= len(data)
        self._sink.write(b"\0" * (-member.size % tarfile.BLOCKSIZE))
        return digest.hexdigest()

    def finish(self) -> None:
        """Write the end of the archive."""
        self._sink.write(b"\0" * (2 * tarfile.BLOCKSIZE))


def _header(member: Member) -> bytes:
    info = tarfile.TarInfo(member.name)
    info.size, info.mode, info.uid, info.gid = member.size, member.mode, member.uid, member.gid
    # A float does not have enough digits for nanoseconds.
    seconds, nanoseconds = divmod(member.mtime_ns, 10**9)
    info.pax_headers = {"mtime": f"{seconds}.{nanoseconds:09d}"}
    return info.tobuf(tarfile.PAX_FORMAT)


def members(source: pipes.Reader, name: str) -> t.Iterator[tuple[Member, t.BinaryIO]]:
    """Yield each file of the archive `name` and its bytes, which must be read before the next file.

    Raises TamperedData for links, devices, paths that lead out, duplicate names, and an archive that is damaged or
    truncated.
    """
    seen: set[str] = set()
    blocks = Blocks(source, lambda what: _fault(name, what))
    while (found := _next_header(blocks, name)) is not None:
        member = _member(*found, name)
        if member.name in seen:
            raise TamperedData(f"{name} contains {member.name!a} twice; use another copy of the set")
        if len(seen) == MEMBERS_LIMIT:
            raise TamperedData(f"{name} contains more than {MEMBERS_LIMIT} files; it was not written by this software")
        seen.add(member.name)
        data = Data(blocks, member.size)
        yield member, t.cast("t.BinaryIO", data)
        data.skip()
    # Read the data after the end too: only then has the previous stage verified that all bytes are authentic.
    tail = 0
    while piece := source.read(pipes.CHUNK):
        tail += len(piece)
        if tail > TAIL_LIMIT:
            raise _fault(name, "it has trailing data")


def _next_header(blocks: Blocks, name: str) -> tuple[tarfile.TarInfo, dict[str, str]] | None:
    info, pax = blocks.header(), {}
    if info and info.type == tarfile.XHDTYPE:
        pax = blocks.pax(blocks.small(info, "a pax header", PAX_LIMIT))
        if not pax.keys() <= _PAX_FIELDS:
            raise _fault(name, "an unknown pax header")
        info = blocks.header()
        if info is None:
            raise _fault(name, "it ends early")
    return (info, pax) if info else None


def _member(info: tarfile.TarInfo, pax: t.Mapping[str, str], name: str) -> Member:
    path = pax.get("path", info.name)
    if info.type not in _PLAIN:
        raise TamperedData(f"{name} contains {path[:NAME_LIMIT]!a}, which is not a regular file; it was not written by this software")
    if not _NAME.match(path) or {".", ".."} & set(path.split("/")):
        raise TamperedData(f"{name} contains {path[:NAME_LIMIT]!a}, which leads out of the directory; it was not written by this software")
    time = _MTIME.match(pax.get("mtime", str(int(info.mtime))))
    if time is None:
        raise TamperedData(f"{name} contains {path!a} with an invalid time; it was not written by this software")
    mtime_ns = int(time[1]) * 10**9 + int((time[2] or "").ljust(9, "0"))
    size, uid, gid = (_number(pax.get(field, str(getattr(info, field))), name) for field in ("size", "uid", "gid"))
    return Member(path, size, mtime_ns, info.mode & 0o7777, uid, gid)


def _number(text: str, name: str) -> int:
    if not _NUMBER.match(text):
        raise _fault(name, "an invalid number")
    return int(text)


def _fault(name: str, what: t.Any) -> TamperedData:
    return TamperedData(f"{name} is not an intact tar archive ({what}); use another copy of the set")
