# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import releases
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.releases import Detected
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import VersionMismatch
from twin.releases.known import RELEASES

V1 = RELEASES["v1.0.0"]


@pytest.mark.parametrize("name", RELEASES)
def test_detects_the_release_of_each_twin(name: str) -> None:
    release = RELEASES[name]
    found = releases.detect(release.databases[0].tables, list(reversed(release.migrations)))
    assert found == Detected(release.family, name, tuple(sorted(release.migrations)))


@pytest.mark.parametrize("migrations", [[], ["0002_approval_hardening"], [*V1.migrations, "0004_new"]])
def test_other_migrations_are_of_an_unknown_release(migrations: list[str]) -> None:
    assert releases.detect(V1.databases[0].tables, migrations) == Detected("secret_store", None, tuple(migrations))


def test_the_other_family_is_known_by_its_own_tables() -> None:
    assert releases.detect(["schema_migrations", "provider_grants", "zones"], ["0001_baseline"]).family == "zone_kek"


@pytest.mark.mutation
@pytest.mark.parametrize(
    "tables",
    [[], ["schema_migrations"], ["secret_store"], ["schema_migrations", "secret_store", "provider_grants"], V1.databases[1].tables],
)
def test_a_database_of_neither_family_is_refused(tables: list[str]) -> None:
    with pytest.raises(
        VersionMismatch,
        match=r"^this is not a Caracal database: it does not have the tables of one release family; correct the database name$",
    ):
        releases.detect(tables, V1.migrations)


@pytest.mark.parametrize("name", RELEASES)
def test_a_release_names_its_databases(name: str) -> None:
    release = RELEASES[name]
    detected = Detected(release.family, name, release.migrations)
    assert releases.databases(detected, []) == [database.name for database in release.databases]


def test_unknown_release_uses_the_existing_databases() -> None:
    unknown = Detected("secret_store", None, ())
    assert releases.databases(unknown, ["postgres", "caracal_auth", "caracal"]) == ["caracal", "caracal_auth"]
    assert releases.databases(unknown, ["postgres", "caracal"]) == ["caracal"]
