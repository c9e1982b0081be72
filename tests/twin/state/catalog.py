# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Zones and the objects registered in them: applications, providers, resources, workloads, issuers."""

from __future__ import annotations

import datetime as dt
import json
import typing as t

from .. import passwords
from ..copytext import Json
from .world import World, Zone

PROVIDERS: tuple[tuple[str, str, dict[str, t.Any], tuple[str, ...]], ...] = (
    ("No credential", "none", {}, ()),
    ("Upstream key", "api_key", {"header_name": "X-Api-Key", "auth_location": "header"}, ("api_key",)),
    ('Kalender, "öffentlich" & Zürich\'s', "oauth2_authorization_code", {"scopes": ["a\\b", "ü"], "pkce": True}, ("client_secret",)),
    ("Bearer\tservice", "bearer_token", {"note": "two\nlines"}, ("bearer_token",)),
)
SCOPES = ("canary:read", "canary:write", "orders:read", "naïve:scope", 'odd,"scope"')


def build(world: World) -> None:
    """Create all zones. The accounts own them in turn, the first account the first zone."""
    for number in range(world.spec.zones):
        zone = _zone(world, number)
        _applications(world, zone)
        _providers(world, zone)
        _resources(world, zone)
        _workloads(world, zone)
    bindings = world.rows["gateway_resource_bindings"]
    changed = max(row["updated_at"] for row in bindings)
    world.add("gateway_binding_revision", id=True, version=1 + len(bindings), updated_at=changed)


def provenance(via_operator: bool = False) -> dict[str, object]:
    """Return the four columns with the writer of a row."""
    return {"created_by": "admin:bootstrap", "created_via_operator": via_operator, "updated_by": None, "updated_via_operator": False}


def _zone(world: World, number: int) -> Zone:
    at = world.origin + dt.timedelta(minutes=number)
    zone = Zone(world.id(at), f"zone-{number}", world.users[number % len(world.users)])
    world.zones.append(zone)
    world.add(
        "zones",
        id=zone.id,
        name=("Drill Canary", "Zürich — \\ops\\", "Quote \" and ' and\ttab")[number % 3],
        slug=zone.slug,
        dcr_enabled=number % 2 == 0,
        created_at=at,
        updated_at=at,
        archived_at=None,
        owner_account_id=zone.owner,
        operator_coauthor_badge=True,
        operator_governed=number == 0,
        **provenance(),
        # Despite its name, these are random bytes that are never read.
        dek_ciphertext=world.kek_dice.randbytes(32),
        kek_arn=None,
    )
    return zone


def _applications(world: World, zone: Zone) -> None:
    for number in range(6):
        at = world.origin + dt.timedelta(hours=number + 1)
        dcr = number == 4
        application = world.id(at)
        zone.applications.append(application)
        row = world.add(
            "applications",
            id=application,
            zone_id=zone.id,
            name=f"app {number} {world.dice.awkward()}".strip(),
            registration_method="dcr" if dcr else "managed",
            credential_type="token",
            client_secret_hash="argon2id$" + world.dice.argon2(),
            traits=["canary", "", "tränen", 'with "quotes", commas'] if number == 1 else [],
            expires_at=world.spec.now + dt.timedelta(hours=8) if dcr else None,
            archived_at=world.ago(days=3) if number == 5 else None,
            created_at=at,
            updated_at=None if number == 0 else at + dt.timedelta(days=1),
            **provenance(via_operator=number == 2),
        )
        secret = f"cs_{world.dice.hex(24)}"
        world.store(zone, f"applications/{application}/clientSecret", secret, at, version=1 + number % 2)
        if number == 0:
            # A real hash is slow, so only one application has a usable secret.
            row["client_secret_hash"] = passwords.rehashed(row["client_secret_hash"], secret)


def _providers(world: World, zone: Zone) -> None:
    for name, kind, config, secrets in PROVIDERS:
        at = world.origin + dt.timedelta(hours=8)
        provider = f"provider-none-{zone.id}" if kind == "none" else world.id(at)
        zone.providers.append(provider)
        row = world.add(
            "providers",
            id=provider,
            zone_id=zone.id,
            name=name,
            identifier=f"provider://{kind}",
            config_json=Json(config),
            created_at=at,
            updated_at=at,
            archived_at=None,
            secret_config_keys=list(secrets),
            provider_kind=kind,
            connectivity_failed_at=world.ago(hours=5) if kind == "bearer_token" else None,
            **provenance(),
            secret_config_ct=None,
            secret_config_nonce=None,
        )
        if secrets:
            document = json.dumps({key: f"sk_{world.dice.hex(16)}" for key in secrets}, separators=(",", ":"))
            world.store(zone, f"providers/{provider}/secretConfig", document, at)
            row["secret_config_nonce"], row["secret_config_ct"] = world.detached(document.encode())


def _resources(world: World, zone: Zone) -> None:
    for number in range(5):
        at = world.origin + dt.timedelta(hours=9, minutes=number)
        resource = world.id(at)
        zone.resources.append(resource)
        world.add(
            "resources",
            id=resource,
            zone_id=zone.id,
            name=f"Resource {number}",
            identifier=f"resource://r{number}",
            upstream_url=None if number == 4 else f"https://upstream.example/{number}?q=\\%20",
            credential_provider_id=zone.providers[number % len(zone.providers)],
            scopes=list(SCOPES[: number + 1]),
            created_at=at,
            updated_at=at,
            archived_at=None,
            operations=Json([{"path": "/v1/{id}", "method": "GET", "scope": SCOPES[0]}] if number == 1 else []),
            operation_enforcement="enforced" if number == 1 else "transport_uniform",
            **provenance(),
        )

        if number < 4:
            world.add(
                "gateway_resource_bindings",
                resource_identifier=f"resource://r{number}",
                application_id=zone.applications[number],
                zone_id=zone.id,
                created_at=at,
                updated_at=at + dt.timedelta(days=number),
            )


def _workloads(world: World, zone: Zone) -> None:
    for number in range(2):
        at = world.origin + dt.timedelta(hours=10, minutes=number)
        workload = world.id(at)
        zone.workloads.append(workload)
        world.add(
            "workloads",
            id=workload,
            zone_id=zone.id,
            name=f"workload {number} {world.dice.awkward()}".strip(),
            secret_hash="argon2id$" + world.dice.argon2(),
            bindings=Json([{"resource": f"resource://r{number}", "scopes": list(SCOPES[:2])}] if number else []),
            created_at=at,
            updated_at=None,
            **provenance(),
        )
        world.store(zone, f"workloads/{workload}/secret", f"ws_{world.dice.hex(24)}", at)
    world.add(
        "subject_issuers",
        id=world.id(world.origin),
        zone_id=zone.id,
        issuer="https://login.example/tenant/ä",
        jwks_url="https://login.example/keys",
        audience=zone.slug,
        created_at=world.origin,
        updated_at=world.origin,
        archived_at=None,
        **provenance(),
    )
