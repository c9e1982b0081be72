# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""C2: a protected request through the Gateway, and requests that the Gateway must refuse."""

from __future__ import annotations

import dataclasses
import typing as t

from ..._reasons import ACCEPTED, DENIED, OTHER_UPSTREAM, REFUSED, because
from ..._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, WARN, Check
from .asking import GATEWAY, Answer, Ask, Refused, Services, request_id
from .dialect import Dialect
from .exchange import Application

CHECK_ID = "canary.gateway"
NO_TOKEN, REVOKED, REPLAYED = "canary.refused.no_token", "canary.refused.revoked_session", "canary.refused.replayed_token"
# A response header that exists only if the Gateway forwarded the request to the upstream.
_PASSED = "x-caracal-token-expires-in"
# Start of Gateway answers that are sent before it checks for revoked sessions. They do not prove anything about
# revocation.
_BEFORE = ("bearer ", "malformed", "credential expiring", "missing ", "resource not configured", "path traversal", "revocation state")
_CAUSES = (
    (
        403,
        "resource not configured",
        "the Gateway has no binding for this resource; gateway_resource_bindings was not restored or is stale",
    ),
    (401, "bearer signature invalid", "the Gateway cannot verify the token with the keys of the STS; see canary.jwks"),
    (401, "invalid gateway exchange signature", "STS and Gateway have different values of GATEWAY_STS_HMAC_KEY, or their clocks differ"),
    (401, "session revoked", "the token was issued just now, but its session counts as revoked"),
    (503, "revocation state unavailable", "the Gateway has no fresh snapshot of revocations; its database does not answer"),
    (502, "upstream unreachable", "the Gateway accepted the request, but the resource's upstream_url does not answer"),
    (
        502,
        "upstream not addressable",
        "the host name of the upstream does not resolve or is not allowed; see UPSTREAM_HOST_ALLOWLIST and ALLOW_PRIVATE_UPSTREAMS",
    ),
)
# Gateway answers that are sent after the exchange with the STS. The Gateway writes an audit event for them too.
_AUDITED = ("upstream unreachable", "upstream timeout", "upstream not addressable")


@dataclasses.dataclass(frozen=True)
class Upstream:
    """A harmless upstream of the drill. It answers `nonce`, and runs while `ask` sends a request."""

    ask: Ask
    nonce: str


@dataclasses.dataclass(frozen=True)
class Asked:
    """A request sent through the Gateway."""

    request_id: str
    answer: Answer


def ask(services: Services, resource: str, path: str, token: str, upstream: Upstream | None = None) -> Asked:
    """Send GET `path` to a resource."""
    own = request_id()
    headers = {"X-Caracal-Resource": resource, "X-Request-Id": own}
    through = services.asking(upstream.ask) if upstream else services
    return Asked(own, through.call(GATEWAY, "GET", path, token=token, headers=headers))


def audited(asked: Asked) -> bool:
    """Return whether the Gateway must have written an audit event for the request."""
    return asked.answer.status is not None and (_PASSED in asked.answer.headers or asked.answer.description in _AUDITED)


def judge(asked: Asked, application: Application, upstream: Upstream | None, left: t.Sequence[str] = ()) -> Check:
    """Check that the request passed the Gateway and that the upstream answered. `left` are sessions that could not be ended."""
    answer = asked.answer
    details = {**answer.facts, "request_id": asked.request_id, "sessions_left": list(left)}
    if left and not application.ours and answer.status is not None and _PASSED in answer.headers:
        words = f"the request passed the Gateway, but {len(left)} sessions of the canary could not be ended; terminate {left[0]}"
        return Check(CHECK_ID, WARN, words, details=details)
    if upstream and answer.status == 200 and upstream.nonce in answer.text:
        return Check(
            CHECK_ID, PASS, "the Gateway forwarded a protected request to the drill's own upstream and returned its answer", details=details
        )
    if upstream and answer.status == 200:
        words = "the Gateway answered 200, but not with the content of the drill's own upstream; another server answered instead"
        return Check(CHECK_ID, FAIL, words, details={**details, **because(OTHER_UPSTREAM)})
    if answer.status is not None and _PASSED in answer.headers:
        good = 200 <= answer.status < 400
        words = f"a protected request to {application.resource} passed the Gateway; the upstream answered {answer.status}"
        return Check(CHECK_ID, PASS if good else WARN, words, details=details)
    cause = next((cause for status, words, cause in _CAUSES if answer.is_(status, words)), "")
    return Check(CHECK_ID, FAIL, f"{answer}{f'; {cause}' if cause else ''}", details={**because(REFUSED), **details})


