# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The services of Caracal as a drill starts them: order, ports and environment.

Every variable of the product also exists as `NAME_FILE`. Secrets are only passed in that form.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import releases
from .releases import SECRET_STORE, ZONE_KEK

LOOPBACK = "127.0.0.1"
# A hundred years: a drill of an old set must not drop the partitions that it is about to verify.
RETENTION_DAYS = "36500"
# Not product secrets. A drill creates them if the deployment has none.
AUDIT_ADMIN_TOKEN, METRICS_BEARER = "auditAdminToken", "metricsBearer"
MADE = (AUDIT_ADMIN_TOKEN, METRICS_BEARER)


@dataclasses.dataclass(frozen=True)
class Service:
    """One service.

    `secrets` maps a variable (its `_FILE` form is set) to the name of the secret. The secrets in `OPTIONAL` may be
    missing. `role` and the secret named by `password` are the database login in family secret_store. In zone_kek all
    services log in as the owner. If `replays` is True, the service stores unsent audit events in a directory.
    """

    name: str
    port: int
    role: str
    password: str
    secrets: t.Mapping[str, str]
    environment: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    replays: bool = False
    database: str = releases.OWN_DATABASE
    database_variable: str = "DATABASE_URL"
    required: bool = True

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"


_HMACS = {"AUDIT_HMAC_KEY": "auditHmacKey", "STREAMS_HMAC_KEY": "streamsHmacKey", "GATEWAY_STS_HMAC_KEY": "gatewayStsHmacKey"}
_METRICS = {"METRICS_BEARER": METRICS_BEARER}
_STS_URL = f"http://{LOOPBACK}:8080"
_NO_EXPORT = {"AUDIT_EXPORT_S3_BUCKET": "", "AUDIT_EXPORT_S3_ENDPOINT": "", "AUDIT_EXPORT_S3_REGION": ""}
_KEKS: dict[str, dict[str, str]] = {
    ZONE_KEK: {"ZONE_KEK": "zoneKek"},
    SECRET_STORE: {"SECRET_STORE_KEK": "secretStoreKek", "SECRET_STORE_KEK_PREVIOUS": "secretStoreKekPrevious"},
}
# `NAMES` covers all families, in the order of `services`. A service starts even if a secret in `OPTIONAL` is missing.
NAMES = ("audit", "sts", "api", "coordinator", "gateway", "web")
OPTIONAL = frozenset({"secretStoreKekPrevious"})
COMMON = {"CARACAL_MODE": "stable", "CARACAL_ALLOW_INSECURE_CONFIG_URLS": "true"}


def services(family: str) -> tuple[Service, ...]:
    """Return the services in start order. Audit is first, so that its consumer group exists before another service writes events."""
    kek = _KEKS[family]
    provider = {"ZONE_KEK_PROVIDER": "local"} if family == ZONE_KEK else {}
    found = [
        Service(
            "audit",
            9090,
            *_login("audit"),
            {"AUDIT_HMAC_KEY": "auditHmacKey", "AUDIT_ADMIN_TOKEN": AUDIT_ADMIN_TOKEN, **_METRICS},
            {"AUDIT_RETENTION_DAYS": RETENTION_DAYS, **_NO_EXPORT},
        ),
        Service("sts", 8080, *_login("sts"), {**kek, **_HMACS, **_METRICS}, {"ISSUER_URL": _STS_URL, **provider}, replays=True),
        _api(kek),
        _coordinator(family),
        Service(
            "gateway",
            8081,
            *_login("gateway"),
            {**_HMACS, "CARACAL_ADMIN_TOKEN": "caracalAdminToken", **_METRICS},
            {"STS_URL": _STS_URL, "ALLOW_PRIVATE_UPSTREAMS": "true", "UPSTREAM_HOST_ALLOWLIST": LOOPBACK},
            replays=True,
        ),
    ]
    return tuple(found + ([_web()] if family == SECRET_STORE else []))


def _login(name: str) -> tuple[str, str]:
    return f"caracal{name}", f"{name}DbPassword"


def _api(kek: t.Mapping[str, str]) -> Service:
    secrets = {**kek, **_HMACS, "CARACAL_ADMIN_TOKEN": "caracalAdminToken", **_METRICS}
    environment = {
        "STS_URL": _STS_URL,
        "CARACAL_GATEWAY_URL": f"http://{LOOPBACK}:8081",
        "CARACAL_COORDINATOR_URL": f"http://{LOOPBACK}:4000",
        "CARACAL_CONTROL_ENABLED": "false",
        "AUDIT_RETENTION_DAYS": RETENTION_DAYS,
    }
    return Service("api", 3000, *_login("api"), secrets, environment)


def _coordinator(family: str) -> Service:
    secrets = {"STREAMS_HMAC_KEY": "streamsHmacKey", "CARACAL_COORDINATOR_TOKEN": "caracalCoordinatorToken", **_METRICS}
    if family == SECRET_STORE:
        secrets["IDEMPOTENCY_HMAC_KEY"] = "idempotencyHmacKey"
    environment = {"STS_URL": _STS_URL, "ISSUER_URL": _STS_URL, "AGENT_COORDINATOR_SCOPE": "agent:lifecycle"}
    return Service("coordinator", 4000, *_login("coordinator"), secrets, environment)


def _web() -> Service:
    """Return the console, which is optional in a deployment."""
    secrets = {
        "CARACAL_AUTH_SECRET": "caracalAuthSecret",
        "CARACAL_ADMIN_TOKEN": "caracalAdminToken",
        "CARACAL_COORDINATOR_TOKEN": "caracalCoordinatorToken",
    }
    addresses = {"CARACAL_API_URL": f"http://{LOOPBACK}:3000", "CARACAL_COORDINATOR_URL": f"http://{LOOPBACK}:4000"}
    return Service(
        "web",
        3002,
        *_login("auth"),
        secrets,
        addresses,
        database=releases.AUTH_DATABASE,
        database_variable="CARACAL_AUTH_DATABASE_URL",
        required=False,
    )
