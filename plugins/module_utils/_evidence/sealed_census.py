# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The census for the pairing proof: IDs of the KEKs that encrypt a dump's snapshot, and hashes of a few signed audit rows.

It is in the unsigned part of an open set, so it contains no encrypted value, no row ID and no row count.
"""

from __future__ import annotations

import typing as t

from .._caracal.chains.audit_chains import Chain
from .._caracal.keys import sealed_columns
from .._caracal.keys.sealed_columns import CSS1, Column
from .._drivers.postgres.server import Session
from .._drivers.postgres.snapshot import Place
from .._drivers.postgres.tables import Table
from .._errors import BackupError
from .._reading import newest_rows, reading
from .._reading.database_layout import Layout

ZONES = 50  # for each partition; a key that signs one zone signs all
_ENVELOPES = """
    SELECT DISTINCT CASE WHEN substring({column} FOR 4) = 'CSS1'::bytea THEN encode(substring({column} FROM 5 FOR 8), 'hex') ELSE '' END
      FROM public.{table} WHERE {column} IS NOT NULL AND NOT ({spared}) AND {where} ORDER BY 1"""
_NEWEST = """
    WITH RECURSIVE zone(id) AS (
        (SELECT x.zone_id FROM {table} x WHERE x.zone_id IS NOT NULL ORDER BY 1 LIMIT 1)
        UNION ALL
        SELECT (SELECT x.zone_id FROM {table} x WHERE x.zone_id > zone.id ORDER BY 1 LIMIT 1) FROM zone WHERE zone.id IS NOT NULL),
    newest AS (
        (SELECT row.* FROM (SELECT id FROM zone WHERE id IS NOT NULL LIMIT {zones}) z CROSS JOIN LATERAL (
            SELECT content_sha256, prev_content_sha256, chain_hmac FROM {table} x
             WHERE x.zone_id = z.id AND x.chain_seq > 0 AND x.chain_hmac <> '' ORDER BY x.chain_seq DESC LIMIT 1) row)
        UNION ALL
        (SELECT content_sha256, prev_content_sha256, chain_hmac FROM {table} x
          WHERE x.zone_id IS NULL AND x.chain_seq > 0 AND x.chain_hmac <> '' ORDER BY x.chain_seq DESC LIMIT 1))
    SELECT content_sha256, coalesce(prev_content_sha256, ''), chain_hmac FROM newest ORDER BY 1"""


class SealedCensus(t.TypedDict):
    """The KEKs that encrypt the columns of a database, and some signed rows of its chains."""

    columns: dict[str, list[str]]
    rows: list[list[str]]


def read(place: Place, layout: Layout) -> SealedCensus | None:
    """Return the census of a database, or None if it is not Caracal's own.

    `columns` has the IDs of the KEKs by column, with `""` for a value that is not an envelope. For the other family, it only
    shows whether there are values. `rows` are [chain, content hash, previous hash, chain_hmac].
    """
    if layout.detected is None:
        return None
    present = {f"{table.name}.{column}" for table in layout.tables if table.schema == "public" for column in table.columns}
    with place.join() as session:
        columns = {one.name: _key_ids(session, one) for one in sealed_columns.COLUMNS[layout.detected.family] if one.needs <= present}
    rows = [row for chain, table in newest_rows.chains(layout) for row in _newest(place, chain, table)]
    return {"columns": columns, "rows": rows}


def _key_ids(session: Session, column: Column) -> list[str]:
    where = column.where or "true"
    if column.layout == CSS1:
        query = _ENVELOPES.format(table=column.table, column=column.column, spared=column.spared, where=where)
        return [str(key_id) for (key_id,) in session.rows(query)]
    held = session.value(f"SELECT EXISTS (SELECT FROM public.{column.table} WHERE {column.column} IS NOT NULL AND {where})")
    return [""] if held else []


def _newest(place: Place, chain: Chain, table: Table) -> list[list[str]]:
    """Return the newest rows, read in a transaction that accesses only this partition.

    Retention may drop a partition that is still in the snapshot.
    """
    if not set(chain.chain) <= set(table.columns):
        return []
    try:
        with place.join() as session:
            return [[chain.name, *row] for row in session.rows(_NEWEST.format(table=table.sql, zones=ZONES))]
    except BackupError:
        if reading.exists(place, table):
            raise
        return []
