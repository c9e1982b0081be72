# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Admin tokens: those that the API creates at its start, and the actor of a bearer token."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import secrets
import threading

from ... import passwords
from ..common.http import Refusal, Request
from ..common.identity import new_id
from ..common.journal import log
from ..common.postgres import Database, Release, Row

FIND = "SELECT * FROM admin_tokens WHERE token_sha256 = %s LIMIT 1"
SUPERSEDE = "UPDATE admin_tokens SET revoked_at = now() WHERE created_by = %s AND revoked_at IS NULL AND token_sha256 <> %s"
CONSOLE = (
    ("console-read-only", "read", "env-derived", "caracal:console:read-only:v1"),
    ("console-write", "write", "env-derived-write", "caracal:console:write:v1"),
    ("console-approve", "approve", "env-derived-approve", "caracal:console:approve:v1"),
)


@dataclasses.dataclass(frozen=True)
class Actor:
    """The holder of a token of the API."""

    id: str
    name: str
    scope: str
    capability: str
    zone: str | None

    @property
    def label(self) -> str:
        return f"admin:{self.id}"


class AdminTokens:
    """The table of tokens. A digest that matched its slow hash once is not hashed again."""

    def __init__(self, database: Database, release: Release) -> None:
        self._database = database
        self._newer = release.secret_store
        self._matched: set[tuple[bytes, str]] = set()
        self._lock = threading.Lock()

    def seed(self, token: str) -> None:
        """Accept the token of the environment and reject its predecessors.

        An existing row is not changed, even a revoked one. So if a token was rotated out and is set again, no token is accepted.
        """
        self._one(token, "bootstrap", "write", "env-bootstrap")
        for name, capability, creator, label in CONSOLE if self._newer else ():
            digest = hmac.digest(token.encode(), label.encode(), "sha256")
            self._one("cat_" + base64.urlsafe_b64encode(digest).decode().rstrip("="), name, capability, creator)

    def _one(self, token: str, name: str, capability: str, creator: str) -> None:
        digest = hashlib.sha256(token.encode()).digest()
        if self._database.row(FIND, digest) is None:
            self._insert(token, name, capability, creator)
            log("info", f"seeded {name} admin token")
        self._database.execute(SUPERSEDE, creator, digest)

    def _insert(self, token: str, name: str, capability: str, creator: str) -> Row:
        row = {
            "id": new_id(),
            "name": name,
            "token_sha256": hashlib.sha256(token.encode()).digest(),
            "token_hash": passwords.hashed(token, passwords.TOKEN),
            "scope": "global",
            "created_by": creator,
            **({"capability": capability} if self._newer else {}),
        }
        marks = ", ".join(["%s"] * len(row))
        self._database.execute(f"INSERT INTO admin_tokens ({', '.join(row)}) VALUES ({marks})", *row.values())
        return row

    def mint(self, name: str, capability: str, actor: Actor) -> Row:
        """Create a global token, shown only this time as `token`."""
        token = f"cat_{secrets.token_urlsafe(32)}"
        return {**self._insert(token, name, capability, actor.label), "token": token}

    def actor(self, request: Request) -> Actor:
        """Return the caller. Raises Refusal for an unknown token, and for a read-only token if the request is not a read."""
        row = self._live(request.bearer) if request.bearer else None
        # A derived console token is only valid with a login that the console confirms.
        if row is None or row["created_by"].startswith("env-derived"):
            raise Refusal(401, {"error": "invalid_admin_token"})
        actor = Actor(row["id"], row["name"], row["scope"], row.get("capability", "write"), row["zone_id"])
        if actor.capability == "read" and request.method != "GET":
            raise Refusal(403, {"error": "admin_token_read_only"})
        return actor

    def _live(self, token: str) -> Row | None:
        digest = hashlib.sha256(token.encode()).digest()
        row = self._database.row(FIND.replace("LIMIT", "AND revoked_at IS NULL LIMIT"), digest)
        if row is None or not row["token_hash"]:
            return None
        known = (digest, row["token_hash"])
        with self._lock:
            if known not in self._matched:
                if not passwords.matches(token, row["token_hash"]):
                    return None
                self._matched.add(known)
        return row
