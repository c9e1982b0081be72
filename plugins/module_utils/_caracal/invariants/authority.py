# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Subject sessions, agents and delegations. Their references must be internally consistent, or a revocation misses a part of them."""

from __future__ import annotations

from ..._report.check import WARN
from ..releases import SECRET_STORE
from .rule import Invariant

_LIVE = "('active', 'suspended')"
_ENDED = "('terminated', 'expired')"
_EDGES = "public.delegation_edges"
_LOST = "rows are lost; restore another set"
_END_AGENT = "end them through the Coordinator: DELETE /zones/{zone}/agents/{id}"
# The transaction that creates a delegation also announces it to the services. A delegation is deleted together with its
# agents, or by a cleaner 90 days after its end (the default). In this family the cleaner's role has no DELETE right by
# default. An operator may have granted it, or use the owner's login.
_KEPT = f"""(SELECT max(created_at) FROM public.caracal_outbox) - interval '90 days'
       AND EXISTS (SELECT FROM pg_catalog.pg_roles c
                    WHERE c.rolname = 'caracalcoordinator' AND NOT has_table_privilege(c.oid, '{_EDGES}', 'DELETE'))"""
_ANNOUNCED = f"""
    SELECT substr(o.dedupe_key, 13) AS edge, s.zone_id FROM public.caracal_outbox o
      JOIN public.sessions s ON s.id = o.payload_json ->> 'source_session_id' AND s.zone_id = o.payload_json ->> 'zone_id'
      JOIN public.sessions r ON r.id = o.payload_json ->> 'target_session_id' AND r.zone_id = s.zone_id
     WHERE o.producer = 'coordinator' AND o.topic = 'caracal.delegations.invalidate' AND starts_with(o.dedupe_key, 'edge_create:')
       AND o.created_at > {_KEPT}"""
_REVOKE = "revoke them through the Coordinator: PATCH /zones/{zone}/delegations/{id}/revoke"


def subjects_of(family: str) -> str:
    """Return the table of subject sessions. In family secret_store, `sessions` is the table of agents."""
    return "authority_records" if family == SECRET_STORE else "sessions"


def agents_of(family: str) -> str:
    return "sessions" if family == SECRET_STORE else "agent_sessions"


def of(family: str) -> tuple[Invariant, ...]:
    subjects, agents = f"public.{subjects_of(family)}", f"public.{agents_of(family)}"
    subject = "subject_authority_record_id" if family == SECRET_STORE else "subject_session_id"
    newer = family == SECRET_STORE
    timed, announced = ((_revoked_at(subjects),), (_announced(), _EPOCH_OF_EDGES)) if newer else ((), ())
    edges = (*_delegations(agents), _WITHIN_PARENT, *announced)
    return (*_sessions(subjects), *timed, *_agents(agents, subjects, subject), *_trees(agents), *edges)


def _sessions(subjects: str) -> tuple[Invariant, ...]:
    return (
        Invariant(
            "sessions.zone", "subject sessions", "belong to a zone that does not exist", _LOST, subjects,
            f"SELECT s.id FROM {subjects} s WHERE NOT EXISTS (SELECT FROM public.zones z WHERE z.id = s.zone_id)"),
        Invariant(
            "sessions.parent", "subject sessions with a parent", "have a parent that does not exist", _LOST,
            f"{subjects} WHERE parent_id IS NOT NULL",
            f"""SELECT s.id FROM {subjects} s WHERE s.parent_id IS NOT NULL
                   AND NOT EXISTS (SELECT FROM {subjects} p WHERE p.id = s.parent_id)"""),
        Invariant(
            "sessions.parent_zone", "subject sessions with a parent", "have a parent in another zone",
            "revoking a session of one zone ends sessions of another zone; end these sessions", f"{subjects} WHERE parent_id IS NOT NULL",
            f"SELECT s.id FROM {subjects} s JOIN {subjects} p ON p.id = s.parent_id WHERE p.zone_id <> s.zone_id", severity=WARN),
    )  # fmt: skip


def _revoked_at(subjects: str) -> Invariant:
    return Invariant(
        "sessions.revoked_time", "revoked subject sessions", "have no time of revocation",
        "they stay revoked, but the time is unknown", f"{subjects} WHERE status = 'revoked'",
        f"SELECT id FROM {subjects} WHERE status = 'revoked' AND revoked_at IS NULL", severity=WARN)  # fmt: skip


