# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ciphers of Caracal: ChaCha20-Poly1305 for values, P-256 for signing keys. Errors never contain a plaintext."""

from __future__ import annotations

import base64
import dataclasses

from .._deps import require_cryptography

try:
    from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
except ImportError:
    pass  # require_cryptography reports it

_SEC1 = b"-----BEGIN EC PRIVATE KEY-----"
_COORDINATE = 32


@dataclasses.dataclass(frozen=True)
class Point:
    """A public key as in a JWK: coordinates in base64url without padding."""

    x: str
    y: str


def decrypt(key: bytes, nonce: bytes, sealed: bytes, aad: bytes) -> bytes | None:
    """Decrypt ciphertext with its tag. Returns None if the tag does not match key, nonce, bytes and `aad`."""
    require_cryptography()
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, sealed, aad)
    except InvalidTag:
        return None


def public_point(pem: bytes) -> Point | None:
    """Return the public point of a P-256 key in SEC1 PEM, the only format that the product reads; None for anything else."""
    require_cryptography()
    if not pem.startswith(_SEC1):
        return None
    # Imported here: this module reads keys of every type, and takes as long to import as the rest of cryptography.
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        return None
    numbers = key.public_key().public_numbers()
    return Point(_base64url(numbers.x), _base64url(numbers.y))


def _base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(_COORDINATE, "big")).rstrip(b"=").decode("ascii")
