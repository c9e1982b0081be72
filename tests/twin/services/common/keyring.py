# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Encryption under the KEK, for either family."""

from __future__ import annotations

import hashlib
import secrets

from cryptography.exceptions import InvalidTag

from ... import envelopes
from ...dice import Dice
from .environment import Environment
from .postgres import Release


class SealError(Exception):
    """Decryption failed; the message is the product's."""


class Keyring:
    """The KEK of a service, and the previous KEK if the family supports one."""

    def __init__(self, environment: Environment, release: Release) -> None:
        self.secret_store = release.secret_store
        name = "SECRET_STORE_KEK" if release.secret_store else "ZONE_KEK"
        previous = environment.kek(f"{name}_PREVIOUS", required=False) if release.secret_store else None
        self._keys = [key for key in (environment.kek(name), previous) if key]

    def open(self, location: str, sealed: bytes) -> bytes:
        """Return the plaintext of an envelope, or of a nonce and ciphertext in one value. Raises SealError."""
        try:
            return self._opened(location, sealed) if self.secret_store else envelopes.unseal_bare(self._keys[0], sealed)
        except InvalidTag:
            bare, bound = "chacha20poly1305: message authentication failed", "secret envelope value rejected"
            raise SealError(bound if self.secret_store else bare) from None
        except ValueError as error:
            raise SealError(str(error)) from None

    def _opened(self, location: str, sealed: bytes) -> bytes:
        """Decrypt with the key that the envelope names."""
        for key in self._keys:
            if sealed[4:12] == hashlib.sha256(key).digest()[:8]:
                return envelopes.unseal(key, location, sealed)
        raise SealError("secret envelope was sealed under a different KEK")

    def seal(self, location: str, plaintext: bytes) -> bytes:
        """Encrypt, always under the current KEK."""
        dice = Dice(secrets.token_hex(32), "services")
        if self.secret_store:
            return envelopes.seal(self._keys[0], location, plaintext, dice)
        nonce = secrets.token_bytes(12)
        return nonce + envelopes.seal_bare(self._keys[0], nonce, plaintext)
