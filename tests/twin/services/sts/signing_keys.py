# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The signing keys of zones: read from their encrypted rows, or created if a zone has none."""

from __future__ import annotations

import threading
import time
import typing as t

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ... import envelopes
from ..common import tokens
from ..common.identity import new_id
from ..common.journal import log
from ..common.keyring import Keyring, SealError
from ..common.postgres import Database, Row

CACHE_SECONDS = 900
# The newest key of a zone, and the key before it while the newest is younger than a day.
CURRENT = """
WITH ranked AS (
  SELECT *, row_number() OVER (ORDER BY version DESC) AS rank, max(created_at) OVER () AS newest
  FROM secrets WHERE zone_id = %s AND name = 'zone_signing_key')
SELECT id, version, {sealed} AS sealed FROM ranked
WHERE rank = 1 OR (rank = 2 AND newest > now() - interval '24 hours') ORDER BY rank
"""
Signer = tuple[ec.EllipticCurvePrivateKey, str]


class SigningKeys:
    """Keys of zones. Raises SealError if the KEK does not decrypt a key that is needed."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._sql = CURRENT.format(sealed="envelope" if keyring.secret_store else "nonce || ciphertext")
        self._cache: dict[str, tuple[float, Signer]] = {}
        self._lock = threading.Lock()
        self.invalid = 0

    def published(self, zone: str) -> list[dict[str, str]] | None:
        """Return the public keys of the zone without keys that cannot be decrypted, or None if it has no key at all."""
        found = []
        rows = self._database.rows(self._sql, zone)
        for row in rows:
            try:
                found.append(tokens.jwk(self._open(row).public_key(), row["id"]))
            except SealError as error:
                self.invalid += 1
                log("warn", "jwks: skipped invalid signing key", zone=zone, kid=row["id"], reason="decrypt", err=str(error))
        return found if rows else None

    def verifying(self, zone: str) -> dict[str, ec.EllipticCurvePublicKey]:
        return {row["id"]: self._open(row).public_key() for row in self._database.rows(self._sql, zone)}

    def signer(self, zone: str) -> Signer:
        """Return the signing key and its ID. The older family does not read the database again for 15 minutes."""
        with self._lock:
            at, known = self._cache.get(zone, (0.0, None))
            if known and not self._keyring.secret_store and time.monotonic() - at < CACHE_SECONDS:
                return known
            row = self._database.row(self._sql, zone) or self._make(zone)
            found = (self._open(row), row["id"])
            self._cache[zone] = (time.monotonic(), found)
            return found

    def forget(self, zone: str) -> None:
        with self._lock:
            self._cache.pop(zone, None)

    def _open(self, row: Row) -> ec.EllipticCurvePrivateKey:
        pem = self._keyring.open(envelopes.SIGNING_KEY, bytes(row["sealed"]))
        return t.cast(ec.EllipticCurvePrivateKey, serialization.load_pem_private_key(pem, password=None))

    def _make(self, zone: str) -> Row:
        """Create a first key. This is not reported to any other service."""
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        sealed = self._keyring.seal(envelopes.SIGNING_KEY, pem)
        bare = {"nonce": sealed[:12], "ciphertext": sealed[12:], "dek_id": "zoneKek"}
        parts = {"envelope": sealed} if self._keyring.secret_store else bare
        row = {"id": new_id(), "zone_id": zone, "entity_id": zone, "name": "zone_signing_key", "type": "token", "version": 1, **parts}
        columns, marks = ", ".join(row), ", ".join(["%s"] * len(row))
        self._database.execute(f"INSERT INTO secrets ({columns}) VALUES ({marks})", *row.values())
        return {**row, "sealed": sealed}
