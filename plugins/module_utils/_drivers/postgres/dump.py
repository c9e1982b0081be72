# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dump one database into encrypted artifacts under one snapshot.

The artifacts are an archive without the rows of audit partitions, a schema-only archive for the parallel post-data phase, and
one COPY stream for each audit partition.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..._crypto.recipients import Recipient
from ..._crypto.sealing import Sealed, Sealer
from ..._repository import objects
from ..._storage.base import Store
from ..._stream import pipes
from ..._stream.progress import SILENT, Progress
from . import contents, tools
from .opening import SETTINGS, opening
from .snapshot import BEGIN, Place
from .tables import Table, literal, quote

LOCK_WAIT = "30s"


@dataclasses.dataclass(frozen=True)
class Source:
    """The input of every task of a dump. It is passed to the worker processes."""

    place: Place
    pg_dump: str
    pg_restore: str
    psql: str
    store: Store
    recipients: tuple[Recipient, ...]
    progress: Progress = SILENT


@dataclasses.dataclass(frozen=True)
class Archive(Sealed):
    """An encrypted archive and its contents."""

    contents: contents.Contents


def sealed_object(source: Source, directory: str, key: str | None = None) -> t.ContextManager[tuple[Sealer, t.Callable[[str], Sealed]]]:
    """Open a new object in the store. `key` is its name, if that is known before its content."""
    return objects.sealed(source.store, directory, source.recipients, key)


def archive(source: Source, directory: str, key: str, partitioned: t.Sequence[str], size: int = 0) -> Archive:
    """Write the archive of all tables except the tables in `partitioned` and their partitions.

    It is the custom format of `pg_dump` without compression, since zstd compresses better. `size` is the approximate size of
    the dumped tables.

    pg_dump holds a lock on each table that it dumps until it ends. A partition change that waits for such a lock stalls every
    INSERT behind it. So this long dump excludes the partitioned audit table. The definition of that table is in the schema
    archive.
    """
    argv = [*_pg_dump(source), "--format=custom", "--compress=0"]
    argv.extend(f"--exclude-table-and-children={table}" for table in partitioned)
    with source.progress.share(size) as share, contents.Reader(source.pg_restore) as reader:
        sealed = _stream(source, directory, key, argv, pipes.Both(share, reader))
        return Archive(**dataclasses.asdict(sealed), contents=reader.finish())


def schema_archive(source: Source, directory: str, key: str) -> Sealed:
    """Write an archive of the whole schema without rows.

    It takes little time, and is small enough to be decrypted into memory, where it is seekable.
    """
    return _stream(source, directory, key, [*_pg_dump(source), "--format=custom", "--compress=0", "--schema-only"])


def _pg_dump(source: Source) -> list[str]:
    return [source.pg_dump, f"--snapshot={source.place.snapshot}", f"--lock-wait-timeout={LOCK_WAIT}", "--no-password"]


def _stream(source: Source, directory: str, key: str, argv: list[str], also: pipes.Sink | None = None) -> Sealed:
    with sealed_object(source, directory, key) as (sealer, publish):
        sink = sealer if also is None else pipes.Both(sealer, also)
        tools.stream_out(argv, source.place.server, source.place.database, sink)
        return publish(key)


class Lines:
    """A sink for COPY text in chunks of any size.

    It passes whole lines, without newlines, to `take`. `first` receives the chunks unchanged.
    """

    def __init__(self, take: t.Callable[[list[bytes]], None], first: pipes.Sink | None = None) -> None:
        self._take = take
        self._first = first
        self._rest = b""

    def write(self, data: bytes) -> None:
        if self._first is not None:
            self._first.write(data)
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        self._take(lines)


def copy_leaf(place: Place, psql: str, leaf: Table, sink: pipes.Sink, pages: tuple[int, int | None] | None = None) -> None:
    """Copy the rows of a partition, or of a range of its pages, in heap order. Raises StageFailed unless all rows were copied.

    It uses psql, which runs in parallel in its own process. libpq in this process would compete with hashing and encryption.
    """
    settings = [f"SET {quote_setting(name)} = {literal(value)}" for name, value in SETTINGS.items()]
    statements = [
        opening(),
        *settings,
        BEGIN,
        f"SET TRANSACTION SNAPSHOT {literal(place.snapshot)}",
        leaf.copy_heap_order(pages),
    ]
    argv = [psql, "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1"]
    argv.extend(f"--command={statement}" for statement in statements)
    tools.stream_out(argv, place.server, place.database, sink)


def quote_setting(name: str) -> str:
    """Quote the name of a parameter, part by part."""
    return ".".join(quote(part) for part in name.split("."))
