# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schema of v2026.06.25-rc.1: v2026.06.21 with operations of resources, and the database of the console."""

from __future__ import annotations

from ..schema_facts import changed
from . import v0_2_1
from . import v2026_06_21 as earlier

CARACAL = changed(
    earlier.CARACAL,
    add="""
column resources operation_enforcement: text not null default 'transport_uniform'::text
column resources operations: jsonb not null default '[]'::jsonb
constraint resources resources_operation_enforcement_check: CHECK ((operation_enforcement = ANY (ARRAY['enforced'::text,
  'transport_uniform'::text])))
""",
)

CARACAL_AUTH = changed(
    v0_2_1.CARACAL_AUTH,
    drop="""
column "rateLimit" "lastRequest"
column "rateLimit" count
column "rateLimit" id
column "rateLimit" key
column "user" guides
constraint "rateLimit" "rateLimit_key_key"
constraint "rateLimit" "rateLimit_pkey"
owner database
table "rateLimit"
""",
    add="""
owner database: none of the services
""",
)
