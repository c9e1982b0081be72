# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""One database into sealed artifacts, all under one snapshot: an archive without the audit leaves' rows, a
schema-only archive for the parallel post-data phase, and one COPY stream per audit leaf."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ..._crypto.recipients import Recipient
from ..._crypto.sealing import Sealed, Sealer
from ..._storage.schemes import open_store
from . import tools
from .snapshot import Place
from .tables import Table

LOCK_WAIT = "30s"
BATCH = 512  # lines


@dataclasses.dataclass(frozen=True)
class Source:
    """What every task of a dump needs; it travels to the worker processes."""

    place: Place
    pg_dump: str
    store: str
    recipients: tuple[Recipient, ...]


@contextlib.contextmanager
def sealed_object(source: Source, directory: str) -> t.Iterator[tuple[Sealer, t.Callable[[str], Sealed]]]:
    """A sealer into a new object of the store, and the function that publishes it under a key once all is well."""
    with open_store(source.store).writer(directory) as out:
        sealer = Sealer(out, source.recipients)

        def publish(key: str) -> Sealed:
            sealed = sealer.finish()
            out.publish(key)
            return sealed

        try:
            yield sealer, publish
        finally:
            sealer.close()


def archive(source: Source, directory: str, key: str, leaves: t.Sequence[Table]) -> Sealed:
    """`pg_dump` in custom format, uncompressed (zstd does that better), without the rows of `leaves`."""
    argv = [*_pg_dump(source), "--format=custom", "--compress=0"]
    argv.extend(f"--exclude-table-data={leaf.sql}" for leaf in leaves)
    return _stream(source, directory, key, argv)


def schema_archive(source: Source, directory: str, key: str) -> Sealed:
    """The same without any rows: small enough to be opened into memory, and seekable there."""
    return _stream(source, directory, key, [*_pg_dump(source), "--format=custom", "--compress=0", "--schema-only"])


def _pg_dump(source: Source) -> list[str]:
    return [source.pg_dump, f"--snapshot={source.place.snapshot}", f"--lock-wait-timeout={LOCK_WAIT}", "--no-password"]


def _stream(source: Source, directory: str, key: str, argv: list[str]) -> Sealed:
    with sealed_object(source, directory) as (sealer, publish):
        tools.stream_out(argv, source.place.server, source.place.database, sealer)
        return publish(key)


class Tee:
    """A sink for COPY lines that seals them in batches and shows each one to `observe`."""

    def __init__(self, sealer: Sealer, observe: t.Callable[[bytes], None]) -> None:
        self._sealer = sealer
        self._observe = observe
        self._lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        self._lines.append(line)
        self._observe(line)
        if len(self._lines) == BATCH:
            self.flush()

    def flush(self) -> None:
        """Seal what is gathered; call it once at the end."""
        self._sealer.write(b"".join(self._lines))
        self._lines.clear()
