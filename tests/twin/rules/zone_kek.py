# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Further invariants of every healthy database of the family `zone_kek`.

In this family, a healthy zone can have several active sets, also archived ones. The other family forbids some states
with checks on columns (an end without its time). Here the services only avoid them.
"""

from __future__ import annotations

from ..facts import Release
from .common import ADMIN_CHAIN, AUDIT, POLICIES, STORED_HASHES, SYSTEM, agent_rules

ENDED = "('terminated', 'expired')"
# A tag alone has 16 bytes and a nonce 12, so an encrypted value has more.
OWN = {
    "zone without an active set": """
        SELECT z.id FROM zones z LEFT JOIN policy_set_bindings b ON b.zone_id = z.id
         WHERE archived_at IS NULL GROUP BY 1 HAVING count(active_version_id) = 0""",
    "provider without its secret": """
        SELECT id FROM providers WHERE (secret_config_keys <> '{}') <> (secret_config_ct IS NOT NULL)
            OR (secret_config_ct IS NULL) <> (secret_config_nonce IS NULL)""",
    "sealed value malformed": """
        SELECT 1 FROM (SELECT ciphertext AS c, nonce AS n FROM secrets UNION ALL SELECT secret_config_ct, secret_config_nonce FROM providers
          UNION ALL SELECT substring(access_token_ct FROM 13), substring(access_token_ct FOR 12) FROM provider_grants
          UNION ALL SELECT substring(refresh_token_ct FROM 13), substring(refresh_token_ct FOR 12) FROM provider_grants) s
         WHERE length(n) <> 12 OR length(c) <= 16""",
    "zone DEK of another size": "SELECT id FROM zones WHERE length(dek_ciphertext) <> 32",
    "no binding revision": "SELECT 1 WHERE (SELECT count(*) FROM gateway_binding_revision WHERE version >= 1) <> 1",
    "binding newer than the revision": """
        SELECT 1 FROM gateway_binding_revision r JOIN gateway_resource_bindings b ON greatest(b.created_at, b.updated_at) > r.updated_at""",
    "binding without its application": """
        SELECT 1 FROM gateway_resource_bindings b WHERE NOT EXISTS (SELECT FROM applications a
         WHERE (a.zone_id, a.id) = (b.zone_id, b.application_id) AND a.archived_at IS NULL)""",
    "binding without its resource": """
        SELECT 1 FROM gateway_resource_bindings b WHERE NOT EXISTS (SELECT FROM resources r
         WHERE (r.zone_id, r.identifier) = (b.zone_id, b.resource_identifier) AND r.archived_at IS NULL)""",
    "resource without a binding": """
        SELECT id FROM resources r WHERE archived_at IS NULL AND upstream_url IS NOT NULL AND NOT EXISTS (
          SELECT FROM gateway_resource_bindings b WHERE (b.zone_id, b.resource_identifier) = (r.zone_id, r.identifier))""",
    "ended agent without time": f"SELECT id FROM agent_sessions WHERE (status IN {ENDED}) <> (terminated_at IS NOT NULL)",
    "revoked edge without time": "SELECT id FROM delegation_edges WHERE (status = 'revoked') <> (revoked_at IS NOT NULL)",
}


def rules(release: Release) -> dict[str, str]:
    """Return all rules of a release of the family."""
    found = {**SYSTEM, **POLICIES, **agent_rules("agent_sessions", "sessions"), **AUDIT, **OWN}
    if not release.hashes_wire:
        found.update(STORED_HASHES)
    if release.has("admin_audit_events.chain_seq"):
        found.update(ADMIN_CHAIN)
    return found
