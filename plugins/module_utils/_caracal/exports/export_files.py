# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hourly Parquet files of the audit service, with the paths in their bucket: `audit/YYYY/MM/DD/YYYY-MM-DDTHH.parquet`.

A file contains the events of all zones that were ingested in one hour (UTC), ordered by zone and sequence. An hour
without events has no file. NULL and JSON `null` are exported as empty text.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import stat as stat_flags
import typing as t

from ..._errors import StorageError
from ..._files import paths

WATERMARK = "SELECT last_exported_hour FROM public.audit_export_watermark WHERE name = 'parquet-hourly'"
BATCH = 1024
# Unpacked bytes of the rows in a batch: a column that repeats one long value is small in the file. A service refuses
# events of 1 MiB.
BATCH_LIMIT = 256 << 20
# Unpacked bytes of a column in a row group, and of each page in it.
COLUMN_LIMIT = 1 << 30
# Limits for the footer: names, statistics and one entry for each row group and column.
FOOTER_STRING_LIMIT = 1 << 20
FOOTER_ITEMS_LIMIT = 1 << 18
HOUR = dt.timedelta(hours=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_BUFFER = 1 << 18
_NAME = re.compile(r"audit/([0-9]{4})/([0-9]{2})/([0-9]{2})/\1-\2-\3T([0-9]{2})\.parquet\Z")


class UnreadableHour(StorageError):
    """A file that is not an export, is damaged, or lacks a part that every export has."""


class Archived(t.NamedTuple):
    """One exported row as stored in the file. `chain_seq` is 0 for a row without a number. `time` is the event's Unix time
    in milliseconds.
    """

    zone_id: str
    chain_seq: int
    event_id: str
    event_type: str
    request_id: str
    decision: str
    policy_set_id: str
    policy_set_version_id: str
    manifest_sha: str
    evaluation_status: str
    determining_policies_json: str
    diagnostics_json: str
    metadata_json: str
    time: int
    severity_id: int
    activity_id: int
    content_sha256: str
    chain_hmac: str


_NUMBERS = {"chain_seq": "int64", "time": "int64", "severity_id": "int32", "activity_id": "int32"}


class Hour(t.NamedTuple):
    """A file and its hour, counted from 1970."""

    number: int
    path: str

    def __str__(self) -> str:
        return name(self.number)


def hour_of(when: dt.datetime) -> int:
    """Return the hour since 1970 that contains a point in time."""
    return (when - _EPOCH) // HOUR


def start(number: int) -> dt.datetime:
    """Return the start of an hour."""
    return _EPOCH + number * HOUR


def name(number: int) -> str:
    """Return an hour as written in file names."""
    return f"{start(number):%Y-%m-%dT%H}"


class Exports:
    """Exports from any source. `hours` are in order. `strange` are the names of other files among them.

    `opener` returns a seekable stream of an hour's bytes, and may raise OSError. `arrow` is the library pyarrow. `done`
    is called for each hour that was read or could not be read.
    """

    def __init__(
        self,
        arrow: t.Any,
        hours: t.Iterable[Hour],
        strange: t.Iterable[str],
        opener: t.Callable[[Hour], t.BinaryIO],
        done: t.Callable[[Hour], object] = lambda _hour: None,
    ) -> None:
        self._arrow = arrow
        self._open = opener
        self._done = done
        self.hours = tuple(sorted(hours))
        self.strange = tuple(sorted(strange))

    def watched(self, done: t.Callable[[Hour], object]) -> Exports:
        """Return the same exports with another `done`."""
        return Exports(self._arrow, self.hours, self.strange, self._open, done)

    def rows(self, hour: Hour) -> t.Iterator[list[Archived]]:
        """Yield the file's rows in their order, in batches to limit memory. Raises UnreadableHour."""
        try:
            with self._open(hour) as stream:
                file = self._arrow.parquet.ParquetFile(
                    stream,
                    buffer_size=_BUFFER,
                    pre_buffer=False,
                    page_checksum_verification=True,
                    thrift_string_size_limit=FOOTER_STRING_LIMIT,
                    thrift_container_size_limit=FOOTER_ITEMS_LIMIT,
                )
                _require_columns(file.schema_arrow, hour)
                _require_sizes(file.metadata, hour)
                for batch in file.iter_batches(BATCH, columns=list(Archived._fields), use_threads=False):
                    if batch.nbytes > BATCH_LIMIT:
                        raise UnreadableHour(f"export {hour} has rows larger than any event can be; copy it from the bucket again")
                    columns = [batch.column(field) for field in Archived._fields]
                    rows = [Archived._make(row) for row in zip(*(column.to_pylist() for column in columns), strict=True)]
                    if any(column.null_count for column in columns) or any("\0" in row.zone_id or "\0" in row.event_id for row in rows):
                        raise UnreadableHour(f"export {hour} contains values that no database can contain; copy it from the bucket again")
                    yield rows
        except (ValueError, OSError, self._arrow.ArrowException) as exc:
            why = str(exc).partition("\n")[0]
            raise UnreadableHour(f"export {hour} cannot be read ({why}); copy an earlier version of it from the bucket") from exc
        finally:
            self._done(hour)


class Folder(Exports):
    """The exports in a folder. Raises StorageError if the folder does not exist or contains no export."""

    def __init__(self, path: str, arrow: t.Any) -> None:
        root = os.path.join(path, "audit")
        found: list[Hour] = []
        strange: list[str] = []
        for file in _files(root):
            number = hour_at(os.path.relpath(file, path))
            if number is None or not stat_flags.S_ISREG(os.lstat(file).st_mode):
                strange.append(_printable(os.path.relpath(file, path)))
            else:
                found.append(Hour(number, file))
        if not found:
            raise StorageError(f"no hourly exports below {root}; give the directory to which you copied the bucket of exports")
        super().__init__(arrow, found, strange, _open)


def _open(hour: Hour) -> t.BinaryIO:
    return paths.reading(hour.path)


def _files(root: str) -> t.Iterator[str]:
    """Yield all files, and all links to folders, below `root`."""

    def refuse(error: OSError) -> None:
        raise StorageError(f"cannot read {error.filename}: {error.strerror}; give the directory to which you copied the bucket of exports")

    for folder, folders, files in os.walk(root, onerror=refuse):
        links = [one for one in folders if os.path.islink(os.path.join(folder, one))]
        yield from (os.path.join(folder, one) for one in files + links)


def hour_at(path: str) -> int | None:
    """Return the hour of a path in the bucket, or None for any other path."""
    found = _NAME.match(path)
    if found is None:
        return None
    try:
        return hour_of(dt.datetime(*map(int, found.groups()), tzinfo=dt.timezone.utc))  # type: ignore[arg-type,misc]
    except ValueError:
        return None


def _printable(path: str) -> str:
    return path if path.isprintable() else ascii(path)


def _require_columns(schema: t.Any, hour: Hour) -> None:
    for field in Archived._fields:
        kind = _NUMBERS.get(field, "string")
        at = schema.get_all_field_indices(field)
        if len(at) != 1 or str(schema.field(at[0]).type) != kind:
            raise UnreadableHour(
                f"export {hour} has no column {field} of type {kind}; use a version of this collection that supports this release's exports"
            )


def _require_sizes(about: t.Any, hour: Hour) -> None:
    for group in range(about.num_row_groups):
        row_group = about.row_group(group)
        if any(row_group.column(at).total_uncompressed_size > COLUMN_LIMIT for at in range(row_group.num_columns)):
            raise UnreadableHour(f"export {hour} has a column of more than {COLUMN_LIMIT >> 20} MiB; copy it from the bucket again")
