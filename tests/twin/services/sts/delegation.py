# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sessions and delegations that an exchange may claim, and the proof for the token."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ..common.identity import utc_now
from ..common.postgres import Row
from .asked import Asked, Refused
from .records import Records

CONSTRAINTS = {"resources", "ttl_seconds", "max_depth", "max_hops", "policy_approved", "expires_at", "broad_reason"}
MAX_HOPS = 10


@dataclasses.dataclass(frozen=True)
class Proof:
    """A live delegation: its edge, the IDs of the edges that lead to it, and the chain of delegating agents."""

    edge: Row
    constraints: dict[str, t.Any]
    path: list[str]
    chain: list[dict[str, str]]
    epoch: int

    def covers(self, resource: Row) -> bool:
        named = self.constraints.get("resources") or []
        return self.edge["resource_id"] in (None, resource["id"]) and (not named or resource["identifier"] in named)

    def shorten(self, lifetime: dt.timedelta) -> dt.timedelta:
        """Limit a token's lifetime to the delegation's."""
        limits: list[dt.timedelta] = [lifetime, self.edge["expires_at"] - utc_now()]
        if seconds := self.constraints.get("ttl_seconds"):
            limits.append(dt.timedelta(seconds=seconds))
        return min(limits)

    def claims(self) -> dict[str, t.Any]:
        return {
            "delegation_edge_id": self.edge["id"],
            "source_session_id": self.edge["source_session_id"],
            "target_session_id": self.edge["target_session_id"],
            "delegation_path": self.path,
            "delegation_chain": self.chain,
            "hop_count": len(self.path),
            "delegation_graph_epoch": self.epoch,
        }

    def metadata(self) -> dict[str, t.Any]:
        return {
            "delegation_edge_id": self.edge["id"],
            "delegation_chain": [{"delegation_edge_id": "", **hop} for hop in self.chain],
            "delegation_hop_count": len(self.path),
            "delegation_graph_epoch": self.epoch,
        }


def denied(asked: Asked, why: str) -> Refused:
    return Refused(403, "access_denied", why, asked.request)


def references(records: Records, asked: Asked, application: str) -> tuple[Proof | None, Row | None]:
    """Return the proof of the delegation and the acting session, if the exchange names them. Raises Refused if they are invalid."""
    if asked.authority:
        _own_authority(records, asked, application)
    if not asked.edge:
        return None, _own_agent(records, asked, application) if asked.agent else None
    if not asked.agent:
        raise denied(asked, "delegation requires a target Session")
    edge = records.edge(asked.zone, asked.edge)
    if edge is None:
        raise denied(asked, "delegation edge inactive or expired")
    if edge["target_session_id"] != asked.agent:
        raise denied(asked, "delegation edge target mismatch")
    source = records.agent(asked.zone, edge["source_session_id"])
    if source is None:
        raise denied(asked, "delegation source inactive or expired")
    target = records.agent(asked.zone, edge["target_session_id"])
    if target is None or target["application_id"] != application:
        raise denied(asked, "delegation target inactive or unauthorized")
    if (source["application_id"], target["application_id"]) != (edge["issuer_application_id"], edge["receiver_application_id"]):
        raise denied(asked, "delegation application mismatch")
    return _proof(records, asked, edge, target), target


def _own_authority(records: Records, asked: Asked, application: str) -> None:
    authority = records.authority(asked.zone, asked.authority)
    if authority is None:
        raise denied(asked, "authority record inactive or expired")
    if asked.claims is None and (authority["session_type"], authority["subject_id"]) != ("application", application):
        raise denied(asked, "authority record not owned by caller")


def _own_agent(records: Records, asked: Asked, application: str) -> Row:
    agent = records.agent(asked.zone, asked.agent)
    if agent is None:
        raise denied(asked, "session inactive or expired")
    if agent["application_id"] != application:
        raise denied(asked, "session not owned by caller")
    return agent


def _proof(records: Records, asked: Asked, edge: Row, target: Row) -> Proof:
    constraints = edge["constraints_json"] or {}
    if set(constraints) - CONSTRAINTS:
        raise denied(asked, "delegation constraints invalid")
    if not set(asked.scopes) <= set(edge["scopes"]):
        raise denied(asked, "requested scopes exceed delegation scopes")
    if 0 < int(constraints.get("ttl_seconds") or 0) < asked.ttl_seconds:
        raise denied(asked, "requested ttl exceeds delegation ttl")
    hops = int(constraints.get("max_hops") or constraints.get("max_depth") or 1)
    if hops > MAX_HOPS:
        raise denied(asked, "delegation hop limit exceeds platform maximum")
    path = _path(records, asked, edge)
    if len(path) > hops:
        raise denied(asked, "delegation path invalid")
    chain = [
        {"application_id": one["issuer_application_id"], "agent_session_id": one["source_session_id"], "delegation_edge_id": one["id"]}
        for one in path
    ]
    chain.append({"application_id": edge["receiver_application_id"], "agent_session_id": target["id"]})
    return Proof(edge, constraints, [one["id"] for one in path], chain, records.epoch(asked.zone))


def _path(records: Records, asked: Asked, edge: Row) -> list[Row]:
    """Return the edges from the first issuer to this one."""
    path = [edge]
    while (parent := path[0]["parent_edge_id"]) and len(path) <= MAX_HOPS:
        above = records.edge(asked.zone, parent)
        if above is None:
            raise denied(asked, "delegation path edge inactive or revoked")
        path.insert(0, above)
    return path
