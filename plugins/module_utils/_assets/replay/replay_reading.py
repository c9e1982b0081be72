# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One reading of a replay directory: its files in a tar archive, and their description in the encrypted inventory.

Reading 1 archives all files, reading 2 the files that are new or have grown since. If both are extracted into one directory,
the result contains every event that was in a file at either time, each line whole and once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
import typing as t

from ..._caracal import replay
from ..._drivers.volume.live import Directory, LiveFile
from ..._errors import StorageError
from ..._stream import pipes, tar
from ..._stream.progress import SILENT, Progress, Share

INCOMPLETE = "incomplete/"
FILES_LIMIT = 20_000
# The limit for names of other files in the inventory. A user with write access can create millions, but the inventory must stay readable.
UNKNOWN_LIMIT = 1000
PAUSE = 0.3  # seconds; a service writes its buffered data within milliseconds


class SeenFile(t.TypedDict):
    """A file in reading 1: its whole lines, and its size and time afterwards."""

    size: int
    sha256: str
    seen: int
    mtime_ns: int


@dataclasses.dataclass(frozen=True)
class ReplayFile(tar.Member):
    """A member of the archive in its encrypted inventory. `noted` are numbers of lines that are not events."""

    sha256: str
    lines: int
    noted: list[int]


Seen = t.Mapping[str, SeenFile]


@dataclasses.dataclass
class Found:
    """The result of a reading.

    `files` are the members of the archive. `seen` is the state of reading 1 for reading 2. The lists contain names.
    """

    files: list[ReplayFile] = dataclasses.field(default_factory=list)
    seen: dict[str, SeenFile] = dataclasses.field(default_factory=dict)
    unchanged: list[str] = dataclasses.field(default_factory=list)
    drained: list[str] = dataclasses.field(default_factory=list)
    incomplete: list[str] = dataclasses.field(default_factory=list)
    unparsable: list[str] = dataclasses.field(default_factory=list)
    oversized: list[str] = dataclasses.field(default_factory=list)
    other: list[str] = dataclasses.field(default_factory=list)
    unknown: list[str] = dataclasses.field(default_factory=list)
    unnamed: int = 0

    LISTS = ("unchanged", "drained", "incomplete", "unparsable", "oversized", "other", "unknown")

    def lists(self) -> dict[str, list[str]]:
        return {name: getattr(self, name) for name in self.LISTS}

    def counts(self) -> dict[str, int]:
        """Return counts for a result: files, bytes and lines in the archive, and the length of each list."""
        sums = {"files": len(self.files), "bytes": sum(one.size for one in self.files), "lines": sum(one.lines for one in self.files)}
        found = {name: len(found) for name, found in self.lists().items()}
        return {**sums, **found, "unknown": found["unknown"] + self.unnamed}

    def not_known(self, name: str) -> None:
        """Record a name that does not belong to a replay file. Only the first names are kept."""
        if len(self.unknown) < UNKNOWN_LIMIT:
            self.unknown.append(printable(name))
        else:
            self.unnamed += 1


class Nowhere:
    """A sink that discards its input."""

    def write(self, data: bytes) -> int:
        return len(data)


class Reading:
    """A reading. `earlier` is `seen` of reading 1, or None in reading 1 itself. The archive is written to `sink`."""

    def __init__(self, directory: Directory, earlier: Seen | None, sink: pipes.Sink, progress: Progress = SILENT) -> None:
        self._directory = directory
        self._progress = progress
        self._earlier = earlier
        self._tar = tar.Writer(sink)
        self.found = Found()

    def run(self) -> Found:
        """Read all files. Raises PermissionMissing, StageFailed, StorageError."""
        wanted = []
        for name, regular in self._directory.names():
            if regular and replay.is_pending(name):
                wanted.append(name)
            elif not replay.is_probe(name):
                self.found.not_known(name)
        if len(wanted) > FILES_LIMIT:
            raise StorageError(
                f"{self._directory.path} contains {len(wanted)} files, over the limit; restart the service, which sends and removes them"
            )
        self._taken = {*wanted, *(self._earlier or {})}
        sizes = {name: self._directory.size(name) or 0 for name in wanted}
        self._progress.begin("copying", sum(sizes.values()))
        for name in wanted:
            with self._progress.share(sizes[name]) as share:
                self._file(name, share)
        self.found.drained += sorted((self._earlier or {}).keys() - set(wanted))
        self._tar.finish()
        return self.found

    def _file(self, name: str, share: Share) -> None:
        opened = self._directory.open(name)
        if opened is None:
            (self.found.drained if self._directory.size(name) is None else self.found.unknown).append(name)
            return
        with opened:
            end = opened.whole_lines()
            before = (self._earlier or {}).get(name)
            if before and end == before["size"] and _digest(opened, end, share) == before["sha256"]:
                self.found.unchanged.append(name)
            elif before and (end < before["size"] or _digest(opened, before["size"], share) != before["sha256"]):
                self._add(opened, self._free_name(name), share, end)
                self.found.other.append(name)
            else:
                self._add(opened, name, share, end)
            if self._earlier is not None and end < opened.about.st_size and _settled(opened, before):
                self._add(opened, f"{INCOMPLETE}{name}", share, opened.about.st_size, end)
                self.found.incomplete.append(name)

    def _free_name(self, name: str) -> str:
        """Return an unused name for a file that differs from the file with its name in reading 1."""
        number = 2
        while (found := replay.with_tag(name, str(number))) in self._taken:
            number += 1
        self._taken.add(found)
        return found

    def _add(self, opened: LiveFile, name: str, share: Share, end: int, start: int = 0) -> None:
        about, lines = opened.about, replay.Lines()

        def look(data: bytes) -> None:
            lines.feed(data)
            share.write(data)

        member = tar.Member(name, end - start, about.st_mtime_ns, about.st_mode & 0o7777, about.st_uid, about.st_gid)
        sha256 = self._tar.add(member, opened.part(start, end, look))
        opened.check_whole()
        self.found.files.append(ReplayFile(**vars(member), sha256=sha256, lines=lines.count, noted=lines.noted))
        if not name.startswith(INCOMPLETE):
            self.found.seen[name] = {"size": end, "sha256": sha256, "seen": about.st_size, "mtime_ns": about.st_mtime_ns}
        for kind in ("unparsable", "oversized"):
            if getattr(lines, kind):
                getattr(self.found, kind).append(name)


def _digest(opened: LiveFile, size: int, share: Share) -> str:
    digest, part = hashlib.sha256(), opened.part(0, size, share.write)
    while data := part.read(pipes.CHUNK):
        digest.update(data)
    return digest.hexdigest()


def _settled(opened: LiveFile, before: SeenFile | None) -> bool:
    """Return True if the last line is not being written: it has not changed since reading 1, or does not change during a pause."""
    if before is None or (before["seen"], before["mtime_ns"]) != (opened.about.st_size, opened.about.st_mtime_ns):
        time.sleep(PAUSE)
    return opened.same_now()


def printable(name: str) -> str:
    """Return a name as plain ASCII text. Control characters and bytes that are not UTF-8 are escaped."""
    return ascii(name)[1:-1]