def stopped(refused: Refused, application: Application) -> Check:
    """Return the check for a request that stopped before the Gateway.

    A policy that refuses the operator's labels and scopes is not a fault of the copy.
    """
    details = {**refused.answer.facts, "step": refused.step}
    if not application.ours and refused.answer.status == 403 and refused.answer.description.startswith("policy denied"):
        words = f"not run: policy refuses the delegated token; correct application.labels and application.scopes ({refused})"
        return Check(CHECK_ID, UNPROVEN, words, details={**details, **because(DENIED)})
    return Check(CHECK_ID, FAIL, f"the Gateway was not reached: {refused}", details={**because(REFUSED), **details})


def without_token(services: Services) -> Check:
    """Check that a request without a token is refused."""
    answer = ask(services, "resource://caracal-ops-canary", "/", "").answer
    if answer.is_(401, "missing bearer token"):
        return Check(NO_TOKEN, PASS, "the Gateway refuses a request without a token", details=answer.facts)
    if answer.status is None or answer.description.startswith("revocation state"):
        return Check(NO_TOKEN, UNPROVEN, f"the Gateway did not check the token: {answer}", details=answer.facts)
    return Check(NO_TOKEN, FAIL, f"the Gateway did not refuse a request without a token: {answer}", details=answer.facts)


def revoked(services: Services, resource: str, token: str, kind: str) -> Check:
    """Check that a token of a revoked session is refused. The drill signs the token with the restored key of its zone."""
    answer = ask(services, resource, "/", token).answer
    details = {**answer.facts, "kind": kind}
    if answer.is_(401, "session revoked"):
        words = f"the Gateway refuses a token of a revoked {kind} (signed by the drill with the restored key of its zone)"
        return Check(REVOKED, PASS, words, details=details)
    if answer.status is None or answer.description.startswith(_BEFORE):
        return Check(REVOKED, UNPROVEN, f"the Gateway refused the token, but not because its {kind} is revoked: {answer}", details=details)
    words = (
        f"the Gateway accepted a token of a {kind} that is revoked in the copy: {answer}; reload revocations before you expose the Gateway"
    )
    return Check(REVOKED, FAIL, words, details={**details, **because(ACCEPTED)})


def replayed(first: Asked | None, second: Answer | None, dialect: Dialect) -> Check:
    """Check that a one-time token is refused the second time, if the release has one-time tokens."""
    if not dialect.one_shot:
        words = "this release has no one-time tokens; the Gateway accepts a token until it expires"
        return Check(REPLAYED, NOT_APPLICABLE, words, required=False)
    if first is None or second is None or first.answer.status is None:
        return Check(REPLAYED, UNPROVEN, "not run: the Gateway did not answer a first request with a one-time token")
    if second.is_(401, "token replay detected"):
        return Check(REPLAYED, PASS, "the Gateway refuses a one-time token the second time", details=second.facts)
    if second.status is None or second.description.startswith(_BEFORE):
        return Check(REPLAYED, UNPROVEN, f"the Gateway did not check the token: {second}", details=second.facts)
    return Check(
        REPLAYED,
        FAIL,
        f"the Gateway did not refuse a one-time token the second time: {second}",
        details={**second.facts, **because(ACCEPTED)},
    )


def not_asked(check_id: str, why: str) -> Check:
    return Check(check_id, UNPROVEN, f"not run: {why}")
