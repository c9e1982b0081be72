# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds in a session of ours before its first query, whatever the database, its owner or an administrator has set."""

from __future__ import annotations

# formats.md, Digests: what every row's text depends on is set before any row is read.
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

# In the start-up packet, so that it holds before the first statement and over any setting of a role or database. With another path
# the owner of a database could put operators and functions of theirs in the place of those that we mean, and they would run as our login.
STARTUP = "-c search_path="

# A server that waits for a lock, or works, would not notice for long that its client was killed. This setting makes it look.
CLIENT_CHECK = "client_connection_check_interval"
CLIENT_CHECK_EVERY = "1s"

# A view or foreign table that takes the place of a table between our looking and our reading would run its code as our login.
RESTRICTION = "restrict_nonsystem_relation_kind"
RESTRICTED = "view, foreign-table"


def opening() -> str:
    """The first statement of a session: nothing runs the code of a view, and no limit ends us.

    Limits that an administrator sets for services would end a long reading, or the idle session that says that we are here.
    Asked of the server, since older majors do not know all of them; a block, since it returns no rows that psql would print.
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


# A query of ours on a column of such a type would call it, by a cast that it names or by one that the server finds fitting.
STRANGE_CAST = """
    SELECT pg_catalog.format('%s AS %s', pg_catalog.format_type(c.castsource, NULL), pg_catalog.format_type(c.casttarget, NULL)),
           pg_catalog.pg_get_userbyid(f.proowner)
      FROM pg_catalog.pg_cast c
      JOIN pg_catalog.pg_proc f ON f.oid OPERATOR(pg_catalog.=) c.castfunc
      JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) f.proowner
     WHERE NOT r.rolsuper AND r.rolname OPERATOR(pg_catalog.<>) CURRENT_USER
     ORDER BY 1 LIMIT 1"""
