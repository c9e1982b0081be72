# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Caracal v2026.06.25-rc.1, family `zone_kek`: v2026.06.21 in a new baseline, operations of resources, and the console.

The console has its own database, which also belongs to the superuser.
"""

from __future__ import annotations

import dataclasses

from ..facts import Database, Release, changed, without
from . import v0_2_1
from . import v2026_06_21 as earlier

TABLES = {
    **earlier.CARACAL_TABLES,
    "resources": changed(
        earlier.CARACAL_TABLES["resources"],
        columns={
            "operations": "operations jsonb not null default '[]'::jsonb",
            "operation_enforcement": "operation_enforcement text not null default 'transport_uniform'::text",
        },
        constraints={
            "resources_operation_enforcement_check": (
                "CHECK ((operation_enforcement = ANY (ARRAY['enforced'::text, 'transport_uniform'::text])))"
            ),
        },
    ),
}

CARACAL = dataclasses.replace(earlier.CARACAL, tables=TABLES)

AUTH = Database(
    name="caracal_auth",
    owner="caracal",
    tables={**without(v0_2_1.AUTH.tables, "rateLimit"), "user": changed(v0_2_1.AUTH.tables["user"], drop=("guides",))},
)

RELEASE = Release(
    name="v2026.06.25-rc.1",
    family="zone_kek",
    databases=(CARACAL, AUTH),
    roles=earlier.ROLES,
    migrations=("0001_baseline", "0002_resource_operations"),
    names=earlier.NAMES,
)
