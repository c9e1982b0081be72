# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Queries of the copy's database for the facts that the canary needs, for each family."""

from __future__ import annotations

import dataclasses
import typing as t

from ..inventory.inventory import Reader
from ..keys.envelopes import Row as SealedRow
from ..keys.sealed_columns import COLUMNS, SIGNING_KEY_ROWS, Column
from ..releases import SECRET_STORE, ZONE_KEK
from .audit_rows import Head, Row

_PAGE = 500
_LIVE = "EXISTS (SELECT FROM public.zones z WHERE z.id = {row}.zone_id AND z.archived_at IS NULL)"


@dataclasses.dataclass(frozen=True)
class ServedKey:
    """A signing key that the STS must serve according to its own rule."""

    zone: str
    kid: str
    sealed: SealedRow = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class ActiveSet:
    zone: str
    policy_set: str
    version: str


@dataclasses.dataclass(frozen=True)
class Revoked:
    """A revoked session that the Gateway must remember. `claim` is the token claim that contains its ID."""

    zone: str
    kind: str
    claim: str
    id: str
    resource: str


def zones(reader: Reader) -> list[str]:
    """Return the zones that are not archived."""
    return [str(row[0]) for row in reader.rows("SELECT id FROM public.zones WHERE archived_at IS NULL ORDER BY 1")]


def own_zones(reader: Reader) -> set[str]:
    """Return the product's own zones. Only the product may write to them, and it uses them as soon as it starts."""
    return {str(row[0]) for row in reader.rows(r"SELECT id FROM public.zones WHERE slug LIKE 'caracal-sys-%'")}


# The newest key, and the previous one while the newest is less than a day old.
_KEYS = """
    SELECT id, zone_id, version, {nonce}, {column} FROM (
      SELECT s.*, row_number() OVER newest AS rank, first_value(created_at) OVER newest AS active_since
        FROM public.secrets s WHERE s.{rows} AND {live}
      WINDOW newest AS (PARTITION BY zone_id ORDER BY version DESC, created_at DESC)) ranked
     WHERE rank = 1 OR rank = 2 AND active_since >= now() - interval '24 hours' ORDER BY zone_id, rank"""


def key_column(family: str) -> Column:
    return next(column for column in COLUMNS[family] if column.table == "secrets")


def served_keys(reader: Reader, family: str) -> list[ServedKey]:
    """Return the served keys by zone, with the active key first."""
    column = key_column(family)
    sql = _KEYS.format(nonce=column.nonce or "''::bytea", column=column.column, rows=SIGNING_KEY_ROWS, live=_LIVE.format(row="s"))
    return [
        ServedKey(str(zone), str(kid), SealedRow(str(kid), str(zone), int(version), False, bytes(nonce), bytes(value)))
        for kid, zone, version, nonce, value in reader.rows(sql)
    ]


def key_ids(reader: Reader) -> set[str]:
    """Return the IDs of all signing key rows, served or not."""
    return {str(kid) for (kid,) in reader.rows(f"SELECT id FROM public.secrets WHERE {SIGNING_KEY_ROWS}")}


def active_sets(reader: Reader) -> list[ActiveSet]:
    rows = reader.rows(f"""
        SELECT b.zone_id, b.policy_set_id, b.active_version_id FROM public.policy_set_bindings b
          JOIN public.policy_sets s ON s.id = b.policy_set_id AND s.zone_id = b.zone_id AND s.archived_at IS NULL
         WHERE b.active_version_id IS NOT NULL AND {_LIVE.format(row="b")} ORDER BY 1, b.updated_at DESC, 2""")
    return [ActiveSet(*(str(field) for field in row)) for row in rows]


# The Gateway remembers revocations for a day. It forgets older ones, because no token lives that long.
_RECORDS = """SELECT zone_id, 'session', 'sid', id, {when} AS moment, 1 AS rank FROM public.{table}
               WHERE status = 'revoked' AND expires_at > now() - interval '23 hours'"""
_SESSIONS = """SELECT zone_id, 'agent session', 'agent_session_id', id, updated_at, 2 FROM public.{table}
                WHERE status IN ({states}) AND updated_at > now() - interval '23 hours'"""
