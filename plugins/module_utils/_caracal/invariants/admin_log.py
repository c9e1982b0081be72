# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare the admin log with the tables: rows must agree with what the API recorded as created or revoked.

The API writes an entry after a request has succeeded. So in one snapshot, the tables contain everything that an entry
records.
"""

from __future__ import annotations

from ..releases import SECRET_STORE
from .rule import Invariant

_LOG = "public.admin_audit_events"
ADMIN_CHAIN = Invariant(
    "admin_log.begins", "chains of the admin log", "do not begin at 1",
    "their first rows are missing, and Caracal never deletes such rows; compare with an older set",
    f"(SELECT DISTINCT zone_id FROM {_LOG} WHERE chain_seq IS NOT NULL) c",
    f"SELECT coalesce(zone_id, 'global') FROM {_LOG} GROUP BY zone_id HAVING min(chain_seq) <> 1")  # fmt: skip

# The creators that the API writes for tokens from its environment. It creates these tokens at each start, without a
# request.
_FROM_ENVIRONMENT = "('env-bootstrap', 'env-derived', 'env-derived-write', 'env-derived-approve')"
# Excludes tokens from before the first row of the log, because admin_log.begins covers them. The API logs a token just
# after it has written it, so a new token in the source may not have its log row yet.
_MADE = f"""public.admin_tokens t CROSS JOIN (
      SELECT min(chain_seq) AS seq, min(occurred_at) AS time FROM {_LOG} WHERE zone_id IS NULL AND chain_seq IS NOT NULL) f
    WHERE t.revoked_at IS NULL AND coalesce(t.created_by, '') NOT IN {_FROM_ENVIRONMENT}
      AND (coalesce(f.seq, 1) = 1 OR t.created_at > f.time)
      AND NOT t.created_at BETWEEN now() - interval '1 minute' AND now()"""
ADMIN_TOKENS = Invariant(
    "admin_log.tokens", "live admin tokens that do not come from the environment", "were not created by a request in the admin log",
    "they were written into the table directly; revoke them: DELETE /v1/admin-tokens/{id}", _MADE,
    f"""SELECT t.id FROM {_MADE} AND NOT EXISTS (
          SELECT FROM {_LOG} e WHERE e.zone_id IS NULL AND e.chain_seq IS NOT NULL AND e.method = 'POST' AND e.status_code = 201
             AND e.entity_type = 'admin-tokens' AND e.entity_id = t.id)""")  # fmt: skip

# Table by the name in a request's path. The API creates rows there and never deletes them.
_TABLES = {
    "zones": "zones",
    "applications": "applications",
    "resources": "resources",
    "providers": "providers",
    "policies": "policies",
    "policy-sets": "policy_sets",
    "grants": "delegated_grants",
}
_THERE = " ".join(f"WHEN '{name}' THEN EXISTS (SELECT FROM public.{table} t WHERE t.id = e.entity_id)" for name, table in _TABLES.items())
_CREATED = f"""{_LOG} e WHERE e.method = 'POST' AND e.status_code = 201 AND e.entity_id IS NOT NULL
    AND e.entity_type IN ({", ".join(f"'{name}'" for name in _TABLES)})"""
CREATED = Invariant(
    "admin_log.created", "objects that the admin log records as created", "are not in any table",
    "the API archives objects and never deletes them, so the rows were lost or deleted in the database; restore another set", _CREATED,
    f"SELECT DISTINCT e.entity_type || ' ' || e.entity_id FROM {_CREATED} AND NOT CASE e.entity_type {_THERE} END")  # fmt: skip

_REVOKED = f"""{_LOG} e WHERE e.method = 'DELETE' AND e.status_code = 204 AND e.entity_type IN ('admin-tokens', 'grants')"""
REVOKED = Invariant(
    "admin_log.revoked", "admin tokens and grants that the admin log records as revoked", "are valid",
    "revoked items are valid again; revoke them again through the API, and find out who changed them", _REVOKED,
    f"""SELECT DISTINCT e.entity_type || ' ' || e.entity_id FROM {_REVOKED} AND CASE e.entity_type
          WHEN 'grants' THEN EXISTS (SELECT FROM public.delegated_grants t WHERE t.id = e.entity_id AND t.status = 'active')
          ELSE EXISTS (SELECT FROM public.admin_tokens t WHERE t.id = e.entity_id AND t.revoked_at IS NULL) END""")  # fmt: skip


def of(family: str) -> tuple[Invariant, ...]:
    """Return the rules of a family. The admin log of the older family does not record which object a request created."""
    return (ADMIN_CHAIN, ADMIN_TOKENS, CREATED, REVOKED) if family == SECRET_STORE else (ADMIN_CHAIN,)
