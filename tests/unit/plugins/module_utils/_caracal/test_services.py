# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import services
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.releases import SECRET_STORE, ZONE_KEK
from twin import keys
from twin.releases.known import RELEASES

FAMILIES = pytest.mark.parametrize("family", [ZONE_KEK, SECRET_STORE])
SECRET_WORDS = ("KEY", "KEK", "TOKEN", "SECRET", "PASSWORD", "BEARER", "DATABASE_URL", "REDIS_URL")


@FAMILIES
def test_services_start_in_an_order_that_loses_no_event(family: str) -> None:
    """The reader of audit events starts before their writers, the STS before its clients, and the Gateway last."""
    found = [service.name for service in services.services(family)]
    assert found == ["audit", "sts", "api", "coordinator", "gateway"] + (["web"] if family == SECRET_STORE else [])
    assert [service.name for service in services.services(family) if not service.required] == found[5:]


@FAMILIES
def test_no_environment_holds_a_secret(family: str) -> None:
    for service in services.services(family):
        shown = {**services.COMMON, **service.environment}
        assert [name for name in shown if name.endswith(SECRET_WORDS)] == []
        assert not service.environment.keys() & service.secrets.keys()


@FAMILIES
def test_every_secret_is_from_the_deployment_or_the_drill(family: str) -> None:
    release = next(one for one in RELEASES.values() if one.family == family)
    held = {*keys.for_seed(1).as_files(release.family), *services.MADE, *services.OPTIONAL, "caracalAuthSecret"}
    for service in services.services(family):
        assert set(service.secrets.values()) <= held
        assert family == ZONE_KEK or service.password in held


@FAMILIES
def test_addresses_are_on_the_loopback_and_agree(family: str) -> None:
    found = {service.name: service for service in services.services(family)}
    assert len({service.port for service in found.values()}) == len(found)
    assert {name: service.url for name, service in found.items() if name == "sts"} == {"sts": "http://127.0.0.1:8080"}
    for service in found.values():
        addresses = {name: value for name, value in service.environment.items() if "://" in value}
        assert set(addresses.values()) <= {other.url for other in found.values()}
        if "STS_URL" in addresses:
            assert addresses["STS_URL"] == found["sts"].url
    assert found["gateway"].environment["UPSTREAM_HOST_ALLOWLIST"] == "127.0.0.1"


@FAMILIES
def test_nothing_is_exported_or_dropped(family: str) -> None:
    audit = services.services(family)[0]
    assert {name: value for name, value in audit.environment.items() if "S3" in name}.keys() >= {"AUDIT_EXPORT_S3_BUCKET"}
    assert {value for name, value in audit.environment.items() if "S3" in name} == {""}
    assert int(audit.environment["AUDIT_RETENTION_DAYS"]) >= 36500


def test_each_family_has_its_own_key() -> None:
    by_family = {family: services.services(family)[1].secrets for family in (ZONE_KEK, SECRET_STORE)}
    assert by_family[ZONE_KEK]["ZONE_KEK"] == "zoneKek" and "SECRET_STORE_KEK" not in by_family[ZONE_KEK]
    assert by_family[SECRET_STORE]["SECRET_STORE_KEK"] == "secretStoreKek" and "ZONE_KEK" not in by_family[SECRET_STORE]
