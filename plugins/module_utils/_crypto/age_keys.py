# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""X25519 key pairs in age's text forms: `AGE-SECRET-KEY-1…` and `age1…`.

They are created and parsed without pyrage, so an operator's machine needs only the libraries that Ansible needs.
"""

from __future__ import annotations

import os
import typing as t

from .._deps import require_cryptography
from .._errors import KeyProblem

_SECRET, _PUBLIC = "age-secret-key-", "age"
# Bech32 (BIP 173).
_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BYTES = 32


def generate() -> str:
    """Return a new identity. Store it only in a file with mode 0600."""
    return _encode(_SECRET, os.urandom(_BYTES)).upper()


def recipient_of(identity: str, where: str) -> str:
    """Return the public key of an identity. Raises KeyProblem that names `where` and never the identity."""
    require_cryptography()
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    secret = _decode(_SECRET, identity.lower()) if identity.isupper() else None
    if secret is None:
        raise KeyProblem(f"{where} contains no age identity; give a file that age-keygen wrote")
    return _encode(_PUBLIC, X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def check_recipient(text: str, where: str) -> str:
    """Return the text if it is exactly one recipient. Raises KeyProblem that does not repeat the text."""
    if _decode(_PUBLIC, text) is None:
        raise KeyProblem(f"{where} is not an age recipient; expected one age1… (X25519) on one line")
    return text


def _encode(prefix: str, data: bytes) -> str:
    words = _regroup(data, 8, 5)
    words += [(_checksum(prefix, [*words, *(0,) * 6]) ^ 1) >> 5 * place & 31 for place in range(5, -1, -1)]
    return f"{prefix}1{''.join(_LETTERS[word] for word in words)}"


def _decode(prefix: str, text: str) -> bytes | None:
    """Return the 32 bytes, or None if this is not their canonical encoding."""
    head, body = text[: len(prefix) + 1], text[len(prefix) + 1 :]
    if head != f"{prefix}1" or not body or any(letter not in _LETTERS for letter in body):
        return None
    words = [_LETTERS.index(letter) for letter in body]
    if _checksum(prefix, words) != 1:
        return None
    data = bytes(_regroup(words[:-6], 5, 8)[:_BYTES])
    return data if len(data) == _BYTES and _encode(prefix, data) == text else None


def _regroup(values: t.Iterable[int], wide: int, narrow: int) -> list[int]:
    """Convert numbers of `wide` bits to numbers of `narrow` bits, padded with zeros at the end."""
    bits = "".join(f"{value:0{wide}b}" for value in values)
    bits += "0" * (-len(bits) % narrow)
    return [int(bits[place : place + narrow], 2) for place in range(0, len(bits), narrow)]


def _checksum(prefix: str, words: t.Sequence[int]) -> int:
    expanded = [*(ord(one) >> 5 for one in prefix), 0, *(ord(one) & 31 for one in prefix)]
    found = 1
    for word in (*expanded, *words):
        top = found >> 25
        found = (found & 0x1FFFFFF) << 5 ^ word
        for place, generator in enumerate(_GENERATORS):
            found ^= generator if top >> place & 1 else 0
    return found
