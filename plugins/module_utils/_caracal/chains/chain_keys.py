# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`AUDIT_HMAC_KEY`: which keys an operator gave, and what they say of a row.

The product keeps no key id and has no previous key, so after a rotation each row must be tried with each key.
"""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from ..._errors import OptionError
from ..keys import hex_keys

LEAST_BYTES = 32
TEXT_LIMIT = 4096  # characters; no key is as long
_BLOCK = 64


@dataclasses.dataclass(frozen=True)
class AuditKey:
    """A key and the id by which reports name it: the first 8 bytes of its SHA-256, as the product names a KEK."""

    secret: bytes = dataclasses.field(repr=False)

    @property
    def id(self) -> str:
        return hashlib.sha256(self.secret).hexdigest()[:16]

    def hmac(self) -> t.Callable[[bytes, bytes], str]:
        """A function from content hash and previous hash (hex, `b""` without one) to the row's `chain_hmac`.

        Hot: HMAC-SHA256 by its definition, with both padded keys hashed once.
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
    """A key out of the content of a secret file; blanks and newlines at its end do not matter, as they do not to the product."""
    return parse(text.rstrip(hex_keys.FILE_END), name, what)


def parse(text: str, name: str, what: str = "AUDIT_HMAC_KEY") -> AuditKey:
    """A key out of a value: hex, at least 32 bytes, and nothing else. The other HMAC keys (`what`) have the same form.

    Raises OptionError that names where the key came from and never the key.
    """
    where = f"give the file of the {what} from the deployment's secrets (hexadecimal, not base64)"
    secret = hex_keys.parse(text, name, what, "hex digits", where)
    if len(secret) < LEAST_BYTES:
        raise OptionError(f"{name} has {len(secret)} bytes, but the {what} must have at least {LEAST_BYTES}; give the complete key")
    return AuditKey(secret)


def distinct(keys: t.Iterable[AuditKey]) -> tuple[AuditKey, ...]:
    """The keys in their order, each once."""
    return tuple(dict.fromkeys(keys))
