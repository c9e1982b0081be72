# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""C1: exchange a client secret for a token.

A refusal by policy is reported differently from a broken STS. It proves that zone, application, secret and policy
engine work, and that only the operator's choice of application is wrong.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import typing as t

from ..._reasons import BROKEN, DENIED, FIRST_KEY, HELD, ISSUED, NEW_SIGNING_KEY, Reason, because
from ..._report.check import FAIL, PASS, UNPROVEN, WARN, Check
from .asking import STS, Answer, Services, request_id

CHECK_ID = "canary.exchange"
_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
# Meaning of an STS answer, by status, error code and start of the description. The first match applies.
_CAUSES = (
    (
        401,
        "access_denied",
        "invalid client credentials",
        "the application does not exist in this zone of the copy, or its client secret is wrong",
    ),
    (403, "zone_invalid", "", "the application belongs to another zone; correct application.zone"),
    (403, "policy_eval_failed", "", "the policy engine did not complete its decision; see canary.policy_active"),
    (503, "policy_eval_failed", "", "the policy engine does not work; see canary.policy_active"),
    (
        500,
        "internal_error",
        "token issuance failed",
        "the STS cannot sign: the KEK does not decrypt the zone's key, or Redis does not answer",
    ),
    (429, "", "", "the STS limits the rate of requests; wait a minute and run the canary again"),
)


@dataclasses.dataclass(frozen=True)
class Application:
    """The application that requests a token, and the requested resource.

    `labels` are the roles of a delegated session (family secret_store). `ours` is True if the canary created the
    application.
    """

    zone: str
    id: str
    secret: str = dataclasses.field(repr=False)
    resource: str
    scopes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    path: str = "/"
    ours: bool = False


@dataclasses.dataclass(frozen=True)
class Exchange:
    """One exchange. `token` is empty if no token was issued."""

    request_id: str
    answer: Answer
    token: str = dataclasses.field(default="", repr=False)

    @property
    def outcome(self) -> Reason:
        answer = self.answer
        if answer.status == 200 and self.token:
            return ISSUED
        if answer.status == 403 and answer.error == "access_denied" and answer.description.startswith("policy denied"):
            return DENIED
        if answer.status == 401 and answer.error == "interaction_required":
            return HELD
        return BROKEN

    @property
    def kid(self) -> str:
        """The ID of the key that signed the token, or an empty string."""
        try:
            head = self.token.partition(".")[0]
            return str(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"])
        except (ValueError, KeyError, TypeError):
            return ""


def ask(services: Services, application: Application, scope: str, **more: str) -> Exchange:
    """Exchange the client secret for a token."""
    own = request_id()
    form = [
        ("grant_type", _GRANT),
        ("zone_id", application.zone),
        ("application_id", application.id),
        ("client_secret", application.secret),
        ("resource", application.resource),
        *([("scope", scope)] if scope else []),
        *more.items(),
    ]
    answer = services.call(STS, "POST", "/oauth/2/token", form=form, headers={"X-Request-Id": own})
    token = answer.content.get("access_token") if isinstance(answer.content, dict) else None
    return Exchange(own, answer, services.hide(token) if isinstance(token, str) else "")


def judge(made: Exchange, application: Application, kids: t.Collection[str], reasons: t.Sequence[str]) -> Check:
    """Return the check of an exchange.

    `kids` are the zone's keys in the backup. `reasons` are the evaluation statuses in the audit rows of a refusal.
    """
    details = {**made.answer.facts, "request_id": made.request_id, "outcome": made.outcome}
    if made.outcome == ISSUED:
        if not application.ours and not kids:
            words = "a token was issued, but its zone had no signing key in the backup, so the token proves nothing about the backup's keys"
            return Check(CHECK_ID, UNPROVEN, words, details={**details, **because(FIRST_KEY)})
        if not application.ours and made.kid not in kids:
            words = "a token was issued, but signed with a key that is not in the backup: the STS silently created a new one"
            return Check(CHECK_ID, FAIL, words, details={**details, **because(NEW_SIGNING_KEY)})
        return Check(CHECK_ID, PASS, f"the STS issued a token of zone {application.zone} for a client secret", details=details)
    if made.outcome in (DENIED, HELD) and not application.ours:
        what = "policy refuses this application" if made.outcome == DENIED else "policy requires an approval by a person first"
        why = f" ({', '.join(reasons)})" if reasons else ""
        words = (
            f"{what}{why}: {made.answer}; the STS is not broken: zone, application, secret and policy engine work, but no token was issued"
        )
        return Check(CHECK_ID, WARN, words, details={**details, **because(made.outcome)})
    cause = next((cause for status, error, begins, cause in _CAUSES if _fits(made.answer, status, error, begins)), "")
    if made.outcome == DENIED:
        cause = "the canary's own policy allows this request, so another policy is in force"
    words = f"no token: {made.answer}{f'; {cause}' if cause else ''}"
    return Check(CHECK_ID, FAIL, words, details={**because(made.outcome), **details})


def _fits(answer: Answer, status: int, error: str, description: str) -> bool:
    return answer.status == status and (not error or answer.error == error) and answer.description.startswith(description)