def _agents(agents: str, subjects: str, subject: str) -> tuple[Invariant, ...]:
    def elsewhere(table: str, column: str) -> str:
        return f"""SELECT a.id FROM {agents} a WHERE a.{column} IS NOT NULL
                      AND NOT EXISTS (SELECT FROM {table} o WHERE o.id = a.{column} AND o.zone_id = a.zone_id)"""

    return (
        Invariant(
            "agents.application", "agents", "belong to an application that does not exist in their zone", _LOST, agents,
            elsewhere("public.applications", "application_id")),
        Invariant(
            "agents.subject", "agents", "act for a subject session that does not exist in their zone", _LOST, agents,
            elsewhere(subjects, subject)),
        Invariant(
            "agents.parent", "agents with a parent", "have a parent that does not exist in their zone", _LOST,
            f"{agents} WHERE parent_id IS NOT NULL", elsewhere(agents, "parent_id")),
        Invariant(
            "agents.ended_time", "agents", "have an end time without being ended, or are ended without an end time", _END_AGENT, agents,
            f"SELECT id FROM {agents} WHERE (status IN {_ENDED}) <> (terminated_at IS NOT NULL)"),
    )  # fmt: skip


def _trees(agents: str) -> tuple[Invariant, ...]:
    return (
        Invariant(
            "agents.depth", "agents", "have a depth that does not match their position in the tree",
            "depth limits are not enforced; " + _END_AGENT, agents,
            f"SELECT a.id FROM {agents} a LEFT JOIN {agents} p ON p.id = a.parent_id WHERE a.depth <> coalesce(p.depth + 1, 0)"),
        Invariant(
            "agents.child_count", "live agents", "have a wrong count of live children",
            "their limit of children is not enforced; the count corrects itself when their children end",
            f"{agents} WHERE status IN {_LIVE}",
            f"""SELECT p.id FROM {agents} p LEFT JOIN {agents} c ON c.parent_id = p.id AND c.status IN {_LIVE}
                 WHERE p.status IN {_LIVE} GROUP BY p.id, p.child_count HAVING p.child_count <> count(c.id)""", severity=WARN),
        Invariant(
            "agents.topology", "agents with a parent", "are missing in agent_topology",
            "they do not end with their parent; " + _END_AGENT, f"{agents} WHERE parent_id IS NOT NULL",
            f"""SELECT a.id FROM {agents} a WHERE a.parent_id IS NOT NULL AND NOT EXISTS (
                  SELECT FROM public.agent_topology t WHERE t.parent_id = a.parent_id AND t.child_id = a.id)"""),
        Invariant(
            "agents.topology_true", "rows of agent_topology", "do not match the parents of the agents",
            "ending an agent also ends agents that are not its children; restore another set", "public.agent_topology",
            f"""SELECT t.child_id FROM public.agent_topology t LEFT JOIN {agents} a ON a.id = t.child_id
                 WHERE a.parent_id IS DISTINCT FROM t.parent_id"""),
        Invariant(
            "agents.live_under_ended", "live agents with a parent", "have a parent that has ended", _END_AGENT,
            f"{agents} WHERE parent_id IS NOT NULL AND status IN {_LIVE}",
            f"""SELECT a.id FROM {agents} a JOIN {agents} p ON p.id = a.parent_id
                 WHERE a.status IN {_LIVE} AND p.status IN {_ENDED}"""),
    )  # fmt: skip


