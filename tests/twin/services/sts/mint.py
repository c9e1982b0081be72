# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The result of a granted exchange: its record, and the token."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
import typing as t

import psycopg2
import redis

from ..common import tokens
from ..common.identity import new_id, utc_now
from ..common.journal import log
from ..common.keyring import SealError
from ..common.postgres import Row
from .asked import TOKEN_TYPE, Asked, Refused
from .delegation import Proof
from .records import Records
from .signing_keys import SigningKeys
from .upstreams import Upstreams

RESOURCE_SECONDS = 900
SESSION_SECONDS = 3600
ISSUED = "audit:jti:"
Json = dict[str, t.Any]


@dataclasses.dataclass
class Mint:
    """Creates tokens. The record is written first and stays even if no token can be created, for example with a wrong KEK."""

    records: Records
    keys: SigningKeys
    upstreams: Upstreams
    redis: t.Any
    issuer: str

    def run(self, asked: Asked, application: str, granted: list[Row], proof: Proof | None) -> Json:
        """Return the answer. Raises Refused."""
        lifetime, use = self._lifetime(asked, proof), self._use(asked)
        names = [resource["identifier"] for resource in granted]
        sid = self._record(asked, application, use, lifetime)
        scope = asked.scope or (str((asked.claims or {}).get("scope") or "") if asked.by_gateway else "")
        own = self._claims(asked, application, sid, use, lifetime)
        token = self._token(
            asked,
            {
                **own,
                "aud": names if use == "resource" else [self.issuer],
                "target": names,
                **({"scope": scope} if scope else {}),
                **({"agent_session_id": asked.agent} if asked.agent else {}),
                **(proof.claims() if proof else {}),
            },
        )
        upstreams = {resource["identifier"]: self.upstreams.directive(resource, asked) for resource in granted} if asked.by_gateway else {}
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(lifetime.total_seconds()),
            **({"scope": scope} if scope else {}),
            "issued_token_type": TOKEN_TYPE,
            "target_resources": names,
            **({"upstreams": upstreams} if upstreams else {}),
        }

    def _record(self, asked: Asked, application: str, use: str, lifetime: dt.timedelta) -> str:
        claims, sid = asked.claims or {}, new_id()
        row = {
            "id": sid,
            "zone_id": asked.zone,
            "session_type": "user" if claims.get("sub_type") == "user" else "application",
            "subject_id": str(claims.get("sub") or application),
            "parent_id": asked.authority if use == "resource" and asked.authority else None,
        }
        try:
            self.records.add_authority(row, lifetime)
        except psycopg2.Error as error:
            log("error", "authority record creation failed", err=" ".join(str(error).split()))
            raise Refused(500, "internal_error", "authority record creation failed", asked.request) from None
        return sid

    def _claims(self, asked: Asked, application: str, sid: str, use: str, lifetime: dt.timedelta) -> tokens.Claims:
        claims, now = asked.claims or {}, utc_now()
        return {
            "iss": self.issuer,
            "sub": str(claims.get("sub") or application),
            "exp": int((now + lifetime).timestamp()),
            "iat": int(now.timestamp()),
            "jti": new_id(),
            "zone_id": asked.zone,
            "client_id": application,
            "sid": sid,
            "root_sid": sid if use == "session" else claims.get("root_sid") or claims.get("sid") or sid,
            "use": use,
            "sub_type": "user" if claims.get("sub_type") == "user" else "application",
        }

    def _lifetime(self, asked: Asked, proof: Proof | None) -> dt.timedelta:
        limit = RESOURCE_SECONDS if asked.subject_token else SESSION_SECONDS
        if asked.ttl_seconds < 0:
            raise Refused(400, "invalid_token", "ttl_seconds must be positive", asked.request)
        if asked.ttl_seconds > limit:
            raise Refused(400, "invalid_token", "ttl_seconds exceeds token TTL cap", asked.request)
        lifetime = dt.timedelta(seconds=asked.ttl_seconds or RESOURCE_SECONDS)
        return proof.shorten(lifetime) if proof else lifetime

    def _use(self, asked: Asked) -> str:
        if asked.subject_token:
            return "resource"
        delegated = bool(asked.agent and asked.edge) and self.records.release.secret_store
        return "gateway" if delegated else "session"

    def _token(self, asked: Asked, claims: tokens.Claims) -> str:
        """Sign the token and record its ID. The record of the exchange stays even if that fails."""
        try:
            token = tokens.issue(claims, *self.keys.signer(asked.zone))
            seconds = max(int(claims["exp"] - time.time()), 1)
            self.redis.set(ISSUED + claims["jti"], f"{claims['client_id']}|{claims['iat']}", nx=True, ex=seconds)
        except (SealError, redis.exceptions.RedisError) as error:
            why = f"decrypt signing key: {error}" if isinstance(error, SealError) else str(error)
            log("error", "token issuance failed", zone_id=asked.zone, request_id=asked.request, err=why)
            raise Refused(500, "internal_error", "token issuance failed", asked.request) from None
        return token
