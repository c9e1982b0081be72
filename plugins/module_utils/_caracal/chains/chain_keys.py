# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`AUDIT_HMAC_KEY`: the keys that the operator provided, and the HMACs that they produce.

The product stores no key ID and no previous key. So after a rotation each row must be tried with each key.
"""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from ..._errors import OptionError
from ..keys import hex_keys

LEAST_BYTES = 32
TEXT_LIMIT = 4096  # characters; no key is that long
_BLOCK = 64


@dataclasses.dataclass(frozen=True)
class AuditKey:
    """A key. Its ID in reports is the first 8 bytes of its SHA-256, as for a KEK in the product."""

    secret: bytes = dataclasses.field(repr=False)

    @property
    def id(self) -> str:
        return hashlib.sha256(self.secret).hexdigest()[:16]

    def hmac(self) -> t.Callable[[bytes, bytes], str]:
        """Return a function from content hash and previous hash (hex, `b""` if there is none) to the row's `chain_hmac`.

        Hot: HMAC-SHA256 by its definition, with both padded keys hashed only once.
        """
        secret = self.secret if len(self.secret) <= _BLOCK else hashlib.sha256(self.secret).digest()
        inner = hashlib.sha256(secret.ljust(_BLOCK, b"\0").translate(_INNER)).copy
        outer = hashlib.sha256(secret.ljust(_BLOCK, b"\0").translate(_OUTER)).copy

        def mac(content: bytes, previous: bytes) -> str:
            first, second = inner(), outer()
            first.update(b"%b|%b" % (content, previous))
            second.update(first.digest())
            return second.hexdigest()

        return mac


_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


def parse_file(text: str, name: str, what: str = "AUDIT_HMAC_KEY") -> AuditKey:
    """Parse the content of a secret file. Trailing blanks and newlines are ignored, as in the product."""
    return parse(text.rstrip(hex_keys.FILE_END), name, what)


def parse(text: str, name: str, what: str = "AUDIT_HMAC_KEY") -> AuditKey:
    """Parse a key: hex, at least 32 bytes, and nothing else. The other HMAC keys (`what`) have the same format.

    Raises OptionError with the source of the key, never with the key.
    """
    where = f"give the file of the {what} from the deployment's secrets (hexadecimal, not base64)"
    secret = hex_keys.parse(text, name, what, "hex digits", where)
    if len(secret) < LEAST_BYTES:
        raise OptionError(f"{name} has {len(secret)} bytes, but the {what} must have at least {LEAST_BYTES}; give the complete key")
    return AuditKey(secret)


def distinct(keys: t.Iterable[AuditKey]) -> tuple[AuditKey, ...]:
    """Return the keys in their order, without duplicates."""
    return tuple(dict.fromkeys(keys))
