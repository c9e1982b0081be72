# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policies with versions, sets with versions and manifests, and the active set of each zone.

In the family `zone_kek` an activation ends only with the next activation of the same set. There the first zone has
three active sets, one of them archived, as a healthy deployment may have.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json

from ..copytext import Json
from .world import World, Zone

SCHEMA_VERSION = "2026-05-20"
TEXTS = (
    '# caracal:data-document\npackage caracal.authz\n\nimport rego.v1\n\napp_ids := {{"canary": "{app}"}}\n',
    '# caracal:data-document\npackage caracal.authz\n# Zürich \\d+ "quoted"\n\tgrants := {{"resource://r0": {{}}}}\r\n# {app}',
)


def build(world: World) -> None:
    for zone in world.zones:
        versions = _policies(world, zone)
        _sets(world, zone, versions)


def _policies(world: World, zone: Zone) -> list[str]:
    """Create two policies with two versions each, and an archived one; return the version IDs in order."""
    found = []
    for number in range(3):
        at = world.origin + dt.timedelta(days=1, minutes=number)
        policy = world.id(at)
        world.add(
            "policies",
            id=policy,
            zone_id=zone.id,
            name=f"policy-{number}",
            description=(None, "", "zwei\nZeilen \\ mit\tTab")[number],
            archived_at=world.ago(days=9) if number == 2 else None,
            created_by="admin:bootstrap",
            created_at=at,
            updated_at=at,
            created_via_operator=number == 1,
            updated_by=None,
            updated_via_operator=False,
        )
        for version in range(1, 3):
            content = TEXTS[number % 2].format(app=zone.applications[0]) + f"# v{version}\n"
            row = world.add(
                "policy_versions",
                id=world.id(at),
                policy_id=policy,
                version=version,
                content=content,
                content_sha256=hashlib.sha256(content.encode()).hexdigest(),
                schema_version=SCHEMA_VERSION,
                created_by="admin:bootstrap",
                created_at=at + dt.timedelta(days=version),
                archived_at=None,
                created_via_operator=False,
            )
            found.append(row["id"])
    return found


def _sets(world: World, zone: Zone, policy_versions: list[str]) -> None:
    """Create an active set (version 2 of 2), an inactive one, and an archived one."""
    all_active = world.zone_kek and zone is world.zones[0]
    for number, name in enumerate(("base", "next", "old")):
        at = world.origin + dt.timedelta(days=1, hours=1, minutes=number)
        policy_set = world.id(at)
        world.add(
            "policy_sets",
            id=policy_set,
            zone_id=zone.id,
            name=name,
            description=None,
            archived_at=world.ago(days=8) if name == "old" else None,
            created_by="admin:bootstrap",
            created_at=at,
            updated_at=at,
            created_via_operator=False,
            updated_by=None,
            updated_via_operator=False,
        )
        for version in range(1, 3):
            manifest = [{"policy_version_id": policy_versions[version - 1]}, {"policy_version_id": policy_versions[1 + version]}]
            text = json.dumps(manifest, separators=(",", ":"))
            row = world.add(
                "policy_set_versions",
                id=world.id(at),
                policy_set_id=policy_set,
                version=version,
                manifest_json=Json(manifest),
                manifest_sha256=hashlib.sha256(text.encode()).hexdigest(),
                schema_version=SCHEMA_VERSION,
                created_by="admin:bootstrap",
                created_at=at + dt.timedelta(days=version),
                archived_at=None,
                created_via_operator=False,
            )
        if name == "base":
            zone.policy_set, zone.policy_set_version, zone.manifest_sha256 = policy_set, row["id"], row["manifest_sha256"]
        world.add(
            "policy_set_bindings",
            zone_id=zone.id,
            policy_set_id=policy_set,
            active_version_id=row["id"] if name == "base" or all_active else None,
            shadow_version_id=row["id"] if name == "next" else None,
            updated_at=at + dt.timedelta(days=3),
        )
