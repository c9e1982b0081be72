# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replace identifiers of zones and rows in a report by short hashes with the drill's own salt."""

from __future__ import annotations

import hashlib
import hmac
import re

# UUIDs in any spelling, also shortened to both ends, and email addresses. IDs of sets and keys, digests and times do not match.
_IDENTIFIER = re.compile(
    r"(?<![0-9A-Za-z])[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}(?![0-9A-Za-z])"
    r"|(?<![0-9A-Za-z])[0-9a-fA-F]{8}\u2026[0-9a-fA-F]{4}(?![0-9A-Za-z])"
    r"|[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
)
DIGITS = 8


class Redactor:
    """Replaces identifiers. `known` maps each hash to its identifier, so it must be encrypted."""

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self.known: dict[str, str] = {}

    def text(self, text: str) -> str:
        """Return the text with `id:xxxxxxxx` for each identifier. Equal identifiers have equal hashes."""
        return _IDENTIFIER.sub(lambda found: self._short(found[0]), text)

    def _short(self, identifier: str) -> str:
        digest = hmac.new(self._salt, identifier.lower().encode(), hashlib.sha256).hexdigest()
        short = f"id:{digest[:DIGITS]}"
        self.known.setdefault(short, identifier)
        return short
