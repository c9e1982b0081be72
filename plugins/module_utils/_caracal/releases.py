# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Caracal release of a database. Family and release are read from the database and recorded, never guessed.

Three different files have the name `0001_baseline`, so migrations alone identify nothing. The family is determined by
tables that only one family has.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import VersionMismatch

SECRET_STORE = "secret_store"
ZONE_KEK = "zone_kek"

OWN_DATABASE = "caracal"
AUTH_DATABASE = "caracal_auth"
KNOWN_DATABASES = (OWN_DATABASE, AUTH_DATABASE)

# A table that exists in every release of one family and in no release of the other.
FAMILY_MARKS = {SECRET_STORE: "secret_store", ZONE_KEK: "provider_grants"}


@dataclasses.dataclass(frozen=True)
class Release:
    """A release: its family, its migrations in order, and its databases."""

    name: str
    family: str
    migrations: tuple[str, ...]
    databases: tuple[str, ...]


# 2026-06-04 is the commit of the documentation page that this collection implements. v2026.06.21 continues its
# migrations unchanged.
_JUNE_4 = (
    "0001_init",
    "0002_roles",
    "0003_audit_hash",
    "0004_grant_version",
    "0005_delegation_edges",
    "0006_agent_services_outbox",
    "0007_agent_invocations",
    "0008_domain_integrity",
    "0009_api_hardening",
    "0010_tenant_fks_archive",
    "0011_audit_hardening",
    "0012_sts_hardening",
    "0013_provider_secret_config",
    "0014_gateway_bindings",
    "0015_gateway_binding_appid",
    "0016_rls_zones",
    "0017_agent_sessions_updated_at",
    "0018_agent_sessions_subject_session_id",
    "0019_providers_provider_kind",
    "0020_step_up_approver",
    "0021_rls_zones_failclosed",
    "0022_gateway_binding_zone_key",
    "0023_agent_session_kind",
    "0024_agent_session_lease",
    "0025_admin_token_argon2",
    "0026_gateway_binding_revision",
    "0027_zone_surface_cleanup",
    "0028_application_surface_cleanup",
    "0029_application_internal_cleanup",
    "0030_dcr_identity_hardening",
    "0031_dcr_shutdown_flow",
    "0032_provider_surface_cleanup",
    "0033_resource_surface_cleanup",
    "0034_provider_grants",
    "0035_provider_caracal_mandate",
    "0036_provider_none_required_resources",
    "0037_provider_grant_active_unique",
    "0038_provider_identifier_unique",
    "0039_coordinator_resource_authority",
    "0040_delegation_parent_edge",
    "0041_drop_teams_invitations",
)
_JUNE_21 = (
    *_JUNE_4,
    "0042_rename_agent_session_labels",
    "0043_audit_agent_index",
    "0044_agent_session_lifecycle",
    "0045_admin_audit_chain",
    "0046_agent_session_idempotency",
    "0047_audit_chain_rehash",
)

RELEASES = (
    Release("2026-06-04", ZONE_KEK, _JUNE_4, ("caracal",)),
    Release("v2026.06.21", ZONE_KEK, _JUNE_21, ("caracal",)),
    Release("v2026.06.25-rc.1", ZONE_KEK, ("0001_baseline", "0002_resource_operations"), ("caracal", "caracal_auth")),
    Release("v0.1.0", SECRET_STORE, ("0001_baseline",), ("caracal", "caracal_auth")),
    Release("v0.2.1", SECRET_STORE, ("0001_baseline", "0002_approval_hardening"), ("caracal", "caracal_auth")),
    Release(
        "v1.0.0", SECRET_STORE, ("0001_baseline", "0002_approval_hardening", "0003_operator_run_token_usage"), ("caracal", "caracal_auth")
    ),
)


@dataclasses.dataclass(frozen=True)
class Detected:
    """The family and release found in a database. `release` is None if no known release has its migrations."""

    family: str
    release: str | None
    migrations: tuple[str, ...]


def detect(tables: t.Collection[str], migrations: t.Sequence[str]) -> Detected:
    """Return family and release from the table names in schema public and the versions in schema_migrations.

    Raises VersionMismatch if the database belongs to neither family. Both families may have the same migrations.
    """
    families = [family for family, mark in FAMILY_MARKS.items() if mark in tables]
    if len(families) != 1 or "schema_migrations" not in tables:
        raise VersionMismatch(
            "this is not a Caracal database: it does not have the tables of one release family; correct the database name"
        )
    known = tuple(sorted(migrations))
    for release in RELEASES:
        if release.family == families[0] and release.migrations == known:
            return Detected(families[0], release.name, known)
    return Detected(families[0], None, known)


def databases(detected: Detected, existing: t.Collection[str]) -> list[str]:
    """Return the databases of a deployment of this release, Caracal's own first. If the release is unknown, return those that exist."""
    for release in RELEASES:
        if (release.name, release.family) == (detected.release, detected.family):
            return list(release.databases)
    return [OWN_DATABASE, *(name for name in (AUTH_DATABASE,) if name in existing)]
