# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Access: grants, connections to providers, the zones' signing keys, admin tokens."""

from __future__ import annotations

import datetime as dt
import hashlib

from .. import envelopes, passwords
from .catalog import SCOPES, provenance
from .world import World, Zone


def build(world: World) -> None:
    for number, zone in enumerate(world.zones):
        _grants(world, zone)
        _connections(world, zone)
        _signing_keys(world, zone, versions=2 if number == 0 else 1)
    _admin_tokens(world)


def _grants(world: World, zone: Zone) -> None:
    for number in range(9):
        at = world.ago(days=40 - number)
        world.add(
            "delegated_grants",
            id=world.id(at),
            zone_id=zone.id,
            application_id=None if number == 8 else zone.applications[number % 4],
            user_id=f"user-{number % 4}",
            resource_id=zone.resources[number % len(zone.resources)],
            scopes=list(SCOPES[: 1 + number % 3]),
            status=("active", "revoked", "expired")[number % 3],
            created_at=at,
            updated_at=at,
            **provenance(),
        )


def _connections(world: World, zone: Zone) -> None:
    for number in range(4):
        at = world.ago(days=20 - number)
        status = ("active", "active", "revoked", "expired")[number]
        refresh = None if status == "revoked" else world.seal(envelopes.REFRESH_TOKEN, f"rt_{world.dice.hex(20)}")
        world.add(
            "provider_connections",
            id=world.id(at),
            zone_id=zone.id,
            subject_id=f"user-{number}",
            resource_id=zone.resources[2],
            scopes=list(SCOPES[: 1 + number % 2]),
            provider_id=zone.providers[2],
            status=status,
            access_token_ct=None if status == "revoked" else world.seal(envelopes.ACCESS_TOKEN, f"at_{world.dice.hex(40)}"),
            refresh_token_ct=refresh,
            expires_at=at + dt.timedelta(hours=1),
            refreshed_at=at if number else None,
            refresh_token_version=number,
            created_at=at,
            updated_at=at,
        )


def _signing_keys(world: World, zone: Zone, versions: int) -> None:
    for version in range(1, versions + 1):
        at = world.origin + dt.timedelta(hours=12) if version == 1 else world.ago(hours=3)
        identity, pem = world.id(at), envelopes.signing_key_pem(world.dice)
        nonce, ciphertext = world.detached(pem)
        world.add(
            "secrets",
            id=identity,
            zone_id=zone.id,
            entity_id=zone.id,
            name="zone_signing_key",
            type="token",
            envelope=world.seal(envelopes.SIGNING_KEY, pem),
            ciphertext=ciphertext,
            nonce=nonce,
            # A label, the same in every row. It does not identify a key.
            dek_id="zoneKek",
            version=version,
            created_at=at,
            updated_at=at,
        )


def _admin_tokens(world: World) -> None:
    first = world.zones[0].id
    tokens = (
        ("bootstrap", world.keys.admin_token, "write", "global", None, "env-bootstrap", None),
        ("console-read-only", None, "read", "global", None, "env-derived", None),
        ("console-write", None, "write", "global", None, "env-derived-write", None),
        ("console-approve", None, "approve", "global", None, "env-derived-approve", None),
        ("zone operator", None, "write", "zone", first, "admin:bootstrap", None),
        ("rotated out", None, "write", "global", None, "env-bootstrap", world.ago(days=30)),
    )
    for name, token, capability, scope, zone, creator, revoked in tokens:
        if world.zone_kek and name.startswith("console-"):
            continue
        at = world.origin
        row = world.add(
            "admin_tokens",
            id=world.id(at),
            name=name,
            token_sha256=hashlib.sha256((token or world.dice.hex(32)).encode()).digest(),
            scope=scope,
            zone_id=zone,
            created_by=creator,
            created_at=at,
            last_used_at=world.ago(minutes=9) if token else None,
            revoked_at=revoked,
            token_hash=passwords.TOKEN + world.dice.argon2(),
            capability=capability,
        )
        if token:
            row["token_hash"] = passwords.rehashed(row["token_hash"], token)
