# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hourly Parquet files and the watermark that the audit service would create from a running twin."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import typing as t

import pyarrow
import pyarrow.parquet

from .dice import microseconds

HOUR = dt.timedelta(hours=1)
_EVENT = ("zone_id", "request_id", "policy_set_version_id", "decision", "event_id", "event_type", "policy_set_id", "manifest_sha")
_JSON = ("determining_policies_json", "diagnostics_json", "metadata_json")
COLUMNS: dict[str, t.Any] = {
    **dict.fromkeys(("class_uid", "type_uid", "severity_id", "activity_id"), pyarrow.int32()),
    "time": pyarrow.int64(),
    **dict.fromkeys(_EVENT[:4], pyarrow.string()),
    **dict.fromkeys(("metadata_version", "product_name"), pyarrow.string()),
    **dict.fromkeys((*_EVENT[4:], "evaluation_status", *_JSON, "content_sha256", "chain_hmac"), pyarrow.string()),
    "chain_seq": pyarrow.int64(),
}
_SCHEMA = pyarrow.schema([pyarrow.field(name, kind, nullable=False) for name, kind in COLUMNS.items()])
_SELECTED = (*_EVENT, "evaluation_status", *_JSON, "content_sha256", "chain_hmac")
_QUERY = f"""
SELECT date_trunc('hour', ingested_at, 'UTC'), occurred_at, chain_seq,
       {", ".join("id" if name == "event_id" else f"{name}::text" for name in _SELECTED)}
  FROM public.audit_events WHERE ingested_at < %s ORDER BY 1, zone_id, chain_seq
"""
_WATERMARK = """
INSERT INTO public.audit_export_watermark (name, last_exported_hour, updated_at) VALUES ('parquet-hourly', %s, %s)
ON CONFLICT (name) DO UPDATE SET last_exported_hour = excluded.last_exported_hour, updated_at = excluded.updated_at
"""
Row = dict[str, t.Any]


def export(connection: t.Any, folder: str, since: dt.datetime | None = None, last: dt.datetime | None = None) -> list[str]:
    """Write the files of the hours `since` to `last` below `folder`, and set the watermark; return the paths of all hours with events.

    Hours are UTC. If `last` is None, it is the hour of the newest event. The paths are in order. An existing file is
    not changed, as in the service.
    """
    with connection.cursor() as cursor:
        if last is None:
            cursor.execute("SELECT date_trunc('hour', max(ingested_at), 'UTC') FROM public.audit_events")
            (last,) = cursor.fetchone()
        cursor.execute(_QUERY, [last + HOUR])
        paths = []
        for hour, rows in itertools.groupby(cursor, key=lambda row: row[0]):
            if since is None or hour >= since:
                paths.append(path_of(folder, hour))
                if not os.path.exists(paths[-1]):
                    write(paths[-1], [_exported(*row[1:]) for row in rows])
        cursor.execute(_WATERMARK, [last, last + HOUR])
    return paths


def path_of(folder: str, hour: dt.datetime) -> str:
    return os.path.join(folder, f"{hour.astimezone(dt.timezone.utc):audit/%Y/%m/%d/%Y-%m-%dT%H}.parquet")


def _exported(occurred_at: dt.datetime, chain_seq: int | None, *texts: str | None) -> Row:
    row: Row = {name: text or "" for name, text in zip(_SELECTED, texts, strict=True)}
    for name in _JSON:
        if row[name] == "null":
            row[name] = ""
    kind = 2 if row["decision"].lower() == "deny" else 1
    row.update(class_uid=6003, type_uid=600301, severity_id=kind, activity_id=kind, metadata_version="1.7.0", product_name="caracal")
    row.update(time=microseconds(occurred_at) // 1000, chain_seq=chain_seq or 0)
    return row


def write(path: str, rows: t.Sequence[Row]) -> None:
    """Write one file like the service's library: one row group, no compression, no dictionaries, checksums on pages."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    encodings = {name: "DELTA_LENGTH_BYTE_ARRAY" if kind == pyarrow.string() else "PLAIN" for name, kind in COLUMNS.items()}
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pylist(list(rows), _SCHEMA),
        path,
        row_group_size=max(len(rows), 1),
        compression="NONE",
        use_dictionary=False,
        column_encoding=encodings,
        data_page_version="2.0",
        store_schema=False,
        write_page_checksum=True,
    )


def read(path: str) -> list[Row]:
    """Return the rows of a file, to be changed and written again."""
    return t.cast("list[Row]", pyarrow.parquet.ParquetFile(path).read().to_pylist())
