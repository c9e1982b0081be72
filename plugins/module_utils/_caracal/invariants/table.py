# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules of each release, and the reasons why a rule does not apply to a release."""

from __future__ import annotations

import typing as t

from ..._report.check import FAIL, NOT_APPLICABLE, Check
from ..releases import KNOWN_DATABASES, SECRET_STORE, ZONE_KEK
from . import admin_log, audit_query, authority, foreign_keys, forms, gateway, messages, policies, revocations, witnesses
from .rule import Invariant, Rule

GROUPS = (
    "audit_query",
    "policy_activation",
    "gateway_bindings",
    "sessions",
    "agents",
    "delegations",
    "revocations",
    "outboxes",
    "keys",
    "admin_log",
    "times",
    "forms",
    "foreign_keys",
)

_RETIRED = "this release routes by resources and their providers; gateway_bindings.provider_live checks them"
_BOUND = ("application", "resource", "bound", "some_bound", "revision", "revision_current")
_CLEANED = "in this release a cleaner deletes old delegations; inventory.caracal.tables verifies the rows"
_NO_CHAIN = "this release has no chain of the admin log; inventory.caracal.tables verifies the rows"
_NAMES_NONE = "the admin log of this release does not record which object a request created; inventory.caracal.tables verifies the rows"
_NO_WEBHOOKS = {messages.WEBHOOKS.id: "this release has no webhooks"}
NOT_IN_FAMILY = {
    SECRET_STORE: {f"gateway_bindings.{what}": _RETIRED for what in _BOUND},
    ZONE_KEK: {
        "sessions.revoked_time": "this release does not store the time of a revocation; inventory.caracal.tables verifies the rows",
        "delegations.announced": _CLEANED,
        "delegations.epoch_edges": _CLEANED,
        admin_log.ADMIN_TOKENS.id: _NAMES_NONE,
        admin_log.CREATED.id: _NAMES_NONE,
        admin_log.REVOKED.id: _NAMES_NONE,
        "forms.audit_retention": "only AUDIT_RETENTION_DAYS sets the retention of this release; retention_verify checks it",
        foreign_keys.OWNERS.id: "in this release zones have no owner",
        **_NO_WEBHOOKS,
    },
}
NOT_IN_RELEASE = {
    "v0.1.0": _NO_WEBHOOKS,
    "v0.2.1": _NO_WEBHOOKS,
    "2026-06-04": {
        "audit_query.rehash_marker": "this release never recomputes audit hashes; inventory.audit_blocks verifies every event",
        admin_log.ADMIN_CHAIN.id: _NO_CHAIN,
    },
}


def invariants(family: str, release: str | None) -> tuple[Invariant, ...]:
    """Return the rules that one session on Caracal's own database evaluates in SQL. An unknown release has all rules of its family."""
    absent = NOT_IN_RELEASE.get(release or "", {})
    found = (
        *messages.AUDIT,
        *([messages.WEBHOOKS] if family == SECRET_STORE else []),
        *policies.of(family),
        *gateway.of(family),
        *authority.of(family),
        *messages.OUTBOXES,
        *messages.keys(family),
        *witnesses.of(family),
        *admin_log.of(family),
        *forms.of(family),
    )
    return tuple(one for one in found if one.id not in absent)


def rules(family: str, release: str | None, databases: t.Sequence[str] = KNOWN_DATABASES) -> tuple[Rule, ...]:
    """Return every rule of a release, including rules outside SQL, in the order of the groups."""
    keys = [foreign_keys.rule(database) for database in databases]
    owners = [foreign_keys.OWNERS] if family == SECRET_STORE else []
    found: list[Rule] = [audit_query.SEARCH, audit_query.KNOWN, *invariants(family, release), *revocations.of(family), *keys, *owners]
    return tuple(sorted(found, key=lambda one: GROUPS.index(one.id.partition(".")[0])))


def not_applicable(family: str, release: str | None) -> list[Check]:
    """Return a check for each rule that does not apply to this release, so that readers of a report do not miss it."""
    absent = {**NOT_IN_FAMILY[family], **NOT_IN_RELEASE.get(release or "", {})}
    return [Check(f"state.{what}", NOT_APPLICABLE, words, False) for what, words in absent.items()]


def required(family: str, release: str | None, databases: t.Sequence[str]) -> set[str]:
    """Return the IDs of the checks that a drill of such a set must have run."""
    return {one.check_id for one in rules(family, release, databases) if one.severity == FAIL}
