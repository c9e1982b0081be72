# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An earlier inventory comes from another host and is untrusted."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._reading import immutable_rows
from scenes.twin_database import TwinCluster

TABLE = immutable_rows.IMMUTABLE[0]
KEY = "00" * 16
RECORDED = {TABLE: {"rows": 2, "digest": "of another copy"}}


def database(**changed: t.Any) -> dict[str, t.Any]:
    """Return an inventory with two rows that are not in the database."""
    marks = {"key": KEY, "tables": {TABLE: {"span": 1, "digests": "11" * 16}}}
    return {"databases": [{"database": "caracal", "tables": RECORDED, "schema": [], "row_marks": marks, **changed}]}


MALFORMED: dict[str, dict[str, t.Any]] = {
    "no databases": {},
    "databases are a number": {"databases": 7},
    "a database is a text": {"databases": ["caracal"]},
    "a database without parts": {"databases": [{"database": "caracal"}]},
    "marks are a list": database(row_marks=[]),
    "marks without tables": database(row_marks={"key": KEY}),
    "marks of no form": database(row_marks={"key": KEY, "tables": {TABLE: {"span": 3, "digests": "x"}}}),
    "a schema of numbers": database(schema=[1, None]),
    "a schema that is a text": database(schema="column"),
}


@pytest.mark.mutation
@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_inventory_proves_nothing(caracal_database: TwinCluster, what: str) -> None:
    for before, after in ((MALFORMED[what], database()), (database(), MALFORMED[what])):
        assert immutable_rows.compare(caracal_database.server, before, after).rewritten == ()


COLUMN = [f"column {TABLE}.more at 99 text "]
UNCOMPARED: dict[str, tuple[dict[str, t.Any], dict[str, t.Any]]] = {
    "the earlier set has no row digests": (database(row_marks=None), database()),
    "more than 1,024 rows": (database(row_marks={"key": KEY, "tables": {TABLE: {"span": 2, "digests": "11" * 16}}}), database()),
    "its columns changed": (database(), database(schema=COLUMN)),
}


@pytest.mark.mutation
@pytest.mark.parametrize("why", UNCOMPARED)
def test_uncompared_table_is_named_with_reason(caracal_database: TwinCluster, why: str) -> None:
    found = immutable_rows.compare(caracal_database.server, *UNCOMPARED[why])
    assert (found.rewritten, found.uncompared) == ((), (f"policy_versions ({why})",))
