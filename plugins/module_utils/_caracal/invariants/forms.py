# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Columns with values in a format that only the product writes: times, hashes, addresses."""

from __future__ import annotations

import dataclasses
import typing as t

from ..outbox import COORDINATOR, DEAD, EVENTS
from ..releases import SECRET_STORE, ZONE_KEK
from .authority import agents_of, subjects_of
from .rule import Invariant

_BOTH = (SECRET_STORE, ZONE_KEK)


@dataclasses.dataclass(frozen=True)
class Column:
    """A column. `right` is the condition for a valid value, and `spared` a condition for rows that may have any value.
    NULL is always valid.
    """

    table: str
    column: str
    right: str
    families: tuple[str, ...] = _BOTH
    spared: str = "false"

    @property
    def given(self) -> str:
        return f"SELECT '{self.table}.{self.column} ' || ({self._row}) AS id FROM public.{self.table} WHERE {self.column} IS NOT NULL"

    @property
    def wrong(self) -> str:
        return f"{self.given} AND NOT ({self.right}) AND NOT ({self.spared})"

    @property
    def _row(self) -> str:
        return _ROWS.get(self.table, "id")


_ROWS = {"operator_plan_secrets": "conversation_id || '/' || plan_seq::text || '/' || step_id", "audit_retention": "singleton::text"}
# A revocation or an end is never in the future. One day allows for clocks that differ.
_LONG_AGO, _SOON = "timestamptz '2000-01-01 00:00:00+00'", "now() + interval '1 day'"
# A time that a caller can set may have any four-digit year. A time derived from a service's setting is never that far
# away.
_ANY, _DECADES = "timestamptz '10000-01-01 00:00:00+00'", "now() + interval '50 years'"


def _time(table: str, column: str, latest: str, *families: str, spared: str = "false", earliest: str = _LONG_AGO) -> Column:
    right = f"isfinite({column}) AND {column} >= {earliest} AND {column} < {latest}"
    return Column(table, column, right, families or _BOTH, spared)


def _of_both(tables: t.Callable[[str], str], column: str, latest: str) -> tuple[Column, ...]:
    return tuple(_time(tables(family), column, latest, family) for family in _BOTH)


_PROVIDERS_TIMES = "timestamptz '-infinity'"
EXPIRY = (
    *_of_both(subjects_of, "expires_at", _DECADES),
    *_of_both(agents_of, "heartbeat_deadline_at", _DECADES),
    _time("applications", "expires_at", _ANY),
    _time("delegation_edges", "expires_at", _ANY),
    _time("step_up_challenges", "expires_at", _DECADES),
    _time("agent_invocations", "deadline_at", _DECADES),
    # A provider's expiry of its own token may be any finite time.
    _time("provider_grants", "expires_at", _ANY, ZONE_KEK, earliest=_PROVIDERS_TIMES),
    _time("provider_connections", "expires_at", _ANY, SECRET_STORE, earliest=_PROVIDERS_TIMES),
    _time("coordinator_idempotency_receipts", "expires_at", _DECADES, SECRET_STORE),
    _time("operator_plan_secrets", "expires_at", _DECADES, SECRET_STORE),
    _time("operator_message_runs", "deadline_at", _DECADES, SECRET_STORE),
)
WAITING = (
    _time(EVENTS, "locked_until", _SOON),
    _time(EVENTS, "available_at", _SOON, spared=DEAD[EVENTS]),
    _time(COORDINATOR, "available_at", _SOON),
    _time("notification_deliveries", "available_at", _SOON, SECRET_STORE),
)
ENDED = (
    _time(subjects_of(SECRET_STORE), "revoked_at", _SOON, SECRET_STORE),
    *_of_both(agents_of, "terminated_at", _SOON),
    _time("delegation_edges", "revoked_at", _SOON),
    _time("admin_tokens", "revoked_at", _SOON),
    *(_time(table, "archived_at", _SOON) for table in ("zones", "applications", "providers", "resources", "policies", "policy_sets")),
)
# As the API and the STS write them: a salt of 16 bytes and a hash of 32 bytes, in base64 without padding.
_ARGON2 = r"[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$'"
HASHES = (
    Column("applications", "client_secret_hash", rf"client_secret_hash ~ '^argon2id\${_ARGON2}"),
    Column("workloads", "secret_hash", rf"secret_hash ~ '^argon2id\${_ARGON2}", (SECRET_STORE,)),
    Column("admin_tokens", "token_hash", rf"token_hash ~ '^\$argon2id\$v=[0-9]+\$m=[0-9]+,t=[0-9]+,p=[0-9]+\${_ARGON2}"),
    Column("admin_tokens", "token_sha256", "length(token_sha256) = 32"),
)
# The API accepts what its URL parser accepts: any case, with surrounding blanks.
UPSTREAMS = (Column("resources", "upstream_url", r"upstream_url ~* '^[[:space:]]*https?:/*[^/[:space:]]'"),)
RETENTION = (Column("audit_retention", "retention_days", "singleton AND retention_days >= 1", (SECRET_STORE,)),)


def of(family: str) -> tuple[Invariant, ...]:
    """Return the rules of a family. A rule without columns in the family is left out."""
    found = (
        _rule(
            "times.expiry", "expiry times", "are infinite or implausible", "these items never expire or have expired early; "
            "compare with the source, and end them through the API", EXPIRY, family),
        _rule(
            "times.waiting", "times until which an event waits", "are infinite or implausible",
            "such events are never sent; requeue them, or set the time to now()", WAITING, family),
        _rule(
            "times.ended", "times at which something was revoked or ended", "are infinite or implausible",
            "the real times are unknown; find out who changed them, and compare with the source", ENDED, family),
        _rule(
            "forms.hashes", "hashes of secrets and tokens", "do not have the format of such a hash",
            "no secret matches them; rotate the secret or revoke the token", HASHES, family),
        _rule(
            "forms.upstreams", "addresses of upstreams", "are not http or https URLs",
            "the Gateway cannot reach the resource; save it again through the API", UPSTREAMS, family),
        _rule(
            "forms.audit_retention", "rows of audit_retention", "are not the only row, or keep less than 1 day",
            "partitions would be dropped too early or never; set the retention again: PUT /v1/audit-retention", RETENTION, family),
    )  # fmt: skip
    return tuple(one for one in found if one is not None)


def _rule(rule: str, noun: str, wrong: str, remedy: str, columns: t.Iterable[Column], family: str) -> Invariant | None:
    own = [column for column in columns if family in column.families]
    if not own:
        return None
    about, broken = (" UNION ALL ".join(getattr(column, part) for column in own) for part in ("given", "wrong"))
    return Invariant(rule, noun, wrong, remedy, f"({about}) g", broken)
