# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Encrypted values, and zone signing keys.

A CSS1 envelope contains a value encrypted under a key of its own. That key is encrypted under the KEK. The family
`zone_kek` encrypts directly under its KEK, without binding to a location.
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from .dice import Dice

MAGIC = b"CSS1"
DEK_AAD = b"caracal.css1.dek"
SIGNING_KEY = "caracal/secrets/zoneSigningKey"
ACCESS_TOKEN = "caracal/providerConnections/accessToken"
REFRESH_TOKEN = "caracal/providerConnections/refreshToken"
SINK_SECRET = "caracal/notificationSinks/secret"
PLAN_SECRETS = "caracal/operatorPlanSecrets/values"


def seal(kek: bytes, location: str, plaintext: bytes, dice: Dice) -> bytes:
    """Return the envelope of `plaintext`, bound to `location`."""
    dek, dek_nonce, value_nonce = dice.randbytes(32), dice.randbytes(12), dice.randbytes(12)
    return b"".join(
        (
            MAGIC,
            hashlib.sha256(kek).digest()[:8],
            dek_nonce,
            ChaCha20Poly1305(kek).encrypt(dek_nonce, dek, DEK_AAD),
            value_nonce,
            ChaCha20Poly1305(dek).encrypt(value_nonce, plaintext, location.encode()),
        )
    )


def unseal(kek: bytes, location: str, envelope: bytes) -> bytes:
    """Return the plaintext. Raises ValueError for another format or KEK, `cryptography`'s InvalidTag for damage."""
    if envelope[:4] != MAGIC or len(envelope) < 100:
        raise ValueError("not a CSS1 envelope")
    if envelope[4:12] != hashlib.sha256(kek).digest()[:8]:
        raise ValueError("sealed under another KEK")
    dek = ChaCha20Poly1305(kek).decrypt(envelope[12:24], envelope[24:72], DEK_AAD)
    return ChaCha20Poly1305(dek).decrypt(envelope[72:84], envelope[84:], location.encode())


def seal_bare(kek: bytes, nonce: bytes, plaintext: bytes) -> bytes:
    """Return the ciphertext of `plaintext` directly under the zone KEK."""
    return ChaCha20Poly1305(kek).encrypt(nonce, plaintext, None)


def unseal_bare(kek: bytes, packed: bytes) -> bytes:
    """Return the plaintext of a nonce and ciphertext in one value.

    Raises ValueError if it is too short, InvalidTag for damage or another KEK.
    """
    if len(packed) < 28:
        raise ValueError("shorter than nonce and tag")
    return ChaCha20Poly1305(kek).decrypt(packed[:12], packed[12:], None)


def signing_key_pem(dice: Dice) -> bytes:
    """Return a P-256 private key as SEC1 PEM."""
    # Any number in 1..n-1 is a private key; 2**255 is well below n.
    key = ec.derive_private_key(dice.getrandbits(255) | 1, ec.SECP256R1())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
