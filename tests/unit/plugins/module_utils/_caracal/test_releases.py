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


def test_the_twin_is_the_release_that_it_says() -> None:
    found = releases.detect(V1.databases[0].tables, list(reversed(V1.migrations)))
    assert found == Detected(V1.family, "v1.0.0", tuple(sorted(V1.migrations)))


@pytest.mark.parametrize("migrations", [[], ["0001_baseline"], [*V1.migrations, "0004_new"]])
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
        VersionMismatch, match=r"^this is no Caracal database: it has the tables of neither family; correct the database name$"
    ):
        releases.detect(tables, V1.migrations)
