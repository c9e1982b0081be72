# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a copy could still do to the world when its services start, and how that is taken from it.

A drill calls this after its comparisons, since it changes the copy. What it changes the inventory would call a difference.
"""

from __future__ import annotations

import dataclasses

from .releases import SECRET_STORE
from .services import RETENTION_DAYS

# Nobody listens on this port of a sandbox's loopback.
NOWHERE = "http://127.0.0.1:9/"
# In the text of a JSON value, from a quote to the end of the string, over what is escaped in it.
_ADDRESS = r'"https?://([^"\\]|\\.)*"'


@dataclasses.dataclass(frozen=True)
class Arm:
    """One thing to take away: `change` of the rows of `table` where `armed`; in words: what happened to them."""

    table: str
    families: tuple[str, ...]
    armed: str
    change: str
    words: str

    @property
    def statement(self) -> str:
        """Returns a row for each that it changed."""
        return f"UPDATE public.{self.table} SET {self.change} WHERE {self.armed} RETURNING 1"

    @property
    def left(self) -> str:
        """How many are armed; a trigger of a hostile copy can undo a change that was reported."""
        return f"SELECT pg_catalog.count(*) FROM public.{self.table} WHERE {self.armed}"


ARMS = (
    Arm(
        "notification_sinks",
        (SECRET_STORE,),
        "active",
        "active = false",
        "notification sinks are off",
    ),
    Arm(
        "notification_deliveries",
        (SECRET_STORE,),
        "delivered_at IS NULL AND abandoned_at IS NULL",
        "abandoned_at = pg_catalog.now()",
        "pending deliveries are abandoned",
    ),
    Arm(
        "audit_retention",
        (SECRET_STORE,),
        f"retention_days < {RETENTION_DAYS}",
        f"retention_days = {RETENTION_DAYS}",
        "limits of the audit retention are raised",
    ),
    Arm(
        "providers",
        (),
        f"pg_catalog.regexp_replace(config_json::text, '\"{NOWHERE}\"', '', 'g') ~* '\"https?://'",
        f"config_json = pg_catalog.regexp_replace(config_json::text, '{_ADDRESS}', '\"{NOWHERE}\"', 'gi')::jsonb",
        "provider addresses are replaced",
    ),
)


def arms(family: str) -> list[Arm]:
    """Those of a family."""
    return [arm for arm in ARMS if not arm.families or family in arm.families]
