# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API's records of requests, for its audit."""

from __future__ import annotations

import itertools
import re
import typing as t

from ..common.admin_audit import AdminAudit
from ..common.http import Request, Response
from ..common.postgres import Release

CHANGES = ("POST", "PUT", "PATCH", "DELETE")
COLLECTIONS = frozenset(
    (
        *("zones", "applications", "workloads", "resources", "providers", "provider-connections", "policies", "policy-sets"),
        *("policy-templates", "grants", "subject-issuers", "subjects", "approvals", "admin-tokens", "operator-conversations"),
    )
)
SECRET_NAMES = frozenset(("client_secret", "api_key", "bearer_token", "private_key", "secret", "password", "token"))
DEPTH = 3
Json = dict[str, t.Any]


def worth_it(request: Request, response: Response) -> bool:
    """Return whether to record the request: every successful change, and every refusal."""
    return request.path.startswith("/v1/") and (response.status >= 400 or request.method in CHANGES)


def write(audit: AdminAudit, release: Release, request: Request, response: Response, body: Json | None) -> None:
    """Write one row about the request; `body` is the body of the request."""
    newer = release.secret_store
    path = request.path if newer else request.url
    made = _made(request, response) if newer else None
    kind, identifier = made or _entity(request.path)
    actor = request.actor
    zone = _zone(request.path) or (identifier if made and kind == "zones" else None)
    payload: Json = {"rls_mode": "control_plane_wildcard", "rls_zone_guc": "*"}
    if newer and response.status < 400:
        payload |= _change(request, body)
    elif not release.admin_chain:
        payload["rls_bypass"] = True
    audit.write(
        {
            "request_id": request.id,
            "actor_id": actor.id if actor else None,
            "actor_name": actor.name if actor else None,
            "actor_scope": actor.scope if actor else None,
            "action": f"{request.method} {path}",
            "method": request.method,
            "path": path,
            "zone_id": zone,
            "entity_type": kind,
            "entity_id": identifier,
            "status_code": response.status,
        },
        payload,
    )


def _zone(path: str) -> str | None:
    found = re.match(r"/v1/zones/([^/?]+)", path)
    return found[1] if found else None


def _entity(path: str) -> tuple[str | None, str | None]:
    """Return the innermost collection of the path and the part that follows it."""
    parts = [part for part in path.split("/") if part]
    pairs = list(itertools.pairwise(parts))
    return next(((one, after) for one, after in reversed(pairs) if one in COLLECTIONS), (None, None))


def _made(request: Request, response: Response) -> tuple[str | None, str | None] | None:
    collection = request.path.rstrip("/").rpartition("/")[2]
    if request.method != "POST" or response.status != 201 or collection not in COLLECTIONS:
        return None
    return (collection, response.body.get("id")) if isinstance(response.body, dict) else None


def _change(request: Request, body: Json | None) -> Json:
    """Return the kind of change and the names of the changed fields, never a value."""
    fields, secret = _names(body or {}, "", 0)
    parts = [part for part in request.path.split("/") if part]
    last = max((place for place, part in enumerate(parts[:-1]) if part in COLLECTIONS), default=-1)
    verb = parts[last + 2] if last >= 0 and len(parts) > last + 2 and parts[last + 2] not in COLLECTIONS else None
    if request.method == "DELETE":
        kind = "delete"
    elif verb:
        kind = "action"
    else:
        kind = "create" if request.method == "POST" else "secret_rotation" if secret else "update"
    if kind == "update" and not fields:
        return {}
    return {"change_kind": kind, "changed_fields": sorted(fields), **({"secret_rotated": True} if secret else {})}


def _names(value: Json, prefix: str, depth: int) -> tuple[list[str], bool]:
    found: list[str] = []
    secret = False
    for name, inner in value.items():
        path = f"{prefix}.{name}" if prefix else name
        if name.lower() in SECRET_NAMES:
            secret = True
        elif isinstance(inner, dict) and inner and depth < DEPTH:
            below, secret_below = _names(inner, path, depth + 1)
            found += below or ([] if secret_below else [path])
            secret = secret or secret_below
        else:
            found.append(path)
    return found, secret
