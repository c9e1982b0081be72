# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Conversion of rows, which are created with the names of v1.0.0, to the names of another release."""

from __future__ import annotations

import typing as t

from .facts import Database, Names, column_names

Row = dict[str, t.Any]


class Shape:
    """The tables and columns of one database of a release. Others are left out."""

    def __init__(self, database: Database, names: Names) -> None:
        self._names = names
        self._columns = {table: frozenset(column_names(facts)) for table, facts in database.tables.items()}

    def table(self, name: str) -> str:
        """Return the release's name of the table."""
        return self._names.tables.get(name, name)

    def has(self, table: str) -> bool:
        """Return whether the release has the table; the name is the one in v1.0.0."""
        return self.table(table) in self._columns

    def row(self, table: str, row: t.Mapping[str, t.Any]) -> Row:
        """Return the row of a table of the release, with its names and values."""
        names = self._names.columns.get(table, {})
        values = self._names.values.get(table, {})
        known = self._columns[self.table(table)]
        found = ((names.get(column, column), values.get(column, {}), value) for column, value in row.items())
        return {column: _valued(value, other) for column, other, value in found if column in known}

    def rows(self, made: t.Mapping[str, t.Sequence[Row]]) -> dict[str, list[Row]]:
        """Return the rows that the release can have, by its own table names."""
        return {self.table(table): [self.row(table, row) for row in rows] for table, rows in made.items() if self.has(table)}


def _valued(value: t.Any, other: t.Mapping[t.Any, t.Any]) -> t.Any:
    """Convert a value. Only tables with few values have a conversion, and lists are not hashable."""
    return other.get(value, value) if other else value
