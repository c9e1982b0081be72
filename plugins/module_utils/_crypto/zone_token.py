# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A token signed like a token of the STS, for a drill that checks whether a revoked session is refused. Only for use in a sandbox."""

from __future__ import annotations

import base64
import json
import typing as t

from .._deps import require_cryptography
from .envelope_ciphers import public_point

_COORDINATE = 32


def sign(pem: bytes, kid: str, claims: t.Mapping[str, object]) -> str | None:
    """Return a compact JWS with ES256, or None if `pem` does not contain a P-256 key."""
    require_cryptography()
    if public_point(pem) is None:
        return None
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    key = t.cast("ec.EllipticCurvePrivateKey", serialization.load_pem_private_key(pem, password=None))
    signed = f"{_part({'alg': 'ES256', 'typ': 'JWT', 'kid': kid})}.{_part(claims)}"
    r, s = utils.decode_dss_signature(key.sign(signed.encode("ascii"), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{_base64url(r.to_bytes(_COORDINATE, 'big') + s.to_bytes(_COORDINATE, 'big'))}"


def _part(content: t.Mapping[str, object]) -> str:
    return _base64url(json.dumps(content, separators=(",", ":")).encode())


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