_EDGES = """SELECT zone_id, 'delegation', 'delegation_edge_id', id, revoked_at, 3 FROM public.delegation_edges
             WHERE status = 'revoked' AND revoked_at > now() - interval '23 hours'"""
_REVOKED = {
    SECRET_STORE: (
        _RECORDS.format(table="authority_records", when="revoked_at"),
        _SESSIONS.format(table="sessions", states="'terminated'"),
        _EDGES,
    ),
    ZONE_KEK: (
        _RECORDS.format(table="sessions", when="created_at"),
        _SESSIONS.format(table="agent_sessions", states="'suspended', 'terminated'"),
        _EDGES,
    ),
}
# In family zone_kek the Gateway first searches for a binding of the resource.
_RESOURCE = {
    SECRET_STORE: "SELECT 'resource://caracal-ops-canary' AS identifier",
    ZONE_KEK: "SELECT resource_identifier AS identifier FROM public.gateway_resource_bindings WHERE zone_id = r.zone_id ORDER BY 1 LIMIT 1",
}


def revoked(reader: Reader, family: str) -> Revoked | None:
    """Return the latest revocation in a zone with a signing key. Whole sessions are preferred to parts of a session."""
    rows = reader.rows(f"""
        SELECT r.zone_id, r.kind, r.claim, r.id, resource.identifier
          FROM ({" UNION ALL ".join(_REVOKED[family])}) r(zone_id, kind, claim, id, moment, rank)
         CROSS JOIN LATERAL ({_RESOURCE[family]}) resource
         WHERE EXISTS (SELECT FROM public.secrets k WHERE k.zone_id = r.zone_id AND k.{SIGNING_KEY_ROWS}) AND {_LIVE.format(row="r")}
         ORDER BY r.rank, r.moment DESC NULLS LAST, r.id LIMIT 1""")
    return Revoked(*(str(field) for field in rows[0])) if rows else None


def point(reader: Reader, zone: str, resource: str, url: str) -> None:
    """Change the upstream of a resource in a drill's copy to `url`, because a sandbox cannot reach the original one."""
    sql = "UPDATE public.resources SET upstream_url = %s WHERE zone_id = %s AND identifier = %s AND archived_at IS NULL"
    reader.rows(sql, (url, zone, resource))


def head(reader: Reader, zone: str) -> Head:
    """Return the last row of the zone's chain, using its index."""
    rows = reader.rows(
        """SELECT chain_seq, content_sha256 FROM public.audit_events
            WHERE zone_id = %s AND chain_seq > 0 ORDER BY chain_seq DESC LIMIT 1""",
        (zone,),
    )
    return Head(zone, int(rows[0][0]), str(rows[0][1])) if rows else Head(zone, 0, "")


def rows_after(reader: Reader, where: Head) -> list[Row]:
    """Return the rows added to the chain since `where`. Any number of restored events may precede the canary's own rows."""
    found: list[Row] = []
    while True:
        page = _page(reader, where.zone, found[-1].seq if found else where.seq)
        found += page
        if len(page) < _PAGE:
            return found


def _page(reader: Reader, zone: str, sequence: int) -> list[Row]:
    rows = reader.rows(
        """SELECT chain_seq, coalesce(request_id, ''), event_type, coalesce(decision, ''), coalesce(evaluation_status, ''),
                  coalesce(content_sha256, ''), coalesce(prev_content_sha256, ''), coalesce(chain_hmac, '')
             FROM public.audit_events WHERE zone_id = %s AND chain_seq > %s ORDER BY chain_seq LIMIT %s""",
        (zone, sequence, _PAGE),
    )
    return [Row(int(row[0]), *(str(field) for field in row[1:])) for row in rows]


def newest_events(reader: Reader, of: t.Sequence[str]) -> dict[str, str]:
    """Return the time of the newest audit event by zone, for zones that have events."""
    found = {}
    for zone in of:
        rows = reader.rows(
            """SELECT to_char(occurred_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') FROM public.audit_events
                WHERE zone_id = %s AND chain_seq > 0 ORDER BY chain_seq DESC LIMIT 1""",
            (zone,),
        )
        if rows:
            found[zone] = str(rows[0][0])
    return found
