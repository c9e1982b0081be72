# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.snapshot import Snapshot
from ansible_collections.caracal_ops.backup.plugins.module_utils._reading import database_layout, differences, reading
from scenes.twin_database import Copier, TwinCluster

SECRET = "person@example.org"
Inventory = dict[str, t.Any]


@pytest.fixture
def database(caracal_database: TwinCluster, caracal_copy: Copier) -> str:
    name = caracal_copy()
    caracal_database.execute(
        "CREATE TABLE public.mine (email text PRIMARY KEY, note text)",
        f"INSERT INTO public.mine VALUES ('{SECRET}', 'a')",
        database=name,
    )
    return name


def read(held: Snapshot, key: bytes = b"") -> Inventory:
    tables = [table for table in database_layout.read(held.session).rest if table.name in ("zones", "mine")]
    found = reading.rest(held.place, tables, key)
    marks = {name: one.to_dict() for name, one in found.marks.items()}
    return {"tables": found.digests, "row_marks": {"key": found.key.hex(), "tables": marks}, "schema_objects": {}}


def located(cluster: TwinCluster, database: str, expected: Inventory) -> differences.Located:
    with Snapshot(cluster.server, database) as held:
        actual = read(held, differences.key_of(expected))
        return differences.locate(held.session, database_layout.read(held.session).rest, expected, actual)


def changed(cluster: TwinCluster, database: str) -> Inventory:
    """Return the inventory from before both tables are changed."""
    with Snapshot(cluster.server, database) as held:
        before = read(held)
    cluster.execute(
        "UPDATE mine SET note = 'b'", "UPDATE zones SET name = 'other' WHERE id = (SELECT min(id) FROM zones)", database=database
    )
    return before


def test_keys_are_shown_of_tables_of_the_product_only(caracal_database: TwinCluster, database: str) -> None:
    before = changed(caracal_database, database)
    [(first,)] = caracal_database.execute("SELECT min(id) FROM zones", database=database)
    rows = located(caracal_database, database, before).rows
    assert first in rows["public.zones"] and rows.keys() == {"public.zones", "public.mine"}
    assert SECRET not in rows["public.mine"]


MALFORMED: dict[str, t.Callable[[Inventory], object]] = {
    "an older set": lambda one: one.pop("row_marks"),
    "no key": lambda one: one["row_marks"].pop("key"),
    "a key that is not hexadecimal": lambda one: one["row_marks"].update(key="zz"),
    "a short key": lambda one: one["row_marks"].update(key="00"),
    "no tables": lambda one: one["row_marks"].pop("tables"),
    "tables that are a list": lambda one: one["row_marks"].update(tables=[1]),
    "no marks of the table": lambda one: one["row_marks"].update(tables={}),
    "marks that are a text": lambda one: one["row_marks"].update(tables={"public.zones": "x", "public.mine": "x"}),
    "marks that are a list": lambda one: one.update(row_marks=[]),
}


@pytest.mark.mutation
def test_malformed_marks_name_nothing(caracal_database: TwinCluster, database: str) -> None:
    before = changed(caracal_database, database)
    for name, damage in MALFORMED.items():
        inventory = copy.deepcopy(before)
        damage(inventory)
        assert located(caracal_database, database, inventory).rows == {}, name


@pytest.mark.parametrize("objects", [None, [], "x"], ids=["absent", "a list", "a text"])
def test_malformed_definitions_name_nothing(caracal_database: TwinCluster, database: str, objects: object) -> None:
    inventory = {**changed(caracal_database, database), "schema_objects": objects}
    assert list(located(caracal_database, database, inventory).objects) == []
