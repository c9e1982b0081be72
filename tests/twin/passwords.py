# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets stored as Argon2id hashes: client secrets in the product's format, admin tokens in the PHC format."""

from __future__ import annotations

import base64
import hmac
import os

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

CLIENT = "argon2id$"
TOKEN = "$argon2id$v=19$m=65536,t=3,p=2$"


def hashed(secret: str, prefix: str, salt: bytes | None = None) -> str:
    """Return a hash of the secret, with a new salt unless one of 16 bytes is given."""
    salt = salt or os.urandom(16)
    return f"{prefix}{_unpadded(salt)}${_unpadded(_digest(secret, salt))}"


def rehashed(stored: str, secret: str) -> str:
    """Return the hash of the secret with the salt and format of another hash."""
    prefix = CLIENT if stored.startswith(CLIENT) else TOKEN
    return hashed(secret, prefix, _padded(stored.removeprefix(prefix).partition("$")[0]))


def matches(secret: str, stored: str | None) -> bool:
    """Return whether the hash is of this secret. False for anything that is not a hash in these formats."""
    prefix = next((form for form in (CLIENT, TOKEN) if (stored or "").startswith(form)), None)
    if prefix is None or not secret or not stored:
        return False
    salt, _sign, digest = stored.removeprefix(prefix).partition("$")
    return hmac.compare_digest(_unpadded(_digest(secret, _padded(salt))), digest)


def _digest(secret: str, salt: bytes) -> bytes:
    return Argon2id(salt=salt, length=32, iterations=3, lanes=2, memory_cost=65536).derive(secret.encode())


def _unpadded(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _padded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))
