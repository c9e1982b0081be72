# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All key material of a twin, derived from its seed. It is well-formed (no weak pattern), and not used outside of tests."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import os
from pathlib import Path

from .facts import SECRET_STORE, ZONE_KEK

SCRAM_ITERATIONS = 4096


@dataclasses.dataclass(frozen=True)
class Keys:
    """The runtime secrets that affect the data: 32 bytes each, and passwords as text by role."""

    secret_store_kek: bytes
    zone_kek: bytes
    audit_hmac_key: bytes
    streams_hmac_key: bytes
    gateway_sts_hmac_key: bytes
    idempotency_hmac_key: bytes
    admin_token: str
    coordinator_token: str
    role_passwords: dict[str, str]

    @property
    def kek_id(self) -> bytes:
        """Return the eight bytes with which an envelope identifies its KEK."""
        return hashlib.sha256(self.secret_store_kek).digest()[:8]

    def as_files(self, family: str = SECRET_STORE) -> dict[str, str]:
        """Return file name to content of a secrets directory of the family: lower-case hex, no newline."""
        both = {
            "auditHmacKey": self.audit_hmac_key.hex(),
            "streamsHmacKey": self.streams_hmac_key.hex(),
            "gatewayStsHmacKey": self.gateway_sts_hmac_key.hex(),
            "caracalAdminToken": self.admin_token,
            "caracalCoordinatorToken": self.coordinator_token,
        }
        if family == ZONE_KEK:
            return {"zoneKek": self.zone_kek.hex(), **both}
        files = {"secretStoreKek": self.secret_store_kek.hex(), "idempotencyHmacKey": self.idempotency_hmac_key.hex(), **both}
        files.update({f"{role.removeprefix('caracal')}DbPassword": secret for role, secret in self.role_passwords.items()})
        return files


ROLES = ("caracalapi", "caracalaudit", "caracalauth", "caracalcoordinator", "caracalgateway", "caracalsts")


def for_seed(seed: int | str) -> Keys:
    """Return the keys of the twin with this seed."""
    return Keys(
        secret_store_kek=derive(seed, "secret store kek"),
        zone_kek=derive(seed, "zone kek"),
        audit_hmac_key=derive(seed, "audit hmac"),
        streams_hmac_key=derive(seed, "streams hmac"),
        gateway_sts_hmac_key=derive(seed, "gateway sts hmac"),
        idempotency_hmac_key=derive(seed, "idempotency hmac"),
        admin_token=derive(seed, "admin token").hex(),
        coordinator_token=derive(seed, "coordinator token").hex(),
        role_passwords={role: derive(seed, f"password {role}")[:24].hex() for role in ROLES},
    )


def derive(seed: int | str, label: str) -> bytes:
    """Return 32 bytes for a label."""
    return hmac.new(f"caracal twin {seed}".encode(), label.encode(), hashlib.sha256).digest()


def scram_verifier(password: str, salt: bytes) -> str:
    """Return what PostgreSQL stores for a password, so that the statement contains neither the password nor a random value."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, SCRAM_ITERATIONS)
    stored = hashlib.sha256(hmac.new(salted, b"Client Key", hashlib.sha256).digest()).digest()
    server = hmac.new(salted, b"Server Key", hashlib.sha256).digest()
    parts = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${SCRAM_ITERATIONS}:{parts[0]}${parts[1]}:{parts[2]}"


def files(folder: Path, *secrets: str) -> list[str]:
    """Write each secret to a private file, named by its digest."""
    paths = [folder / f"key-{hashlib.sha256(secret.encode()).hexdigest()[:16]}" for secret in secrets]
    for path, secret in zip(paths, secrets, strict=True):
        if not path.exists():
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as out:
                out.write(secret)
    return [str(path) for path in paths]
