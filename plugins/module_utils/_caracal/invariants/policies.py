# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policy activation: the policies that the STS enforces in each zone, and whether their texts match the approved digests."""

from __future__ import annotations

from ..._report.check import FAIL, WARN
from ..releases import SECRET_STORE
from .rule import Invariant

_BINDINGS = "public.policy_set_bindings"
_ACTIVE = f"{_BINDINGS} WHERE active_version_id IS NOT NULL"
_VERSIONS = "public.policy_set_versions"
# A manifest that is not a list names no policies. Its digest reveals the change.
_ENTRIES = """jsonb_array_elements(CASE jsonb_typeof(v.manifest_json) WHEN 'array' THEN v.manifest_json ELSE '[]' END)
              WITH ORDINALITY e(entry, place)"""
# The API reserves this slug for the product's own zones. They have a policy only after an administrator has allowed the
# Operator to act there.
_LIVE = "archived_at IS NULL AND slug NOT LIKE 'caracal-sys-%'"
_NAMED = f"{_VERSIONS} v CROSS JOIN {_ENTRIES} LEFT JOIN public.policy_versions p ON p.id = e.entry ->> 'policy_version_id'"
_ACTIVATE = "activate the correct version: POST /v1/zones/{zone}/policy-sets/{id}/activate at the API"
_RENEW = "the text differs from the approved text; create a new version and activate it"


def of(family: str) -> tuple[Invariant, ...]:
    """Return the rules of a family.

    In the older family only the next activation of the same set ends an activation. So several active sets are normal
    there.
    """
    leftover = FAIL if family == SECRET_STORE else WARN
    return (
        Invariant(
            "policy_activation.version_exists", "active policy bindings", "name a version that does not exist", _ACTIVATE, _ACTIVE,
            f"""SELECT b.policy_set_id FROM {_BINDINGS} b WHERE b.active_version_id IS NOT NULL
                   AND NOT EXISTS (SELECT FROM {_VERSIONS} v WHERE v.id = b.active_version_id)"""),
        Invariant(
            "policy_activation.version_of_set", "active policy bindings", "name a version of another policy set", _ACTIVATE, _ACTIVE,
            f"""SELECT b.policy_set_id FROM {_BINDINGS} b JOIN {_VERSIONS} v ON v.id = b.active_version_id
                 WHERE v.policy_set_id <> b.policy_set_id"""),
        Invariant(
            "policy_activation.set_of_zone", "policy bindings", "name a policy set that does not exist in the zone",
            "a zone must not enforce another zone's policies; bind its own policy set", _BINDINGS,
            f"""SELECT b.policy_set_id FROM {_BINDINGS} b LEFT JOIN public.policy_sets s ON s.id = b.policy_set_id
                 WHERE s.zone_id IS DISTINCT FROM b.zone_id"""),
        Invariant(
            "policy_activation.active_set_live", "active policy bindings", "belong to an archived policy set",
            "the STS may enforce an archived policy set; activate the correct one", _ACTIVE,
            f"""SELECT b.policy_set_id FROM {_BINDINGS} b JOIN public.policy_sets s ON s.id = b.policy_set_id
                 WHERE b.active_version_id IS NOT NULL AND s.archived_at IS NOT NULL""", severity=leftover),
        Invariant(
            "policy_activation.one_active_set", "zones with an active policy set", "have more than one",
            "the choice of the STS is not defined; activate the correct one, and archive the others",
            f"(SELECT DISTINCT zone_id FROM {_ACTIVE}) z",
            f"SELECT zone_id FROM {_ACTIVE} GROUP BY 1 HAVING count(*) > 1", severity=leftover),
        Invariant(
            "policy_activation.set_has_binding", "live policy sets", "have no binding and cannot be activated",
            "create the policy set again through the API", "public.policy_sets WHERE archived_at IS NULL",
            f"""SELECT s.id FROM public.policy_sets s WHERE s.archived_at IS NULL
                   AND NOT EXISTS (SELECT FROM {_BINDINGS} b WHERE b.policy_set_id = s.id AND b.zone_id = s.zone_id)"""),
        Invariant(
            "policy_activation.zone_has_active_set", "live zones", "have no active policy set",
            "these zones deny all requests; if this is not intended, activate a policy set", f"public.zones WHERE {_LIVE}",
            f"""SELECT z.id FROM public.zones z WHERE {_LIVE}
                   AND NOT EXISTS (SELECT FROM {_BINDINGS} b WHERE b.zone_id = z.id AND b.active_version_id IS NOT NULL)""",
            severity=WARN),
        *_MANIFESTS,
    )  # fmt: skip


_MANIFESTS = (
    Invariant(
        "policy_activation.manifest_known", "versions of policy sets", "name a policy version that does not exist",
        "the STS cannot load such a version; activate another one", _VERSIONS,
        f"SELECT DISTINCT v.id FROM {_NAMED} WHERE p.id IS NULL"),
    Invariant(
        "policy_activation.manifest_zone", "versions of policy sets", "name a policy of another zone",
        "a zone must not enforce another zone's policies; create a new version of the policy set", _VERSIONS,
        f"""SELECT DISTINCT v.id FROM {_NAMED} JOIN public.policies o ON o.id = p.policy_id
              JOIN public.policy_sets s ON s.id = v.policy_set_id WHERE o.zone_id <> s.zone_id"""),
    Invariant(
        "policy_activation.manifest_distinct", "versions of policy sets", "name a policy version twice",
        "create a new version of the policy set", _VERSIONS,
        f"SELECT v.id FROM {_VERSIONS} v CROSS JOIN {_ENTRIES} GROUP BY v.id HAVING count(*) > count(DISTINCT e.entry)"),
    Invariant(
        "policy_activation.manifest_schema", "versions of policy sets", "name policies of another schema version",
        "the STS refuses mixed schema versions; create a new version of the policy set", _VERSIONS,
        f"SELECT DISTINCT v.id FROM {_NAMED} WHERE p.schema_version <> v.schema_version"),
    Invariant(
        "policy_activation.manifest_digest", "versions of policy sets", "have a manifest that does not match the recorded digest", _RENEW,
        _VERSIONS,
        f"""SELECT v.id FROM {_VERSIONS} v WHERE v.manifest_sha256 IS DISTINCT FROM encode(sha256(convert_to((
              SELECT '[' || coalesce(string_agg('{{"policy_version_id":' || (e.entry -> 'policy_version_id')::text || '}}', ','
                                                ORDER BY e.place), '') || ']' FROM {_ENTRIES}), 'UTF8')), 'hex')"""),
    Invariant(
        "policy_activation.content_digest", "policy versions", "have a text that does not match the recorded digest", _RENEW,
        "public.policy_versions",
        """SELECT id FROM public.policy_versions WHERE content_sha256 <> encode(sha256(convert_to(content, 'UTF8')), 'hex')"""),
    Invariant(
        "policy_activation.versions_whole", "policy sets with versions", "lack a version between the first and the last",
        "active versions are not affected; the missing version cannot be activated again",
        f"(SELECT DISTINCT policy_set_id FROM {_VERSIONS}) s",
        f"SELECT policy_set_id FROM {_VERSIONS} GROUP BY 1 HAVING min(version) <> 1 OR max(version) <> count(*)", severity=WARN),
)  # fmt: skip
