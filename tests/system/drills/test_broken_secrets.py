# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets that differ from the set: one or all of another deployment, with a pattern, too short, missing, or unreadable."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from scenes.drilling import Drill
from twin import keys

OTHER = keys.for_seed("another deployment").as_files()
SEALED = (
    "envelopes.kek envelopes.secrets.envelope envelopes.secret_store.envelope envelopes.provider_connections.access_token_ct "
    "envelopes.provider_connections.refresh_token_ct envelopes.notification_sinks.secret_ct envelopes.operator_plan_secrets.envelope"
)
CHAINS = "audit.hmac_key admin.hmac_key settled.tamper_sweep settled.dead_letters settled.stream_landed"
KEYS_UNREAD = "envelopes.signing_keys canary.refused.revoked_session"
NO_STS = "services.sts.ready services.api.ready services.gateway.ready settled.replay_drained"
REFUSED = "canary.zones canary.policy_active canary.audit_query canary.self_made"
NOT_ASKED = "canary.exchange canary.gateway canary.audit_row"


@dataclasses.dataclass(frozen=True)
class Case:
    """`given` has the name of the secret and its other value; None removes it. The other fields are the failing checks,
    the unproven ones, and every cause.
    """

    given: t.Mapping[str, str | None]
    failed: set[str]
    causes: tuple[str, ...]
    unproven: set[str] = dataclasses.field(default_factory=set)
    until: str = "settle"


def case(given: t.Mapping[str, str | None], failed: str, *causes: str, unproven: str = "", until: str = "settle") -> Case:
    return Case(given, set(failed.split()), causes, set(unproven.split()), until)


def others(*names: str) -> dict[str, str | None]:
    return {name: OTHER[name] for name in names}


CASES = {
    "the KEK of another deployment": case(
        others("secretStoreKek"), f"{SEALED} canary.jwks", "kek.wrong", unproven=KEYS_UNREAD),
    "the audit key of another deployment": case(
        others("auditHmacKey"), CHAINS, "audit_key.wrong", unproven="audit.hmac admin.hmac"),
    "the streams key of another deployment": case(others("streamsHmacKey"), "secrets.streams_key", "streams_key.wrong"),
    "all secrets of another deployment": case(
        others(*OTHER), f"{SEALED} {CHAINS} canary.jwks secrets.streams_key", "secrets.other",
        unproven=f"audit.hmac admin.hmac {KEYS_UNREAD}"),
    "a KEK that is a pattern": case({"secretStoreKek": "00" * 32}, "drill.keys drill.canary", "kek.unusable", unproven=NO_STS),
    "a KEK that is too short": case({"secretStoreKek": "ab" * 16}, "drill.keys drill.canary", "kek.unusable", unproven=NO_STS),
    "no audit key": case(
        {"auditHmacKey": None}, "drill.evidence drill.services", "secrets.missing", unproven="drill.canary drill.settle"),
    "no KEK": case({"secretStoreKek": None}, "drill.keys", "secrets.missing", until="keys"),
}  # fmt: skip


@pytest.mark.mutation
@pytest.mark.parametrize("name", CASES)
def test_drill_reports_wrong_or_missing_secrets(store_drill: Drill, name: str) -> None:
    wanted = CASES[name]

    def exchange() -> None:
        for secret, content in wanted.given.items():
            store_drill.put(secret, content)

    store_drill.after["secrets"] = exchange
    if "services.sts.ready" in wanted.unproven:
        store_drill.settings.update(caracal_drill_ready_timeout=20, caracal_drill_settle_timeout=20)
    outcome = store_drill.run(until=wanted.until)
    assert (outcome.verdict, outcome.failed, outcome.unproven) == ("fail", wanted.failed, wanted.unproven), outcome.summary()
    assert tuple(outcome.causes) == wanted.causes, outcome.summary()


@pytest.mark.mutation
def test_drill_reports_a_revoked_admin_token(store_drill: Drill) -> None:
    """Its secret is right, but the API finds a revoked row for it."""
    store_drill.before["services"] = lambda: store_drill.damage("UPDATE admin_tokens SET revoked_at = now()")
    outcome = store_drill.run()
    assert (outcome.verdict, outcome.failed, outcome.causes) == ("fail", set(REFUSED.split()), ["admin_token.refused"]), outcome.summary()
    assert outcome.unproven >= set(NOT_ASKED.split()), outcome.summary()
