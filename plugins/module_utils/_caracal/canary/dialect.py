# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The request format of a release. The family alone does not determine it: the last zone_kek releases use the newer policy format."""

from __future__ import annotations

import dataclasses

from ..inventory.inventory import Reader
from ..releases import SECRET_STORE


@dataclasses.dataclass(frozen=True)
class Dialect:
    """The request format of a release.

    If `contract` is True, policies are data for the product's own rules, and only a delegated session may request a
    resource. Earlier releases have policies in Rego, and the application sends its own token to the Gateway.
    """

    family: str
    contract: bool

    @property
    def bindings(self) -> bool:
        """True if the Gateway routes by a binding of resource and application."""
        return self.family != SECRET_STORE

    @property
    def one_shot(self) -> bool:
        """True if a token for the Gateway can be used only once."""
        return self.family == SECRET_STORE


def detect(reader: Reader, family: str) -> Dialect:
    rows = reader.rows("""
        SELECT 1 FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
         WHERE c.relnamespace = 'public'::regnamespace AND c.relname = 'resources' AND a.attname = 'operations' AND NOT a.attisdropped""")
    return Dialect(family, bool(rows))
