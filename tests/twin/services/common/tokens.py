# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tokens: ES256 JSON Web Tokens and the public keys that verify them."""

from __future__ import annotations

import base64
import binascii
import json
import time
import typing as t

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from .identity import compact

Claims = dict[str, t.Any]
PublicKeys = t.Mapping[str, ec.EllipticCurvePublicKey]
LEEWAY = 60
SIZE = 32


class TokenError(Exception):
    """The token is invalid; the message contains the reason."""


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def issue(claims: Claims, key: ec.EllipticCurvePrivateKey, kid: str) -> str:
    head = b64(compact({"alg": "ES256", "kid": kid, "typ": "JWT"}).encode())
    text = f"{head}.{b64(compact(claims).encode())}"
    r, s = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{b64(r.to_bytes(SIZE, 'big') + s.to_bytes(SIZE, 'big'))}"


def peek(token: str) -> tuple[Claims, Claims]:
    """Return header and claims of a token without verifying it. Raises TokenError if it is malformed."""
    parts = token.split(".")
    try:
        head, claims = (json.loads(unb64(part)) for part in parts[:2])
    except (ValueError, binascii.Error):
        raise TokenError("malformed token") from None
    if len(parts) != 3 or not isinstance(head, dict) or not isinstance(claims, dict):
        raise TokenError("malformed token")
    return head, claims


def verify(token: str, keys: PublicKeys, issuer: str | None = None, audience: str | None = None) -> Claims:
    """Return the claims of a token that one of the keys signed and that has not expired."""
    head, claims = peek(token)
    key = keys.get(str(head.get("kid")))
    if head.get("alg") != "ES256" or key is None:
        raise TokenError(f"unknown signing key kid {head.get('kid')!r}")
    signature = unb64(token.rpartition(".")[2])
    if len(signature) != 2 * SIZE:
        raise TokenError("signature of another size")
    r, s = int.from_bytes(signature[:SIZE], "big"), int.from_bytes(signature[SIZE:], "big")
    try:
        key.verify(utils.encode_dss_signature(r, s), token.rpartition(".")[0].encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise TokenError("signature does not hold") from None
    if claims.get("exp", 0) + LEEWAY < time.time():
        raise TokenError("token is expired")
    if issuer is not None and claims.get("iss") != issuer:
        raise TokenError("token has another issuer")
    if audience is not None and audience not in claims.get("aud", []):
        raise TokenError("token has another audience")
    return claims


def jwk(key: ec.EllipticCurvePublicKey, kid: str) -> dict[str, str]:
    point = key.public_numbers()
    x, y = (b64(number.to_bytes(SIZE, "big")) for number in (point.x, point.y))
    return {"kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "alg": "ES256", "x": x, "y": y}


def public_key(entry: t.Mapping[str, str]) -> ec.EllipticCurvePublicKey:
    x, y = (int.from_bytes(unb64(entry[name]), "big") for name in ("x", "y"))
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
