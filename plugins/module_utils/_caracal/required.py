# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which checks a drill must have made before it may pass, by what its set holds.

A table and not the caller decides: a check that was left out, or declared unimportant, must not make a drill green.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._report.check import FAIL, PASS, UNPROVEN, Check
from . import releases, services
from .invariants import table
from .inventory import since_previous

CHECK_ID = "drill.complete"

# By step of the drill, what it must have made. Of every set:
VERIFY = ("journal.chain", "set.signature", "set.objects", "blocks.history")
# Of every set with databases:
IMAGES = ("images.kept",)
RESTORE = ("restore.release", "restore.roles")
CLUSTER = ("inventory.roles", since_previous.CHECK_ID)
# Of each database, as `inventory.<database>.<section>` and `schema.<database>.<section>`:
INVENTORY = ("tables", "schema", "grants", "owners", "extensions", "settings")
SCHEMA = (
    *("tables", "columns", "constraints", "indexes", "triggers", "row_security"),
    *("grants", "sequences", "functions", "extensions", "owner", "encoding"),
)
# Of Caracal's own database besides:
OWN_INVENTORY = ("migrations", "state", "sequences")
OWN_SCHEMA = ("time_zone", "audit_rights", "partition_grants", "partitions", "sequence_values", "function_effects")
MIGRATIONS = ("migrations.release", "migrations.versions", "schema.roles")
EVIDENCE = (
    *("audit.rows", "audit.content", "audit.links", "audit.hmac", "audit.sequence", "audit.partitions"),
    *("admin.rows", "inventory.audit_blocks"),
)
SECRETS = ("secrets.restored",)
KEYS = ("envelopes.kek", "envelopes.signing_keys", "envelopes.providers", "envelopes.coverage")
PREPARE = ("prepare.partitions", "redis.groups")
SERVICES = ("sandbox.isolated", "secrets.streams_key", "redis.forged_frames", "replay.events", "sandbox.disarmed", "services.release")
CANARY = tuple(
    f"canary.{name}"
    for name in (
        *("jwks", "zones", "policy_active", "audit_query", "exchange", "gateway", "audit_row"),
        *("refused.no_token", "refused.revoked_session"),
    )
)
# Tokens of family zone_kek may be used twice.
ONCE = "canary.refused.replayed_token"
# Unproven, and not required, for a set in which nothing was revoked within the time for which a Gateway remembers it.
# The same of the key of the streams, when nothing signed waits in them.
# And whether entries of streams were forged, when none proves a key; and the events of replay files, when there are none.
# And whether services are those of the set, where it does not say or they are programs by path.
# And the history of audit blocks, when those before the set cannot be read; and what changed since the set before, which is information.
JUDGES_ITSELF = frozenset(
    {
        *("blocks.history", "canary.refused.revoked_session", "secrets.streams_key", "redis.forged_frames"),
        *("replay.events", "services.release", since_previous.CHECK_ID),
    }
)
SETTLE = tuple(
    f"settled.{name}" for name in ("tamper_sweep", "consumer_lag", "dead_letters", "replay_drained", "stream_landed", "chain_continues")
)


def by_step(
    databases: t.Sequence[str], family: str | None = None, release: str | None = None, *, images: bool = False
) -> dict[str, set[str]]:
    """Ids of the checks that a drill of a set with these databases must have made, by the step that makes them.

    `family` and `release` are the set's; with `images` it keeps some. Without a family, nothing is asked that only a Caracal can have.
    """
    found: dict[str, set[str]] = {"verify": {*VERIFY, *(IMAGES if images else ())}}
    if databases:
        found["restore"] = set(RESTORE)
        found["state"] = {*CLUSTER, *(f"inventory.{database}.{section}" for database in databases for section in INVENTORY)}
    if releases.OWN_DATABASE in databases:
        found["state"].update(f"inventory.{releases.OWN_DATABASE}.{section}" for section in OWN_INVENTORY)
        found["evidence"] = set(EVIDENCE)
        if family:
            found["state"] |= table.required(family, release, databases)
            found.update(_of_caracal(databases, family))
    return found


def required(databases: t.Sequence[str], family: str | None = None, release: str | None = None) -> set[str]:
    """The same of all steps."""
    return set().union(*by_step(databases, family, release).values())


def _of_caracal(databases: t.Sequence[str], family: str) -> dict[str, set[str]]:
    sections = {f"schema.{database}.{section}" for database in databases if database in releases.KNOWN_DATABASES for section in SCHEMA}
    sections |= {f"schema.{releases.OWN_DATABASE}.{section}" for section in OWN_SCHEMA}
    return {
        "migrations": {*MIGRATIONS, *sections},
        "secrets": set(SECRETS),
        "keys": set(KEYS),
        "prepare": set(PREPARE),
        "services": {*SERVICES, *(f"services.{one.name}.ready" for one in services.services(family) if one.required)},
        "canary": {*CANARY, *([ONCE] if family == releases.SECRET_STORE else [])},
        "settle": set(SETTLE),
    }


def complete(
    checks: t.Sequence[Check], databases: t.Sequence[str], family: str | None = None, release: str | None = None, *, images: bool = False
) -> list[Check]:
    """The checks, those of the table made required, and one that says whether all of the table were made.

    A step that was not done, or failed, has a check `drill.<step>` that says so, and that cannot be declared unimportant either.
    """
    steps = by_step(databases, family, release, images=images)
    told = {check.id for check in checks if check.verdict in (FAIL, UNPROVEN)}
    wanted: set[str] = set().union(*(ids for step, ids in steps.items() if f"drill.{step}" not in told))
    forced: set[str] = set().union(*steps.values(), {f"drill.{step}" for step in steps})
    found = [dataclasses.replace(check, required=True) if check.id in forced - JUDGES_ITSELF else check for check in checks]
    missing = sorted(wanted - {check.id for check in checks})
    if missing:
        words = f"{len(missing)} of {len(wanted)} required checks were not run; first: {missing[0]}"
        return [*found, Check(CHECK_ID, UNPROVEN, words, details={"missing": missing})]
    return [*found, Check(CHECK_ID, PASS, f"all {len(wanted)} required checks were run")]
