# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Odd but healthy histories in which one table seems to contradict another."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.invariants.authority import agents_of, subjects_of
from scenes.state_damages import ACTIVE_SET, FIRST_ZONE
from twin.facts import SECRET_STORE, ZONE_KEK

OF_FAMILY = {ZONE_KEK: "v2026.06.21", SECRET_STORE: "v1.0.0"}


@dataclasses.dataclass(frozen=True)
class History:
    """`also` are the rules that warn about it correctly. `{agents}` and `{subjects}` stand for the family's tables."""

    statements: tuple[str, ...]
    families: tuple[str, ...] = (ZONE_KEK, SECRET_STORE)
    also: frozenset[str] = frozenset()

    def of(self, family: str) -> list[str]:
        """Return the statements for a family."""
        names = {"{agents}": agents_of(family), "{subjects}": subjects_of(family)}
        return [_replaced(statement, names) for statement in self.statements]


def _replaced(text: str, names: t.Mapping[str, str]) -> str:
    for word, name in names.items():
        text = text.replace(word, name)
    return text


DENIED = frozenset({"policy_activation.zone_has_active_set"})


def event(row: str, created: str, version: str, policy_set: str = ACTIVE_SET, available: str = "now()") -> str:
    """Return an event that announces an activation."""
    return f"""
        INSERT INTO event_outbox (id, stream_name, payload_json, available_at, created_at)
        SELECT '{row}', 'caracal.policy.invalidate', jsonb_build_object(
                 'zone_id', b.zone_id, 'policy_set_id', b.policy_set_id, 'policy_set_version_id', {version}), {available}, {created}
          FROM policy_set_bindings b WHERE b.policy_set_id = {policy_set}"""


OTHER = """(SELECT min(v.id) FROM policy_set_versions v WHERE v.policy_set_id = b.policy_set_id AND v.id <> b.active_version_id)"""
NEWEST, OLDEST, EARLY, LATE = "ffffffff-newest", "00000000-oldest", "timestamptz '2026-01-01'", "now()"
ACTIVATE = f"UPDATE policy_set_bindings b SET active_version_id = {OTHER} WHERE policy_set_id = {ACTIVE_SET}"
DELETE_SET = f"""
    WITH gone AS (UPDATE policy_sets SET archived_at = now() WHERE id = {ACTIVE_SET} RETURNING id)
    UPDATE policy_set_bindings SET active_version_id = NULL WHERE policy_set_id IN (SELECT id FROM gone)"""
NEVER_ACTIVE = (
    *(f"DELETE FROM {name}" for name in ("{agents}", "agent_topology", "agent_invocations", "delegation_edges", "delegation_graph_epochs")),
    "DELETE FROM caracal_outbox",
    "DELETE FROM event_outbox WHERE stream_name = 'caracal.policy.invalidate'",
    "UPDATE policy_set_bindings SET active_version_id = NULL",
)
CHILD = "(SELECT min(id) FROM delegation_edges WHERE parent_edge_id IS NOT NULL)"
PARENT = f"(SELECT parent_edge_id FROM delegation_edges WHERE id = {CHILD})"
EVENT = "INSERT INTO event_outbox (id, stream_name, payload_json, available_at, created_at) SELECT 'odd', 'caracal.sessions.revoke', {}"

