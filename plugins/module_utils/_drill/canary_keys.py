# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The restored secrets that the canaries need, and the signing keys that the STS must serve."""

from __future__ import annotations

import dataclasses
import os
import time
import typing as t
import uuid

from .._caracal.canary import facts, jwks
from .._caracal.canary.audit_rows import Mac
from .._caracal.canary.dialect import Dialect
from .._caracal.canary.facts import Revoked, ServedKey
from .._caracal.chains import chain_keys
from .._caracal.inventory.inventory import Reader
from .._caracal.keys import kek
from .._caracal.keys.envelopes import Opened, unseal
from .._caracal.keys.kek import Kek, Keyring
from .._caracal.secrets import AUDIT_KEY, CURRENT_KEK, PREVIOUS_KEK
from .._crypto import envelope_ciphers, zone_token
from .._drivers.secrets import files
from .._errors import OptionError

_TOKEN_SECONDS = 300


@dataclasses.dataclass(frozen=True)
class Secrets:
    """The secrets, which are never shown."""

    admin_token: str = dataclasses.field(repr=False)
    keyring: Keyring
    mac: Mac


def read(directory: str, family: str) -> Secrets:
    """Read the secrets. Raise KeyProblem for a missing file, OptionError for a file without a key."""

    def text(name: str) -> str:
        return files.named(name, os.path.join(directory, name)).content.decode("ascii", "replace")

    def key(name: str) -> Kek:
        return kek.parse_file(text(name), os.path.join(directory, name))

    token = text("caracalAdminToken").strip()
    if not token:
        raise OptionError(f"{directory}/caracalAdminToken is empty; restore the secrets of the set before the services start")
    rotating = os.path.lexists(os.path.join(directory, PREVIOUS_KEK))
    audit = chain_keys.parse_file(text(AUDIT_KEY), os.path.join(directory, AUDIT_KEY))
    return Secrets(token, Keyring(key(CURRENT_KEK[family]), key(PREVIOUS_KEK) if rotating else None), audit.hmac())


class SigningKeys:
    """Signing keys in the copy, which the STS must serve, compared with the keys before the services started."""

    def __init__(self, reader: Reader, family: str, keyring: Keyring, before: t.Sequence[t.Mapping[str, object]] | None) -> None:
        self._column = facts.key_column(family)
        self._keyring = keyring
        self._rows = facts.served_keys(reader, family)
        self._kids = facts.key_ids(reader)
        self._own = facts.own_zones(reader)
        self._before = None if before is None else {str(one.get("kid")): one for one in before}

    @property
    def expected(self) -> list[jwks.Key]:
        """The keys of the copy, and the earlier keys whose rows do not exist any more. A retired key that still has a row is not served."""
        here = [jwks.Key(row.zone, row.kid, *self._point(row)) for row in self._rows]
        gone = [one for kid, one in (self._before or {}).items() if kid not in self._kids]
        return here + [jwks.Key(*(str(one.get(name, "")) for name in ("zone", "kid", "x", "y"))) for one in gone]

    @property
    def new(self) -> list[jwks.Key]:
        """Keys created since the services started.

        No key is rotated during a drill, and only the product's own zone gets its first key automatically.
        """
        if self._before is None:
            return []
        had = {str(one.get("zone")) for one in self._before.values()}
        rows = [row for row in self._rows if row.kid not in self._before]
        return [jwks.Key(row.zone, row.kid) for row in rows if row.zone in had or row.zone not in self._own]

    def kids(self, zone: str) -> set[str]:
        """Return the IDs of a zone's keys in the backup."""
        return {row.kid for row in self._rows if row.zone == zone} - {key.kid for key in self.new}

    def zones(self) -> set[str]:
        return {row.zone for row in self._rows}

    def token(self, revoked: Revoked, dialect: Dialect) -> str | None:
        """Return a token of a revoked session, signed with the zone's own key, or None if that key cannot be decrypted."""
        row = next((one for one in self._rows if one.zone == revoked.zone), None)
        pem = self._open(row) if row else None
        if row is None or pem is None:
            return None
        now, session = int(time.time()), revoked.id if revoked.claim == "sid" else f"caracal-ops-{uuid.uuid4()}"
        claims = {
            **{"iss": "caracal-ops-drill", "sub": "caracal-ops-canary", "iat": now, "exp": now + _TOKEN_SECONDS, "jti": str(uuid.uuid4())},
            **{"zone_id": revoked.zone, "client_id": "caracal-ops-canary", "use": "gateway" if dialect.one_shot else "session"},
            **{"sid": session, "root_sid": session, revoked.claim: revoked.id},
        }
        return zone_token.sign(pem, row.kid, claims)

    def _point(self, row: ServedKey) -> tuple[str, str]:
        before = (self._before or {}).get(row.kid)
        if before:
            return str(before.get("x", "")), str(before.get("y", ""))
        pem = self._open(row)
        point = envelope_ciphers.public_point(pem) if pem else None
        return (point.x, point.y) if point else ("", "")

    def _open(self, row: ServedKey) -> bytes | None:
        found = unseal(self._column, row.sealed, self._keyring, envelope_ciphers.decrypt)
        return found.plaintext if isinstance(found, Opened) else None
