# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The key-encryption key of a deployment (`ZONE_KEK` or `SECRET_STORE_KEK`), accepted or refused as in the product."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools

from ..._errors import OptionError
from ..._reasons import UNUSABLE_KEK
from . import hex_keys

BYTES = 32
ID_BYTES = 8


@dataclasses.dataclass(frozen=True)
class Kek:
    """A key. Envelopes and reports name it by its ID: 16 hex digits, the first 8 bytes of its SHA-256."""

    secret: bytes = dataclasses.field(repr=False)

    @property
    def id(self) -> str:
        return hashlib.sha256(self.secret).hexdigest()[: 2 * ID_BYTES]


@dataclasses.dataclass(frozen=True)
class Keyring:
    """The current key, and the previous one while a rotation is in progress."""

    current: Kek
    previous: Kek | None = None

    def find(self, key_id: str) -> Kek | None:
        """Return the key that an envelope names, or None."""
        return next((key for key in self.keys if key.id == key_id), None)

    @property
    def keys(self) -> tuple[Kek, ...]:
        """All distinct keys, the current one first."""
        return tuple(dict.fromkeys(key for key in (self.current, self.previous) if key is not None))


def parse_file(text: str, name: str) -> Kek:
    """Parse the content of a secret file. Blanks and newlines at the end are ignored, but not at the beginning."""
    return parse(text.rstrip(hex_keys.FILE_END), name)


def parse(text: str, name: str) -> Kek:
    """Parse a key: 64 hex digits and nothing else.

    Raises OptionError with the source of the key, never with the key. A key with a pattern is refused too.
    """
    where = "give the file secretStoreKek or zoneKek of the deployment (hexadecimal, not base64)"
    secret = hex_keys.parse(text, name, "KEK", "64 hex digits", where)
    if len(secret) != BYTES:
        words = f"{name} has {len(secret)} bytes, but a KEK has exactly {BYTES}; give one complete key"
        raise OptionError(words, reason=UNUSABLE_KEK)
    pattern = weakness(secret)
    if pattern:
        words = f"{name} is not a random key ({pattern}), so Caracal refuses it; give the KEK of the deployment"
        raise OptionError(words, reason=UNUSABLE_KEK)
    return Kek(secret)


def weakness(secret: bytes) -> str | None:
    """Return the pattern for which the product refuses a key, as text, or None if it accepts the key."""
    steps = {(after - before) % 256 for before, after in itertools.pairwise(secret)}
    if not any(secret):
        return "all zeros"
    if steps == {0}:
        return "one repeated byte"
    if steps in ({1}, {255}):
        return "ascending or descending bytes"
    if secret == secret[:2] * (len(secret) // 2):
        return "two repeated bytes"
    return None