HISTORIES = {
    # If two activations overlap, the transaction that began first may be the last to get the lock.
    "the last activation began first": History((event(NEWEST, EARLY, OTHER), ACTIVATE)),
    "the last activation came from a host with a slow clock": History((event(OLDEST, LATE, OTHER), ACTIVATE)),
    "the newest activation was given up": History((event(NEWEST, LATE, "b.active_version_id", available="'infinity'"),), also=frozenset(
        {"outboxes.api_dead"})),
    "events that were sent were deleted by hand": History((
        "DELETE FROM event_outbox WHERE dispatched_at IS NOT NULL", "DELETE FROM caracal_outbox WHERE status = 'published'")),
    "the cleaner deleted the older half of the announcements": History(("""
        DELETE FROM caracal_outbox WHERE status = 'published' AND updated_at < (
          SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY updated_at) FROM caracal_outbox WHERE status = 'published')""",)),
    "a token was written a moment ago, and is not logged yet": History(("""
        UPDATE admin_tokens SET created_by = 'admin:new', created_at = now() - interval '1 second'
         WHERE created_by = 'env-derived-write'""",), (SECRET_STORE,)),
    "an announcement waited for days": History(("""
        UPDATE caracal_outbox SET updated_at = now() WHERE id = (SELECT min(id) FROM caracal_outbox WHERE dedupe_key LIKE 'spawn:%')""",)),
    "the active set was deleted": History((event(NEWEST, LATE, "NULL::text"), DELETE_SET), (SECRET_STORE,), DENIED),
    "every active set was deleted": History((
        event(
            NEWEST, LATE, "NULL::text", "ANY (SELECT policy_set_id FROM policy_set_bindings WHERE active_version_id IS NOT NULL)").replace(
            f"'{NEWEST}'", f"'{NEWEST}' || b.zone_id"),
        "UPDATE policy_sets s SET archived_at = now() FROM policy_set_bindings b WHERE b.policy_set_id = s.id AND active_version_id <> ''",
        "UPDATE policy_set_bindings SET active_version_id = NULL"), (SECRET_STORE,), DENIED),
    "no policy was ever activated": History(NEVER_ACTIVE, also=DENIED),
    "an archived zone keeps its agents and loses its keys": History((
        f"UPDATE zones SET archived_at = now() WHERE id = {FIRST_ZONE}", f"DELETE FROM secrets WHERE zone_id = {FIRST_ZONE}")),
    "an agent was revoked whose subject is shared": History((EVENT.format("""
        jsonb_build_object('zone_id', s.zone_id, 'session_id', s.id, 'agent_session_id', 'a', 'reason', 'x'), now(), now()
          FROM {subjects} s WHERE s.status = 'active' LIMIT 1"""),)),
    "a delegation was revoked whose subject is shared": History((EVENT.format("""
        jsonb_build_object('zone_id', s.zone_id, 'session_id', s.id, 'delegation_edge_id', 'e', 'reason', 'x'), now(), now()
          FROM {subjects} s WHERE s.status = 'active' LIMIT 1"""),)),
    "an application and a delegation that never expire": History((
        "UPDATE applications SET expires_at = '9999-12-31 23:59:59.999+00' WHERE expires_at IS NOT NULL",
        "UPDATE delegation_edges SET expires_at = '9999-12-31 23:59:59.999+00'")),
    "a child delegation names its resource in the constraints": History((
        f"""UPDATE delegation_edges SET resource_id = NULL, constraints_json = '{{"resources": ["resource://r1"]}}'
             WHERE id = {CHILD}""",)),
    "a child delegation has fewer scopes and a nearer end": History((
        f"UPDATE delegation_edges SET scopes = '{{}}', expires_at = expires_at - interval '1 hour' WHERE id = {CHILD}",)),
    "parent and child end in the same millisecond": History((
        f"UPDATE delegation_edges SET expires_at = date_trunc('second', expires_at) + interval '100 microseconds' WHERE id = {PARENT}",
        f"""UPDATE delegation_edges SET expires_at = (SELECT expires_at + interval '800 microseconds' FROM delegation_edges p
             WHERE p.id = {PARENT}) WHERE id = {CHILD}""")),
    "the resource of a parent delegation is not named": History((
        f"UPDATE delegation_edges SET resource_id = NULL, constraints_json = '{{}}' WHERE id = {PARENT}",)),
    "the coordinator may delete delegations": History((
        "GRANT DELETE ON delegation_edges TO caracalcoordinator", "DELETE FROM delegation_edges"), (SECRET_STORE,)),
    "the delegations of an old epoch were cleaned": History((
        "UPDATE delegation_graph_epochs SET updated_at = updated_at - interval '200 days'", "DELETE FROM delegation_edges",
        "DELETE FROM caracal_outbox WHERE topic = 'caracal.delegations.invalidate'"), (SECRET_STORE,)),
    "delegations were cleaned": History(("DELETE FROM delegation_edges",), (ZONE_KEK,)),
    "an application without a secret and a token from before its second hash": History((
        "UPDATE applications SET client_secret_hash = NULL", "UPDATE admin_tokens SET token_hash = NULL")),
    "upstreams as a URL parser takes them": History((
        "UPDATE resources SET upstream_url = ' HTTPS://Upstream.Example:8443/x?y#z' WHERE identifier LIKE '%r0'",
        "UPDATE resources SET upstream_url = 'http://[::1]:9/' WHERE identifier LIKE '%r1'")),
    "the admin log is older than its chain": History(("""
        INSERT INTO admin_audit_events SELECT (jsonb_populate_record(e, jsonb_build_object('id', 'old' || e.id, 'chain_seq', NULL,
          'content_sha256', NULL, 'prev_content_sha256', NULL, 'chain_hmac', NULL, 'occurred_at', '2026-01-01'))).*
          FROM admin_audit_events e WHERE chain_seq = 2""",)),
    "a token without a record was revoked": History((
        "UPDATE admin_tokens SET created_by = 'admin:gone', revoked_at = now() WHERE created_by LIKE 'env-derived%'",), (SECRET_STORE,)),
    "the log names no tokens": History((
        "UPDATE admin_tokens SET created_by = 'admin:bootstrap'", "UPDATE admin_audit_events SET entity_type = NULL, entity_id = NULL"),
        (ZONE_KEK,)),
    "an event is being sent": History((
        "UPDATE event_outbox SET locked_until = now() + interval '30 seconds' WHERE dispatched_at IS NULL",)),
    "a provider's token without a time": History((
        "UPDATE provider_grants SET expires_at = '0001-01-01 00:00:00+00'",), (ZONE_KEK,)),
    "a provider's token without a time of its own": History((
        "UPDATE provider_connections SET expires_at = '0001-01-01 00:00:00+00'",), (SECRET_STORE,)),
    "only control resources": History((
        "UPDATE resources r SET upstream_url = NULL, credential_provider_id = 'provider-none-' || zone_id",)),
    "resources from before bindings": History((
        "DELETE FROM gateway_resource_bindings", "UPDATE gateway_binding_revision SET version = 1"), (ZONE_KEK,),
        frozenset({"gateway_bindings.bound"})),
    "no setting of the retention": History(("DELETE FROM audit_retention",), (SECRET_STORE,)),
    "no deployment yet": History((
        *NEVER_ACTIVE,
        *(f"DELETE FROM {name}" for name in ("{subjects}", "step_up_challenges", "event_outbox", "admin_audit_events", "admin_tokens")),
        ), also=DENIED),
}  # fmt: skip
