# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of each session before its first query, regardless of the settings of the database, its owner or an administrator."""

from __future__ import annotations

# formats.md, Digests: all settings that affect the text of a row are set before any row is read.
SETTINGS = {
    "caracal.zone_id": "*",
    "row_security": "off",
    "search_path": "",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "3",
    "client_encoding": "UTF8",
    "lock_timeout": "30s",
}

# This is part of the start-up packet, so it applies before the first statement and overrides settings of a role or database.
# With another search path, the owner of a database could replace the operators and functions that the queries use, and their
# code would run with the privileges of this login.
STARTUP = "-c search_path="

# A server that waits for a lock, or computes, takes long to notice that its client was killed. With this setting it checks.
CLIENT_CHECK = "client_connection_check_interval"
CLIENT_CHECK_EVERY = "1s"

# A view or foreign table could replace a table between the catalog query and the read. Its code would run with the privileges
# of this login.
RESTRICTION = "restrict_nonsystem_relation_kind"
RESTRICTED = "view, foreign-table"


def opening() -> str:
    """Return the first statement of a session. It prevents views from running code, and disables timeouts.

    Timeouts that an administrator sets for services would end a long read, or the idle session that marks a running backup. The
    statement asks the server which settings exist, since older major versions lack some. It is a block because psql would print
    the rows of a query.
    """
    values = {
        RESTRICTION: RESTRICTED,
        CLIENT_CHECK: CLIENT_CHECK_EVERY,
        "statement_timeout": "0",
        "transaction_timeout": "0",
        "idle_session_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
    }
    chosen = " ".join(f"WHEN '{name}' THEN '{value}'" for name, value in values.items())
    names = ", ".join(f"'{name}'" for name in values)
    return f"""DO $$ BEGIN
        PERFORM pg_catalog.set_config(name, CASE name {chosen} END, false) FROM pg_catalog.pg_settings WHERE name IN ({names});
        END $$"""


# If a query uses a column of such a type, it would call this function, through an explicit cast or one that the server selects.
STRANGE_CAST = """
    SELECT pg_catalog.format('%s AS %s', pg_catalog.format_type(c.castsource, NULL), pg_catalog.format_type(c.casttarget, NULL)),
           pg_catalog.pg_get_userbyid(f.proowner)
      FROM pg_catalog.pg_cast c
      JOIN pg_catalog.pg_proc f ON f.oid OPERATOR(pg_catalog.=) c.castfunc
      JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) f.proowner
     WHERE NOT r.rolsuper AND r.rolname OPERATOR(pg_catalog.<>) CURRENT_USER
     ORDER BY 1 LIMIT 1"""
