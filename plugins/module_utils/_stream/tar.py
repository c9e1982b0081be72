# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Plain files as a pax tar archive on its way through a pipe, in constant memory.

Only regular files: an archive that holds anything else, or a path that could lead elsewhere, is refused as a whole.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import tarfile
import typing as t

from .._errors import StageFailed, TamperedData
from . import pipes

NAME_LIMIT = 255
_NAME = re.compile(r"[^/\0]{1,255}(/[^/\0]{1,255})*\Z")
_MTIME = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?\Z")


@dataclasses.dataclass(frozen=True)
class Member:
    """One file: relative name, size in bytes, time of the last change in nanoseconds since 1970, permission bits, numeric owner."""

    name: str
    size: int
    mtime_ns: int
    mode: int
    uid: int
    gid: int


class Writer:
    """`add` each file, then `finish`."""

    def __init__(self, sink: pipes.Sink) -> None:
        self._sink = sink

    def add(self, member: Member, source: pipes.Reader) -> str:
        """Exactly `member.size` bytes of `source`; their SHA-256 in hex. Raises StageFailed when there are fewer."""
        self._sink.write(_header(member))
        digest, left = hashlib.sha256(), member.size
        while left:
            data = source.read(min(left, pipes.CHUNK))
            if not data:
                raise StageFailed(f"{member.name} became shorter while it was read; run it again")
            digest.update(data)
            self._sink.write(data)
            left -= len(data)
        self._sink.write(b"\0" * (-member.size % tarfile.BLOCKSIZE))
        return digest.hexdigest()

    def finish(self) -> None:
        """The end of the archive."""
        self._sink.write(b"\0" * (2 * tarfile.BLOCKSIZE))


def _header(member: Member) -> bytes:
    info = tarfile.TarInfo(member.name)
    info.size, info.mode, info.uid, info.gid = member.size, member.mode, member.uid, member.gid
    # A float has not enough digits for nanoseconds.
    seconds, nanoseconds = divmod(member.mtime_ns, 10**9)
    info.pax_headers = {"mtime": f"{seconds}.{nanoseconds:09d}"}
    return info.tobuf(tarfile.PAX_FORMAT)


def members(source: pipes.Reader, name: str) -> t.Iterator[tuple[Member, t.BinaryIO]]:
    """Each file of the archive `name` and its bytes, which must be read before the next one is asked for.

    Raises TamperedData for links, devices, paths that lead out, a name twice, and an archive that is damaged or ends early.
    """
    seen: set[str] = set()
    try:
        with tarfile.open(fileobj=t.cast("t.IO[bytes]", _Source(source)), mode="r|", bufsize=tarfile.RECORDSIZE) as archive:
            for info in archive:
                member = _member(info, name)
                if member.name in seen:
                    raise TamperedData(f"{name} holds {member.name!a} twice; use another copy of the set")
                seen.add(member.name)
                archive.members = []  # type: ignore[attr-defined]  # or it remembers every file
                data = archive.extractfile(info)
                yield member, t.cast("t.BinaryIO", data)
    except tarfile.TarError as exc:
        raise TamperedData(f"{name} is no intact tar archive ({exc}); use another copy of the set") from exc
    # What follows the end is read too: only then has the stage before us proved that its bytes are authentic.
    while source.read(pipes.CHUNK):
        pass


def _member(info: tarfile.TarInfo, name: str) -> Member:
    if not info.isreg():
        raise TamperedData(f"{name} holds {info.name[:NAME_LIMIT]!a}, which is no plain file; it was not written by this software")
    if not _NAME.match(info.name) or {".", ".."} & set(info.name.split("/")):
        raise TamperedData(f"{name} holds the path {info.name[:NAME_LIMIT]!a}, which leads elsewhere; it was not written by this software")
    time = _MTIME.match(info.pax_headers.get("mtime", str(int(info.mtime))))
    if time is None:
        raise TamperedData(f"{name} holds {info.name!a} with a time that is none; it was not written by this software")
    mtime_ns = int(time[1]) * 10**9 + int((time[2] or "").ljust(9, "0"))
    return Member(info.name, info.size, mtime_ns, info.mode & 0o7777, info.uid, info.gid)


class _Source:
    """What tarfile reads from: it takes a short read for the end."""

    def __init__(self, source: pipes.Reader) -> None:
        self._source = source

    def read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self._source.read(size - len(data))
            if not piece:
                break
            data += piece
        return bytes(data)
