# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turn off what a copy could do to external systems when its services start.

A drill calls this after its comparisons, because it changes the copy and the inventory would report the changes as
differences.
"""

from __future__ import annotations

import dataclasses

from .releases import SECRET_STORE
from .services import RETENTION_DAYS

# No program listens on this port of a sandbox's loopback.
NOWHERE = "http://127.0.0.1:9/"
# Matches an address in the text of a JSON value, from its opening quote to the end of the string, including escaped
# characters.
_ADDRESS = r'"https?://([^"\\]|\\.)*"'


@dataclasses.dataclass(frozen=True)
class Arm:
    """A feature to turn off: `change` is applied to the rows of `table` that match `armed`. `words` describe the result."""

    table: str
    families: tuple[str, ...]
    armed: str
    change: str
    words: str

    @property
    def statement(self) -> str:
        """The UPDATE statement. It returns one row for each changed row."""
        return f"UPDATE public.{self.table} SET {self.change} WHERE {self.armed} RETURNING 1"

    @property
    def left(self) -> str:
        """The query that counts the rows that are still armed. A trigger in a hostile copy can undo an update that reported success."""
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
    """Return the features to turn off in a release family."""
    return [arm for arm in ARMS if not arm.families or family in arm.families]
