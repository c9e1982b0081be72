# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runtime secrets of a deployment: their names, which are keys, and which values the product would refuse or silently
replace.

The installer silently creates a new secret for each file that is missing or empty, including the KEK. So a set must
contain all of them.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .._errors import OptionError
from .chains import chain_keys
from .chains.chain_keys import AuditKey
from .keys import kek
from .keys.kek import Kek
from .releases import SECRET_STORE, ZONE_KEK

KEK, HMAC, PLAIN, DERIVED = "kek", "hmac", "plain", "derived"


@dataclasses.dataclass(frozen=True)
class Name:
    """A secret file.

    `required` is True if data depends on the secret or if every kind of installation has it. `key` is the name of the
    key ID in the manifest.
    """

    name: str
    kind: str = PLAIN
    required: bool = False
    key: str | None = None


_BOTH = (
    Name("auditHmacKey", HMAC, True, "audit_hmac_key"),
    Name("streamsHmacKey", HMAC, True, "streams_hmac_key"),
    Name("gatewayStsHmacKey", HMAC, True, "gateway_sts_hmac_key"),
    Name("caracalAdminToken", required=True),
    Name("caracalCoordinatorToken", required=True),
    Name("postgresPassword"),
    Name("redisPassword"),
    Name("metricsBearer"),
    Name("caracalAuthSecret"),
    Name("databaseUrl", DERIVED),
    Name("redisUrl", DERIVED),
    Name("authDatabaseUrl", DERIVED),
)
_SERVICES = ("api", "sts", "gateway", "audit", "coordinator")
CURRENT_KEK = {ZONE_KEK: "zoneKek", SECRET_STORE: "secretStoreKek"}
PREVIOUS_KEK, AUDIT_KEY = "secretStoreKekPrevious", "auditHmacKey"
# The installer creates these before the containers that mount them start. If one is missing, the container engine
# creates it as root.
FOLDERS = ("allowlist", "console")
NAMES: dict[str, tuple[Name, ...]] = {
    ZONE_KEK: (Name("zoneKek", KEK, True, "kek"), *_BOTH),
    SECRET_STORE: (
        Name("secretStoreKek", KEK, True, "kek"),
        Name(PREVIOUS_KEK, KEK, key="kek_previous"),
        Name("idempotencyHmacKey", HMAC, True, "idempotency_hmac_key"),
        Name("idempotencyHmacKeyPrevious", HMAC, key="idempotency_hmac_key_previous"),
        *_BOTH,
        *(Name(f"{service}DbPassword") for service in (*_SERVICES, "auth")),
        *(Name(f"{service}DatabaseUrl", DERIVED) for service in _SERVICES),
    ),
}


def variable(name: str) -> str:
    """Return the environment variable that takes precedence over the file `name`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
    return f"CARACAL_{words}" if words.endswith("_DB_PASSWORD") else words


def family(names: t.Collection[str]) -> str:
    """Return the family of the KEK that exists. Raises OptionError if both or none exist."""
    found = [one for one, name in CURRENT_KEK.items() if name in names]
    if len(found) == 2:
        raise OptionError(
            "the sources contain both zoneKek and secretStoreKek, but no release uses both; remove the one that is not in use"
        )
    if not found:
        raise OptionError(
            "no source contains secretStoreKek or zoneKek, and without it "
            "Caracal would silently create a new KEK; add its directory or file"
        )
    return found[0]


@dataclasses.dataclass(frozen=True)
class Keys:
    """The keys among the secrets: KEKs and audit keys, each with the current key first, and the public IDs of all keys by name."""

    keks: tuple[Kek, ...]
    audit: tuple[AuditKey, ...]
    ids: dict[str, str]


def keys(of: str, secrets: t.Mapping[str, bytes], places: t.Mapping[str, str]) -> Keys:
    """Check secrets by name as the product of family `of` will, and return the keys. `places` maps names to the source of
    each secret.

    Raises OptionError with the file and a remedy, never with the value.
    """
    keks: list[Kek] = []
    audit: list[AuditKey] = []
    ids: dict[str, str] = {}
    for one in NAMES[of]:
        if one.name not in secrets and not one.required:
            continue
        content = require(one.name, secrets, places)
        if one.kind not in (KEK, HMAC):
            continue
        key = _key(one, content, places[one.name])
        ids[one.key or one.name] = key.id
        if isinstance(key, Kek):
            keks.append(key)
        elif one.name == AUDIT_KEY:
            audit.append(key)
    return Keys(tuple(keks), tuple(audit), ids)


def require(name: str, secrets: t.Mapping[str, bytes], places: t.Mapping[str, str]) -> bytes:
    """Return a secret. Raises OptionError if it is missing or empty."""
    if name not in secrets:
        raise OptionError(
            f"no source contains secret {name}, and Caracal would silently create a new one; add its file to directory or files"
        )
    if not secrets[name].strip():
        raise OptionError(f"{places[name]} is empty, and Caracal would silently create a new {name}; restore the secret in use first")
    return secrets[name]


def _key(one: Name, content: bytes, place: str) -> Kek | AuditKey:
    text = content.decode("ascii", "replace")
    if one.kind == KEK:
        return kek.parse_file(text, place)
    return chain_keys.parse_file(text, place, one.name)


def absent(of: str, names: t.Collection[str]) -> list[str]:
    """Return the names of secrets that an installer creates but the sources do not contain. Some installations do not use them."""
    optional = (one.name for one in NAMES[of] if not one.required and one.kind != DERIVED and not one.name.endswith("Previous"))
    return sorted(name for name in optional if name not in names)
