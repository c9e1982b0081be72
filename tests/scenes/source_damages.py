# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Damage of a source that ordinary statements of a user cannot cause."""

from __future__ import annotations

FREELY = "SET session_replication_role = replica"
ORPHAN = "UPDATE public.delegated_grants SET zone_id = 'gone' WHERE id = (SELECT min(id) FROM public.delegated_grants)"


def duplicated(table: str, key: str, *also: str) -> list[str]:
    """Duplicate one row despite the unique index `key` and others, which do not contain the second row."""
    names = ", ".join(f"'public.{name}'::pg_catalog.regclass" for name in (key, *also))
    deaf = f"UPDATE pg_catalog.pg_index SET indisready = %s WHERE indexrelid IN ({names})"
    again = f"INSERT INTO public.{table} SELECT * FROM public.{table} WHERE ctid = (SELECT min(ctid) FROM public.{table})"
    return [deaf % "false", again, deaf % "true"]


def reversed_index(name: str) -> str:
    """Reverse the order of an index, so that it contradicts its definition, as after a library's new release."""
    return f"UPDATE pg_catalog.pg_index SET indoption = '3' WHERE indexrelid = 'public.{name}'::pg_catalog.regclass"


# For the database: its collation has the version of another library.
OLD_LIBRARY = """
    UPDATE pg_catalog.pg_database SET datlocprovider = 'b', datlocale = 'C.UTF-8', datcollversion = '0'
     WHERE datname = pg_catalog.current_database()"""


def of_old_library(table: str, column: str) -> list[str]:
    """Record the old library's version for the collation of one column."""
    return [
        "CREATE COLLATION public.older (provider = builtin, locale = 'C.UTF-8', version = '0')",
        f"ALTER TABLE public.{table} ALTER COLUMN {column} TYPE text COLLATE public.older",
    ]
