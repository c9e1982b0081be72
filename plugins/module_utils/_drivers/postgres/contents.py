# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the table of contents of a `pg_dump` archive with `pg_restore`, while the archive is streamed."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import typing as t

from ..._errors import BackupError
from ..._stream import memory, pipes
from ..._stream.process import PIPE, Child

# An entry in `pg_restore --list --verbose` such as `3456; 0 16391 TABLE DATA public zones caracal` has the table's number in
# the catalog. An entry for a sequence's value, `3467; 0 0 SEQUENCE SET public n_seq caracal`, does not. It refers to
# `227; 1259 16412 SEQUENCE …`, which has the number, by the line `;\tdepends on: 227`. Names can contain blanks, so names are
# not used.
_ROWS = re.compile(r"\d+; \d+ (\d+) TABLE DATA ")
_SEQUENCE = re.compile(r"(\d+); 1259 (\d+) SEQUENCE ")
_VALUE = re.compile(r"\d+; \d+ \d+ SEQUENCE SET ")
_LARGE_OBJECTS = re.compile(r"\d+; \d+ \d+ BLOBS ")
_DEPENDS = re.compile(r";\s+depends on: ([\d ]+)")
_UTF8 = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}


@dataclasses.dataclass(frozen=True)
class Contents:
    """The tables and sequences in an archive.

    `rows` and `values` are catalog numbers in the source database. `rows` has one for each entry with rows of a table, `values`
    one for each entry with the value of a sequence. `large_objects` is True if the archive contains large objects. `problem` is
    the reason why the contents are not known.
    """

    rows: tuple[int, ...] = ()
    values: tuple[int, ...] = ()
    large_objects: bool = False
    problem: str = ""


def parse(listing: t.Iterable[str]) -> Contents:
    """Return the contents from the lines of `pg_restore --list --verbose`."""
    rows: list[int] = []
    sequences: dict[str, int] = {}
    needed: list[str] = []
    large_objects = valued = False
    for line in listing:
        if depends := _DEPENDS.match(line):
            needed += depends[1].split() if valued else []
            continue
        valued = bool(_VALUE.match(line))
        large_objects = large_objects or bool(_LARGE_OBJECTS.match(line))
        if found := _ROWS.match(line):
            rows.append(int(found[1]))
        elif found := _SEQUENCE.match(line):
            sequences[found[1]] = int(found[2])
    return Contents(tuple(rows), tuple(sequences[entry] for entry in needed if entry in sequences), large_objects)


class Reader:
    """A sink for an archive in custom format.

    The archive begins with its table of contents. `pg_restore` reads only that part, and no rows.
    """

    def __init__(self, pg_restore: str) -> None:
        self._listing = memory.file("contents")
        try:
            self._child = Child([pg_restore, "--list", "--verbose"], stdin=PIPE, stdout=self._listing, env=_UTF8)
        except BaseException:
            os.close(self._listing)
            raise
        self._input = t.cast(t.BinaryIO, self._child.process.stdin)

    def write(self, data: bytes) -> None:
        if not self._input.closed:
            try:
                pipes.write_all(self._input.fileno(), data)
            except BrokenPipeError:  # pg_restore has read all that it needs
                self._input.close()

    def finish(self) -> Contents:
        """Return the contents, after the whole archive was written to this sink."""
        self._input.close()
        try:
            self._child.finish()
        except BackupError as exc:
            return Contents(problem=f"cannot read the table of contents of the dump: {exc.msg}")
        with open(os.dup(self._listing), encoding="utf-8", errors="replace", newline="\n") as lines:
            lines.seek(0)
            return parse(lines)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._input.close()
        self._child.kill()
        os.close(self._listing)
