# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The token exchange: authentication, the policy decision, its record, and the token."""

from __future__ import annotations

import dataclasses
import typing as t

from ... import passwords
from ..common import tokens
from ..common.documents import PolicyError
from ..common.evidence import Evidence, event
from ..common.journal import log
from ..common.keyring import SealError
from ..common.postgres import Row
from . import delegation
from .asked import Asked, Refused
from .bundles import Bundles
from .decisions import LIFECYCLE_SCOPE, Decision, Question
from .delegation import Proof, denied
from .mint import Mint
from .records import Records
from .signing_keys import SigningKeys
from .upstreams import Upstreams

CONTROL = "caracal-control"
Json = dict[str, t.Any]


@dataclasses.dataclass
class Exchange:
    """Everything that an exchange needs."""

    records: Records
    keys: SigningKeys
    bundles: Bundles
    evidence: Evidence
    upstreams: Upstreams
    mint: Mint
    issuer: str

    def run(self, asked: Asked) -> Json:
        """Return the answer of a granted exchange. Raises Refused."""
        application = self._authenticate(asked)
        if not asked.resources:
            raise Refused(400, "invalid_token", "at least one resource is required", asked.request)
        if asked.subject_token:
            self._subject(asked, application["id"])
        proof, agent = delegation.references(self.records, asked, application["id"])
        granted, reason = self._granted(asked, application, proof, agent)
        if not granted:
            self._emit(asked, "deny", "exchange_denied", application, {"requested": asked.resources})
            raise denied(asked, f"policy denied ({reason})" if reason else "policy denied")
        if asked.subject_token and not asked.by_gateway:
            raise denied(asked, "resource exchanges must use the Gateway")
        return self.mint.run(asked, application["id"], granted, proof)

    def _authenticate(self, asked: Asked) -> Row:
        application = self.records.application(asked.application, asked.zone)
        if application is not None and asked.by_gateway and asked.subject_token:
            return application
        if application is not None and passwords.matches(asked.client_secret, application["client_secret_hash"]):
            return application
        elsewhere = None if application or not self.records.release.secret_store else self.records.application(asked.application, None)
        if elsewhere and passwords.matches(asked.client_secret, elsewhere["client_secret_hash"]):
            text = f"application is registered in zone {elsewhere['zone_id']} but the request targeted zone {asked.zone}; "
            raise Refused(403, "zone_invalid", f"{text}use credentials issued for the targeted zone or correct the zone_id", asked.request)
        raise Refused(401, "access_denied", "invalid client credentials", asked.request)

    def _subject(self, asked: Asked, application: str) -> None:
        """Verify the subject token of the gateway or a client, and bind the exchange to the token's session and delegation."""
        use = "gateway" if asked.by_gateway and self.records.release.contract and self.records.release.secret_store else "session"
        try:
            claims = tokens.verify(asked.subject_token, self.keys.verifying(asked.zone), self.issuer, self.issuer)
            if claims.get("zone_id") != asked.zone or claims.get("use") != use:
                raise tokens.TokenError(f"subject_token must be a {use} mandate")
        except (tokens.TokenError, SealError) as error:
            log("warn", "subject token refused", request_id=asked.request, err=str(error))
            raise Refused(401, "invalid_token", "invalid subject_token", asked.request) from None
        authority = self.records.authority(asked.zone, str(claims.get("sid")))
        if authority is None:
            raise denied(asked, "authority record inactive or expired")
        if authority["subject_id"] != claims.get("sub"):
            raise denied(asked, "authority record subject mismatch")
        if claims.get("client_id") != application:
            raise denied(asked, "authority record client mismatch")
        asked.claims, asked.authority = claims, authority["id"]
        asked.agent = claims.get("agent_session_id") or asked.agent
        asked.edge = claims.get("delegation_edge_id") or asked.edge

    def _granted(self, asked: Asked, application: Row, proof: Proof | None, agent: Row | None) -> tuple[list[Row], str]:
        """Return the granted resources, and the first reason for a denial."""
        granted, reason = [], ""
        for identifier in asked.resources:
            resource = self.records.resource(asked.zone, identifier)
            if status := self._unfit(asked, resource, proof):
                self._emit(asked, "deny", status, application, {"resource": identifier, **(proof.metadata() if proof else {})})
                continue
            resource = t.cast(Row, resource)
            if identifier == CONTROL:
                self._emit(asked, "deny", "control_resource_requires_control_key", application, {"resource": identifier})
                raise denied(asked, "the control resource is mintable only by a control key exchanging its own client credentials")
            if asked.by_gateway and (fault := self.upstreams.operation_fault(resource, asked)):
                self._emit(asked, "deny", "operation_not_permitted", application, {"resource": identifier})
                raise Refused(403, "operation_not_permitted", fault, asked.request)
            decision = self._decide(asked, application, resource, proof, agent)
            if decision.allowed:
                granted.append(resource)
            reason = reason or decision.reason
        return granted, reason

    def _unfit(self, asked: Asked, resource: Row | None, proof: Proof | None) -> str:
        if resource is None:
            return "resource_not_found"
        scopes = set(resource["scopes"])
        if self.records.release.contract and resource["upstream_url"]:
            scopes.add(LIFECYCLE_SCOPE)
        if not set(asked.scopes) <= scopes:
            return "scope_mismatch"
        return "resource_outside_delegation" if proof and not proof.covers(resource) else ""

    def _decide(self, asked: Asked, application: Row, resource: Row, proof: Proof | None, agent: Row | None) -> Decision:
        edge_scopes = proof.edge["scopes"] if proof else None
        labels = list(agent["labels"]) if agent else []
        question = Question(application["id"], resource["identifier"], asked.scopes, labels, asked.agent, edge_scopes, asked.claims)
        try:
            decision = self.bundles.ask(asked.zone, question)
        except PolicyError as error:
            log("error", "policy evaluation failed", request_id=asked.request, zone_id=asked.zone, err=str(error))
            failed = Decision(False, diagnostics=[{"error": str(error)}])
            self._emit(asked, "deny", "policy_eval_failed", application, {"resource": resource["identifier"]}, failed)
            raise Refused(503, "policy_eval_failed", "policy evaluation unavailable", asked.request) from None
        metadata = {
            "resource": resource["identifier"],
            "requested_scopes": asked.scopes,
            "session_id": asked.authority,
            "agent_session_id": asked.agent,
            "delegation_edge_id": asked.edge,
            **({"agent_labels": labels, "agent_depth": agent["depth"]} if agent else {}),
            **(proof.metadata() if proof else {}),
        }
        self._emit(asked, "allow" if decision.allowed else "deny", "complete", application, metadata, decision)
        return decision

    def _emit(self, asked: Asked, decision: str, status: str, application: Row, metadata: Json, result: Decision | None = None) -> None:
        about = {
            "application_id": application["id"],
            "application_name": application["name"],
            "application_registration_method": application["registration_method"],
        }
        bundle = self.bundles.info(asked.zone) if result else None
        self.evidence.emit(
            event(
                asked.zone,
                "token_exchange",
                asked.request,
                decision,
                status,
                policies=result.policies if result else None,
                diagnostics=result.diagnostics if result else None,
                policy_set_version_id=bundle.version if bundle else "",
                manifest_sha=bundle.manifest_sha256 if bundle else "",
                metadata={**about, **metadata},
            )
        )
