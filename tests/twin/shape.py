# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows are made in the names of v1.0.0; this is how they come into another release's."""

from __future__ import annotations

import typing as t

from .facts import Database, Names, column_names

Row = dict[str, t.Any]


class Shape:
    """The tables and columns of one database of a release. What the release does not have is left out."""

    def __init__(self, database: Database, names: Names) -> None:
        self._names = names
        self._columns = {table: frozenset(column_names(facts)) for table, facts in database.tables.items()}

    def table(self, name: str) -> str:
        """What the release calls the table."""
        return self._names.tables.get(name, name)

    def has(self, table: str) -> bool:
        """Whether the release has the table; the name is that of v1.0.0."""
        return self.table(table) in self._columns

    def row(self, table: str, row: t.Mapping[str, t.Any]) -> Row:
        """The row of a table that the release has, in its names and values."""
        names = self._names.columns.get(table, {})
        values = self._names.values.get(table, {})
        known = self._columns[self.table(table)]
        found = ((names.get(column, column), values.get(column, {}), value) for column, value in row.items())
        return {column: _valued(value, other) for column, other, value in found if column in known}

    def rows(self, made: t.Mapping[str, t.Sequence[Row]]) -> dict[str, list[Row]]:
        """All that the release has of what was made, by its own table names."""
        return {self.table(table): [self.row(table, row) for row in rows] for table, rows in made.items() if self.has(table)}


def _valued(value: t.Any, other: t.Mapping[t.Any, t.Any]) -> t.Any:
    """Only tables of few values are looked up, since lists cannot be."""
    return other.get(value, value) if other else value
