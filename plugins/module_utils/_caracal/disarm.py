# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a copy could still do to the world when its services start, and how that is taken from it.

A drill calls this after its comparisons, since it changes the copy. What it changes the inventory would call a difference.
"""

from __future__ import annotations

import dataclasses

from .releases import SECRET_STORE
from .services import RETENTION_DAYS

# Nobody listens on this port of a sandbox's loopback.
NOWHERE = "http://127.0.0.1:9/"


@dataclasses.dataclass(frozen=True)
class Arm:
    """One thing to take away. `statement` changes what is left of it and returns a row for each; in words: what happened to them."""

    table: str
    families: tuple[str, ...]
    statement: str
    words: str


ARMS = (
    Arm(
        "notification_sinks",
        (SECRET_STORE,),
        "UPDATE public.notification_sinks SET active = false WHERE active RETURNING 1",
        "notification sinks are off",
    ),
    Arm(
        "notification_deliveries",
        (SECRET_STORE,),
        "UPDATE public.notification_deliveries SET abandoned_at = pg_catalog.now()"
        " WHERE delivered_at IS NULL AND abandoned_at IS NULL RETURNING 1",
        "pending deliveries are abandoned",
    ),
    Arm(
        "audit_retention",
        (SECRET_STORE,),
        f"UPDATE public.audit_retention SET retention_days = {RETENTION_DAYS} WHERE retention_days < {RETENTION_DAYS} RETURNING 1",
        "limits of the audit retention are raised",
    ),
    Arm(
        "providers",
        (),
        'UPDATE public.providers SET config_json = pg_catalog.regexp_replace(config_json::text, \'"https?://[^"]*"\', '
        f"'\"{NOWHERE}\"', 'g')::jsonb"
        f" WHERE pg_catalog.regexp_replace(config_json::text, '\"{NOWHERE}\"', '', 'g') ~ '\"https?://' RETURNING 1",
        "providers lead nowhere",
    ),
)


def arms(family: str) -> list[Arm]:
    """Those of a family."""
    return [arm for arm in ARMS if not arm.families or family in arm.families]