def _delegations(agents: str) -> tuple[Invariant, ...]:
    def end(column: str) -> str:
        return f"EXISTS (SELECT FROM {agents} a WHERE a.id = d.{column} AND a.zone_id = d.zone_id)"

    return (
        Invariant(
            "delegations.ends", "delegations", "begin or end at an agent that does not exist in their zone", _LOST, _EDGES,
            f"SELECT d.id FROM {_EDGES} d WHERE NOT ({end('source_session_id')} AND {end('target_session_id')})"),
        Invariant(
            "delegations.applications", "delegations", "name applications that differ from their agents' applications", _REVOKE, _EDGES,
            f"""SELECT d.id FROM {_EDGES} d JOIN {agents} s ON s.id = d.source_session_id JOIN {agents} r ON r.id = d.target_session_id
                 WHERE s.application_id <> d.issuer_application_id OR r.application_id <> d.receiver_application_id"""),
        Invariant(
            "delegations.parent", "delegations with a parent", "do not begin where their parent ends", _REVOKE,
            f"{_EDGES} WHERE parent_edge_id IS NOT NULL",
            f"""SELECT d.id FROM {_EDGES} d LEFT JOIN {_EDGES} p ON p.id = d.parent_edge_id AND p.zone_id = d.zone_id
                 WHERE d.parent_edge_id IS NOT NULL AND p.target_session_id IS DISTINCT FROM d.source_session_id"""),
        Invariant(
            "delegations.revoked_time", "delegations",
            "have a revocation time without being revoked, or are revoked without a revocation time", _REVOKE, _EDGES,
            f"SELECT id FROM {_EDGES} WHERE (status = 'revoked') <> (revoked_at IS NOT NULL)"),
        Invariant(
            "delegations.active_under_revoked", "active delegations with a parent", "have a parent that is revoked", _REVOKE,
            f"{_EDGES} WHERE parent_edge_id IS NOT NULL AND status = 'active'",
            f"""SELECT d.id FROM {_EDGES} d JOIN {_EDGES} p ON p.id = d.parent_edge_id
                 WHERE d.status = 'active' AND p.status = 'revoked'"""),
        Invariant(
            "delegations.epoch", "zones with revoked delegations", "have no delegation epoch of 1 or more",
            "tokens of revoked delegations stay valid; set the epoch in delegation_graph_epochs above all earlier ones",
            f"(SELECT DISTINCT zone_id FROM {_EDGES} WHERE status = 'revoked') z",
            f"""SELECT DISTINCT d.zone_id FROM {_EDGES} d WHERE d.status = 'revoked' AND NOT EXISTS (
                  SELECT FROM public.delegation_graph_epochs e WHERE e.zone_id = d.zone_id AND e.epoch >= 1)"""),
    )  # fmt: skip


def _announced() -> Invariant:
    return Invariant(
        "delegations.announced", "delegations that were announced to the services", "are missing, although both agents exist",
        "Caracal did not delete them; find out who did, and compare with an older set", f"({_ANNOUNCED}) a",
        f"""SELECT a.edge FROM ({_ANNOUNCED}) a WHERE NOT EXISTS (
              SELECT FROM {_EDGES} d WHERE d.id = a.edge AND d.zone_id = a.zone_id)""", severity=WARN)  # fmt: skip


def _named(edge: str) -> str:
    """Return the SQL expression for the number of resources in a delegation's constraints."""
    listed = f"{edge}.constraints_json -> 'resources'"
    return f"CASE jsonb_typeof({listed}) WHEN 'array' THEN jsonb_array_length({listed}) ELSE 0 END"


# In the older family the coordinator compares times in milliseconds. A resource can be named by its ID or in the
# constraints. Identifiers are not resolved to resources, because an identifier can change.
_WITHIN_PARENT = Invariant(
    "delegations.within_parent", "delegations with a parent", "exceed their parent in resource, scope or time", _REVOKE,
    f"{_EDGES} WHERE parent_edge_id IS NOT NULL",
    f"""SELECT d.id FROM {_EDGES} d JOIN {_EDGES} p ON p.id = d.parent_edge_id AND p.zone_id = d.zone_id
         WHERE d.expires_at > p.expires_at + interval '1 millisecond' OR NOT d.scopes <@ p.scopes
            OR CASE WHEN d.resource_id IS NOT NULL THEN d.resource_id <> p.resource_id
                    ELSE (p.resource_id IS NOT NULL OR {_named("p")} > 0) AND {_named("d")} = 0 END""")  # fmt: skip
_EPOCHS = f"public.delegation_graph_epochs e WHERE e.epoch >= 1 AND e.updated_at > {_KEPT}"
_EPOCH_OF_EDGES = Invariant(
    "delegations.epoch_edges", "recent delegation epochs", "belong to a zone without a delegation",
    "a delegation created the epoch, and Caracal did not delete that delegation; find out who did, and compare with an older set", _EPOCHS,
    f"SELECT e.zone_id FROM {_EPOCHS} AND NOT EXISTS (SELECT FROM {_EDGES} d WHERE d.zone_id = e.zone_id)", severity=WARN)  # fmt: skip
