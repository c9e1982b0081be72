# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The public key is derived from exactly those private keys that the product can read."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.envelope_ciphers import Point, decrypt, public_point
from twin import envelopes as sealing
from twin.dice import Dice

PEM, SEC1, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.PrivateFormat.PKCS8
OPEN = serialization.NoEncryption()


def pem(key: object, form: serialization.PrivateFormat = SEC1, lock: serialization.KeySerializationEncryption = OPEN) -> bytes:
    return bytes(key.private_bytes(PEM, form, lock))  # type: ignore[attr-defined]


def test_public_point_is_encoded_as_in_a_jwk() -> None:
    # The public point of the private key 1 is the base point of the curve.
    point = public_point(pem(ec.derive_private_key(1, ec.SECP256R1())))
    assert point == Point("axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU")


def test_a_coordinate_keeps_its_leading_zeros() -> None:
    points = [public_point(pem(ec.derive_private_key(number, ec.SECP256R1()))) for number in range(1, 400)]
    shortest = min(base64.urlsafe_b64decode(point.x + "=") for point in points if point)
    assert shortest[0] == 0 and len(shortest) == 32


@pytest.mark.mutation
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"sk-test",
        b"-----BEGIN EC PRIVATE KEY-----\nnot base64\n-----END EC PRIVATE KEY-----\n",
        sealing.signing_key_pem(Dice("test", "pem"))[:100],
        pem(ec.derive_private_key(5, ec.SECP384R1())),
        pem(ec.derive_private_key(5, ec.SECP256K1())),
        pem(ec.derive_private_key(5, ec.SECP256R1()), PKCS8),
        pem(ec.derive_private_key(5, ec.SECP256R1()), SEC1, serialization.BestAvailableEncryption(b"x")),
        pem(ed25519.Ed25519PrivateKey.generate(), PKCS8),
    ],
    ids=["empty", "text", "no-base64", "cut", "P-384", "secp256k1", "PKCS8", "encrypted", "ed25519"],
)
def test_unsupported_keys_have_no_public_point(text: bytes) -> None:
    assert public_point(text) is None


def test_decrypt_returns_none_for_a_wrong_tag() -> None:
    sealed = sealing.seal_bare(bytes(range(1, 33)), bytes(12), b"text")
    assert decrypt(bytes(range(1, 33)), bytes(12), sealed, b"") == b"text"
    assert decrypt(bytes(range(1, 33)), bytes(12), sealed, b"x") is None
    assert decrypt(bytes(range(2, 34)), bytes(12), sealed, b"") is None
