# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A token that the zone's public key verifies."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import zone_token
from twin.dice import Dice
from twin.envelopes import signing_key_pem

PEM = signing_key_pem(Dice(1, "zone token"))
CLAIMS = {"zone_id": "z-1", "sid": "s-1", "exp": 4102444800}


def parts(token: str) -> list[bytes]:
    return [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")]


def verify(token: str, pem: bytes) -> None:
    """Verify the token like the Gateway: a raw 64-byte signature over the first two parts."""
    raw = parts(token)[2]
    assert len(raw) == 64
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signature = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key.public_key().verify(signature, token.rpartition(".")[0].encode(), ec.ECDSA(hashes.SHA256()))


def test_token_is_verified_by_the_zone_key() -> None:
    token = zone_token.sign(PEM, "kid-1", CLAIMS)
    assert token is not None and "=" not in token
    head, claims, _signature = parts(token)
    assert json.loads(head) == {"alg": "ES256", "typ": "JWT", "kid": "kid-1"} and json.loads(claims) == CLAIMS
    verify(token, PEM)


@pytest.mark.mutation
def test_token_is_not_verified_by_another_key() -> None:
    token = zone_token.sign(PEM, "kid-1", CLAIMS)
    assert token is not None
    with pytest.raises(InvalidSignature):
        verify(token, signing_key_pem(Dice(1, "another zone")))


def test_invalid_key_signs_no_token() -> None:
    assert zone_token.sign(b"-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", "kid-1", CLAIMS) is None
