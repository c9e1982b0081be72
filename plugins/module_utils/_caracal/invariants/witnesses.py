# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare tables with each other: rows must agree with the events in the outboxes, the admin log and the agents.

Each rule covers rows that the product writes in one transaction, or always writes together.
"""

from __future__ import annotations

from ..._report.check import WARN
from ..keys.sealed_columns import SIGNING_KEY_ROWS
from ..outbox import COORDINATOR, EVENTS, REVOCATIONS
from ..releases import SECRET_STORE
from .authority import agents_of, subjects_of
from .rule import Invariant

_ACTIVATIONS = "caracal.policy.invalidate"
_BINDINGS = "public.policy_set_bindings"
_OWN = "slug LIKE 'caracal-sys-%'"
_PAST_THE_API = "an activation was changed without the API; compare with the source, then activate the correct version through the API"
_REVOKED = f"""
    SELECT o.payload_json ->> 'zone_id', o.payload_json ->> 'session_id' FROM public.{EVENTS} o
     WHERE o.stream_name = '{REVOCATIONS}' AND o.payload_json ->> 'session_id' IS NOT NULL
       AND o.payload_json ->> 'agent_session_id' IS NULL AND o.payload_json ->> 'delegation_edge_id' IS NULL"""
# The cleaner deletes sent rows, starting with the oldest change. So an agent that started after the last change of a
# remaining row still has its own row.
_SPAWNED = "o.producer = 'coordinator' AND o.topic = 'caracal.agents.lifecycle'"
_KEPT_SINCE = f"""(SELECT min(o.updated_at) FROM public.{COORDINATOR} o
                   WHERE {_SPAWNED} AND o.status = 'published' AND starts_with(o.dedupe_key, 'spawn:'))"""


def of(family: str) -> tuple[Invariant, ...]:
    return (
        announced(family),
        some_active_set(family),
        revoked_active(family),
        REVOKED_EDGES,
        spawned(family),
        terminated_active(family),
        used_key(family),
    )


def _newest(family: str) -> str:
    """Return a query for the newest event of each activation, by its ID and by its time.

    The time is the start of the transaction, before it waited for another one. The ID is created later, but with the
    clock of the API's host. In the newer family an activation ends all others of the zone, in the older family only the
    one of the same set.
    """
    zone, policy_set = "o.payload_json ->> 'zone_id'", "o.payload_json ->> 'policy_set_id'"
    key = zone if family == SECRET_STORE else policy_set
    return f"""
        SELECT {key} AS key, {zone} AS zone_id, {policy_set} AS policy_set_id, o.payload_json ->> 'policy_set_version_id' AS version_id,
               row_number() OVER (PARTITION BY {key} ORDER BY o.id COLLATE "C" DESC) AS by_id,
               row_number() OVER (PARTITION BY {key} ORDER BY o.created_at DESC, o.id COLLATE "C" DESC) AS by_time
          FROM public.{EVENTS} o JOIN public.policy_sets s ON s.id = {policy_set} AND s.zone_id = {zone}
         WHERE o.stream_name = '{_ACTIVATIONS}'"""


def announced(family: str) -> Invariant:
    newest = f"({_newest(family)}) n WHERE 1 IN (n.by_id, n.by_time)"
    return Invariant(
        "policy_activation.announced", "policy activations that were announced to the STS", "do not match the policy bindings",
        _PAST_THE_API, f"(SELECT DISTINCT n.key FROM {newest}) k",
        f"""SELECT n.key FROM {newest} GROUP BY n.key HAVING NOT bool_or(CASE WHEN n.version_id IS NULL
              THEN NOT EXISTS (SELECT FROM {_BINDINGS} b WHERE b.zone_id = n.zone_id AND b.active_version_id IS NOT NULL)
              ELSE EXISTS (SELECT FROM {_BINDINGS} b WHERE b.zone_id = n.zone_id AND b.policy_set_id = n.policy_set_id
                              AND b.active_version_id = n.version_id) END)""")  # fmt: skip


def some_active_set(family: str) -> Invariant:
    """Return the rule that some zone has an active policy set if there are agents.

    A token requires an active policy, and an agent requires a token. Deleting a policy set ends its activation and
    announces it.
    """
    agents = f"public.{agents_of(family)}"
    governed = f"""public.zones z WHERE z.archived_at IS NULL AND NOT {_OWN} AND EXISTS (SELECT FROM {agents} a WHERE a.zone_id = z.id)
        AND EXISTS (SELECT FROM public.policy_sets s JOIN public.policy_set_versions v ON v.policy_set_id = s.id
                     WHERE s.zone_id = z.id AND s.archived_at IS NULL)
        AND NOT EXISTS (SELECT FROM ({_newest(family)}) n WHERE n.zone_id = z.id AND 1 IN (n.by_id, n.by_time) AND n.version_id IS NULL)"""
    return Invariant(
        "policy_activation.some_active_set", "deployments with agents and policy sets", "have no active policy set in any zone",
        "all zones deny all requests; activate a policy set in each zone, or restore another backup set",
        f"(SELECT FROM {governed} LIMIT 1) d",
        f"""SELECT 'policy_set_bindings' FROM (SELECT FROM {governed} LIMIT 1) d WHERE NOT EXISTS (
              SELECT FROM {_BINDINGS} b JOIN public.zones z ON z.id = b.zone_id
               WHERE b.active_version_id IS NOT NULL AND z.archived_at IS NULL AND NOT {_OWN})""")  # fmt: skip


def revoked_active(family: str) -> Invariant:
    """Return the rule that a revoked session is never active again. Events that also name an agent concern only the agent."""
    subjects = f"public.{subjects_of(family)}"
    timed = "s.revoked_at IS NOT NULL OR " if family == SECRET_STORE else ""
    revoked = f"({timed}(s.zone_id, s.id) IN ({_REVOKED}))"
    return Invariant(
        "sessions.revoked_active", "subject sessions that were revoked", "are active",
        "revoked items are valid again; revoke them again through the API, and find out who changed them",
        f"{subjects} s WHERE {revoked}", f"SELECT s.id FROM {subjects} s WHERE s.status = 'active' AND {revoked}")  # fmt: skip


# The coordinator announces a revoked edge in the same transaction, and the API announces each edge of a revoked
# subject.
_REVOKED_EDGES = f"""(
    SELECT o.payload_json ->> 'edge_id' AS id FROM public.{COORDINATOR} o
     WHERE o.producer = 'coordinator' AND starts_with(o.dedupe_key, 'edge_revoke:')
    UNION SELECT o.payload_json ->> 'delegation_edge_id' FROM public.{EVENTS} o
     WHERE o.stream_name = '{REVOCATIONS}' AND o.payload_json ->> 'agent_session_id' IS NULL AND o.payload_json ->> 'session_id' IS NULL
       AND o.payload_json ->> 'delegation_edge_id' IS NOT NULL) r"""
REVOKED_EDGES = Invariant(
    "delegations.revoked_active", "delegations whose revocation was announced", "are active",
    "revoked items are valid again; revoke them again, and find out who changed them",
    f"public.delegation_edges e JOIN {_REVOKED_EDGES} ON r.id = e.id",
    f"SELECT e.id FROM public.delegation_edges e JOIN {_REVOKED_EDGES} ON r.id = e.id WHERE e.status = 'active'")  # fmt: skip


def spawned(family: str) -> Invariant:
    started = "started_at" if family == SECRET_STORE else "spawned_at"
    recent = f"public.{agents_of(family)} a WHERE a.{started} > {_KEPT_SINCE}"
    return Invariant(
        "agents.spawned", "agents that started since the oldest stored announcement", "were never announced to the services",
        "the Coordinator did not start them, unless an operator deleted rows of caracal_outbox; find out who started them, and end them",
        recent,
        f"""SELECT a.id FROM {recent} AND NOT EXISTS (
              SELECT FROM public.{COORDINATOR} o WHERE {_SPAWNED} AND o.dedupe_key = 'spawn:' || a.id)""",
        severity=WARN)  # fmt: skip


# The coordinator announces an end in its transaction. So does the API, for each agent of a subject or application that
# it revokes.
_ENDED = f"""
    SELECT o.payload_json ->> 'zone_id', o.payload_json ->> 'agent_session_id' FROM public.{COORDINATOR} o
     WHERE {_SPAWNED} AND o.payload_json ->> 'event' = 'terminate'
    UNION SELECT o.payload_json ->> 'zone_id', o.payload_json ->> 'agent_session_id' FROM public.{EVENTS} o
     WHERE o.stream_name = 'caracal.agents.lifecycle' AND o.payload_json ->> 'event' = 'terminate'"""


def terminated_active(family: str) -> Invariant:
    """Return the rule that an ended agent is never active again. Only a suspended agent can be resumed."""
    ended = f"public.{agents_of(family)} a WHERE (a.zone_id, a.id) IN ({_ENDED})"
    return Invariant(
        "agents.terminated_active", "agents whose end was announced", "are active or suspended",
        "an ended agent is valid again; end it again through the Coordinator, and find out who changed it",
        ended, f"SELECT a.id FROM {ended} AND a.status IN ('active', 'suspended')")  # fmt: skip


def used_key(family: str) -> Invariant:
    """Return the rule for zones with agents: they need a signing key, because an agent is only started for a token signed with it."""
    zones = f"""public.zones z WHERE z.archived_at IS NULL
        AND EXISTS (SELECT FROM public.{agents_of(family)} a WHERE a.zone_id = z.id)"""
    return Invariant(
        "keys.zone_signed", "live zones with agents", "have no signing key, although one of their tokens was accepted",
        "the key was lost: the STS creates a new one and refuses every token of the old one; restore another set", zones,
        f"""SELECT z.id FROM {zones}
               AND NOT EXISTS (SELECT FROM public.secrets k WHERE k.zone_id = z.id AND k.{SIGNING_KEY_ROWS})""")  # fmt: skip
