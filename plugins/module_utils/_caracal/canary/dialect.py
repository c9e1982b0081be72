# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a release wants to be asked. The families alone do not say it: the last releases of zone_kek have the policy of the newer ones."""

from __future__ import annotations

import dataclasses

from ..inventory.inventory import Reader
from ..releases import SECRET_STORE


@dataclasses.dataclass(frozen=True)
class Dialect:
    """`contract`: policies are data for the product's own rules, by which only a delegated session may ask for a resource; before,
    policies were Rego and the application's own token went to the Gateway."""

    family: str
    contract: bool

    @property
    def bindings(self) -> bool:
        """Whether the Gateway routes by a binding of resource and application."""
        return self.family != SECRET_STORE

    @property
    def one_shot(self) -> bool:
        """Whether a token for the Gateway is for one use."""
        return self.family == SECRET_STORE


def detect(reader: Reader, family: str) -> Dialect:
    rows = reader.rows("""
        SELECT 1 FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
         WHERE c.relnamespace = 'public'::regnamespace AND c.relname = 'resources' AND a.attname = 'operations' AND NOT a.attisdropped""")
    return Dialect(family, bool(rows))
