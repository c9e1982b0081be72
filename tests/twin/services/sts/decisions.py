# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decision of a policy set about an exchange. The rules over data documents copy the product's."""

from __future__ import annotations

import dataclasses
import typing as t

from ..common import documents
from ..common.documents import PolicyError
from ..common.tokens import Claims

LIFECYCLE_SCOPE = "agent:lifecycle"


@dataclasses.dataclass(frozen=True)
class Question:
    """The subject of a decision. `labels` are the session's, `edge_scopes` the delegation's (None without one)."""

    application: str
    resource: str
    scopes: list[str]
    labels: list[str]
    agent: str
    edge_scopes: list[str] | None
    claims: Claims | None


@dataclasses.dataclass(frozen=True)
class Decision:
    allowed: bool
    policies: list[dict[str, str]] = dataclasses.field(default_factory=list)
    diagnostics: list[dict[str, t.Any]] | None = dataclasses.field(default_factory=list)

    @property
    def reason(self) -> str:
        """Return the reason of a denial that the caller gets."""
        return next((str(one["reason"]) for one in self.diagnostics or [] if one.get("reason")), "")


# If no rule of the set gives a result, the product's engine answers without a reason.
UNDEFINED = Decision(False, diagnostics=None)


def deny(reason: str) -> Decision:
    return Decision(False, diagnostics=[{"reason": reason}])


def allow(policy: str) -> Decision:
    return Decision(True, [{"policy": policy}])


def by_rego(contents: t.Sequence[str], question: Question) -> Decision:
    """Decide like the releases that use the set's own Rego. Raises PolicyError."""
    real = [content for content in contents if not documents.is_document(content)]
    if not real:
        return UNDEFINED
    if len(real) > 1:
        raise PolicyError("several policies define a result")
    rule = documents.canary(real[0])
    fits = rule.application == question.application and rule.resource == question.resource
    if fits and set(question.scopes) <= rule.scopes:
        return Decision(True, rule.policies)
    return Decision(False)


def by_contract(contents: t.Sequence[str], question: Question) -> Decision:
    """Decide like the releases with built-in rules that read the set's data documents. Raises PolicyError."""
    data = documents.merged(contents)
    if data.get("restrict"):
        return deny("restriction_active")
    if data.get("risk") or data.get("approval_tiers"):
        raise PolicyError("approvals are not played by this stand-in")
    grant = data.get("grants", {}).get(question.resource, {})
    keys = {key for key, application in data.get("app_ids", {}).items() if application == question.application}
    owner = grant.get("application")
    return _decide(question, grant, owner if owner in keys else None, data.get("confinement", []))


def _decide(question: Question, grant: dict[str, t.Any], owner: str | None, confinement: list[dict[str, t.Any]]) -> Decision:
    if _bootstraps(question):
        return allow("caracal-bootstrap") if owner else deny("no_rule_matched")
    if _mints(question):
        return _mint(question, grant, owner, confinement)
    claims = question.claims or {}
    carried = str(claims.get("scope") or "").split()
    if not claims.get("delegation_edge_id") or question.scopes or not carried:
        return deny("no_rule_matched")
    if question.resource not in claims.get("target", []):
        return deny("mandate_target_mismatch")
    if not owner:
        return deny("resource_not_granted")
    return allow(f"caracal-{owner}-use") if _role_grants(question.labels, grant, carried) else deny("role_scope_mismatch")


def _bootstraps(question: Question) -> bool:
    alone = not question.claims and question.edge_scopes is None and not question.agent
    return alone and set(question.scopes) == {LIFECYCLE_SCOPE}


def _mints(question: Question) -> bool:
    delegated = question.edge_scopes is not None and bool(question.agent) and not question.claims
    return delegated and bool(question.scopes) and LIFECYCLE_SCOPE not in question.scopes


def _mint(question: Question, grant: dict[str, t.Any], owner: str | None, confinement: list[dict[str, t.Any]]) -> Decision:
    if not owner:
        return deny("resource_not_granted")
    if not set(question.scopes) <= set(question.edge_scopes or []):
        return deny("delegation_scope_exceeded")
    for rule in confinement:
        if any(label.startswith(rule["label_prefix"]) for label in question.labels) and not set(question.scopes) <= set(rule["scopes"]):
            return deny("confinement_violation")
    return allow(f"caracal-{owner}-mint") if _role_grants(question.labels, grant, question.scopes) else deny("role_scope_mismatch")


def _role_grants(labels: list[str], grant: dict[str, t.Any], scopes: list[str]) -> bool:
    roles = grant.get("roles", {})
    return any(set(scopes) <= set(roles[label]) for label in labels if label in roles)
