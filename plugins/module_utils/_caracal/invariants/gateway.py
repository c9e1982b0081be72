# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data by which the Gateway routes: bindings and their revision in the older family, resources and their providers in the newer one."""

from __future__ import annotations

from ..._report.check import FAIL, WARN
from ..keys.sealed_columns import PROVIDERS
from ..releases import SECRET_STORE
from .rule import Invariant

_BINDINGS = "public.gateway_resource_bindings"
_REVISION = "public.gateway_binding_revision"
# When an AI provider of the console is removed, it is archived. The API keeps its resource, without a grant, in the
# product's own zone.
_LEFT = """ AND NOT (r.identifier LIKE 'caracal-sys://operator-llm-%'
                     AND EXISTS (SELECT FROM public.zones z WHERE z.id = r.zone_id AND z.slug LIKE 'caracal-sys-%')
                     AND EXISTS (SELECT FROM public.providers q WHERE q.id = r.credential_provider_id AND q.zone_id = r.zone_id))"""
# The API saves resources without an upstream only for the product's own control resources, which need no credential.
_ROUTED = """public.resources r JOIN public.providers p ON p.id = r.credential_provider_id AND p.zone_id = r.zone_id
    WHERE r.archived_at IS NULL AND p.provider_kind <> 'none'"""
_AGAIN = "the Gateway cannot route to the resource; save it again through the API"


def of(family: str) -> tuple[Invariant, ...]:
    return _both(family) if family == SECRET_STORE else (*_both(family), *_BOUND)


def _both(family: str) -> tuple[Invariant, ...]:
    providers, left = f"({PROVIDERS[family].rows})", _LEFT if family == SECRET_STORE else ""
    return (
        Invariant(
            "gateway_bindings.provider_live", "live resources", "have no live provider in their zone",
            "the Gateway cannot reach these resources; assign a provider through the API", "public.resources WHERE archived_at IS NULL",
            f"""SELECT r.id FROM public.resources r
                 LEFT JOIN public.providers p ON p.id = r.credential_provider_id AND p.zone_id = r.zone_id AND p.archived_at IS NULL
                WHERE r.archived_at IS NULL AND p.id IS NULL{left}"""),
        # The newer family may store the values in an external secret backend.
        Invariant(
            "gateway_bindings.provider_secret", "live providers with secret values", "have no sealed value in this database",
            "the values are lost unless an external secret backend has them; enter each provider's credential again",
            f"{providers} o", f"SELECT o.id FROM {providers} o WHERE NOT o.held", severity=WARN if family == SECRET_STORE else FAIL),
        Invariant(
            "gateway_bindings.some_upstream", "deployments with resources that need a credential", "have no upstream for any of them",
            "the Gateway cannot route any request; restore another set, or save the resources again through the API",
            f"(SELECT FROM {_ROUTED} LIMIT 1) d",
            f"""SELECT 'resources' FROM (SELECT FROM {_ROUTED} LIMIT 1) d
                 WHERE NOT EXISTS (SELECT FROM {_ROUTED} AND r.upstream_url IS NOT NULL)"""),
    )  # fmt: skip


_ONCE_BOUND = (
    f"""(SELECT FROM {_ROUTED} AND r.upstream_url IS NOT NULL AND EXISTS (SELECT FROM {_REVISION} v WHERE v.version > 1) LIMIT 1)"""
)
_BOUND = (
    Invariant(
        "gateway_bindings.application", "gateway bindings", "name an application that does not exist in the zone or is archived", _AGAIN,
        _BINDINGS,
        f"""SELECT b.zone_id || ' ' || b.resource_identifier FROM {_BINDINGS} b WHERE NOT EXISTS (
              SELECT FROM public.applications a WHERE a.zone_id = b.zone_id AND a.id = b.application_id AND a.archived_at IS NULL)"""),
    Invariant(
        "gateway_bindings.resource", "gateway bindings", "name a resource that does not exist in the zone or is archived",
        "the Gateway routes to a removed resource; archive it again through the API", _BINDINGS,
        f"""SELECT b.zone_id || ' ' || b.resource_identifier FROM {_BINDINGS} b WHERE NOT EXISTS (
              SELECT FROM public.resources r
               WHERE r.zone_id = b.zone_id AND r.identifier = b.resource_identifier AND r.archived_at IS NULL)"""),
    Invariant(
        "gateway_bindings.bound", "live resources with an upstream", "have no binding", _AGAIN,
        "public.resources WHERE archived_at IS NULL AND upstream_url IS NOT NULL",
        f"""SELECT r.id FROM public.resources r WHERE r.archived_at IS NULL AND r.upstream_url IS NOT NULL AND NOT EXISTS (
              SELECT FROM {_BINDINGS} b WHERE b.zone_id = r.zone_id AND b.resource_identifier = r.identifier)""", severity=WARN),
    # A revision above its first value proves that there were bindings.
    Invariant(
        "gateway_bindings.some_bound", "deployments with earlier bindings and with upstreams", "have no binding of a live resource",
        "the Gateway cannot route any request; restore another set, or save the resources again through the API", f"{_ONCE_BOUND} d",
        f"""SELECT 'gateway_resource_bindings' FROM {_ONCE_BOUND} d WHERE NOT EXISTS (
              SELECT FROM {_BINDINGS} b JOIN public.resources r ON r.zone_id = b.zone_id AND r.identifier = b.resource_identifier
               WHERE r.archived_at IS NULL)"""),
    Invariant(
        "gateway_bindings.revision", "binding revisions of the Gateway", "are missing, duplicated or below 1",
        "no Gateway becomes ready; insert one row into gateway_binding_revision with a version above all earlier ones", "(VALUES (1)) v",
        f"""SELECT 'gateway_binding_revision' WHERE 1 <> (SELECT count(*) FROM {_REVISION}) OR EXISTS (
              SELECT FROM {_REVISION} WHERE version < 1)"""),
    Invariant(
        "gateway_bindings.revision_current", "gateway bindings", "are newer than the binding revision",
        "running Gateways keep stale bindings; increase version in gateway_binding_revision, or restart every Gateway", _BINDINGS,
        f"""SELECT b.zone_id || ' ' || b.resource_identifier FROM {_BINDINGS} b
             WHERE greatest(b.created_at, b.updated_at) > (SELECT max(updated_at) FROM {_REVISION})"""),
)  # fmt: skip
