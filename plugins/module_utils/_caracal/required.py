# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checks that a drill must have run before it may pass, depending on the content of its set.

A fixed table decides, not the caller: a drill must not pass because a check was left out or declared optional.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._report.check import FAIL, PASS, UNPROVEN, Check
from . import releases, services
from .invariants import table
from .inventory import since_previous

CHECK_ID = "drill.complete"

# Required checks by step of the drill. For every set:
VERIFY = ("journal.chain", "set.signature", "set.objects", "blocks.history")
# For every set with databases:
IMAGES = ("images.kept",)
RESTORE = ("restore.release", "restore.roles")
CLUSTER = ("inventory.roles", since_previous.CHECK_ID)
# For each database, as `inventory.<database>.<section>` and `schema.<database>.<section>`:
INVENTORY = ("tables", "schema", "grants", "owners", "extensions", "settings")
SCHEMA = (
    *("tables", "columns", "constraints", "indexes", "triggers", "row_security"),
    *("grants", "sequences", "functions", "extensions", "owner", "encoding"),
)
# Additionally for Caracal's own database:
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
# In family zone_kek, tokens may be used more than once.
ONCE = "canary.refused.replayed_token"
# Each of these checks sets `required` itself. It is unproven and optional if the set has nothing for it to verify:
# * Nothing was revoked within the time for which a Gateway remembers it.
# * No signed entry waits in the streams, so their key cannot be verified.
# * No entry proves a key, so forged entries cannot be detected.
# * No replay file has events.
# * The services are not named, or are programs given by path.
# * The audit blocks of earlier sets cannot be read.
# The changes since the previous set are information only.
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
    """Return the IDs of the checks that a drill of a set with these databases must run, by step.

    `family` and `release` are those in the set. `images` is True if the set contains images. Without a family, no
    checks are required that only Caracal can pass.
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
    """Return the required checks of all steps."""
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
    """Return the checks with those in the table made required, plus one check that reports whether all of them were run.

    A step that was skipped or failed has a check `drill.<step>`, which cannot be declared optional either.
    """
    steps = by_step(databases, family, release, images=images)
    reported = {check.id for check in checks if check.verdict in (FAIL, UNPROVEN)}
    wanted: set[str] = set().union(*(ids for step, ids in steps.items() if f"drill.{step}" not in reported))
    forced: set[str] = set().union(*steps.values(), {f"drill.{step}" for step in steps})
    found = [dataclasses.replace(check, required=True) if check.id in forced - JUDGES_ITSELF else check for check in checks]
    missing = sorted(wanted - {check.id for check in checks})
    if missing:
        words = f"{len(missing)} of {len(wanted)} required checks were not run; first: {missing[0]}"
        return [*found, Check(CHECK_ID, UNPROVEN, words, details={"missing": missing})]
    return [*found, Check(CHECK_ID, PASS, f"all {len(wanted)} required checks were run")]
