# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check every foreign key by query: rows loaded while triggers were disabled violate constraints that still look valid.

This also covers the one reference that no constraint can enforce: from a zone to its owner in the other database.
"""

from __future__ import annotations

import typing as t

from ..._errors import PermissionMissing, StageFailed
from ..inventory.inventory import Reader
from .rule import SHOWN, Rule, Seen, rows

OWNERS = Rule(
    "foreign_keys.zone_owners",
    "owners of zones",
    "have no account in caracal_auth",
    "no account can manage these zones in the console; restore a set with two matching databases",
)
OWNED_ZONES = "SELECT DISTINCT owner_account_id FROM public.zones WHERE owner_account_id IS NOT NULL"
ACCOUNTS = 'SELECT id FROM public."user"'

# MATCH SIMPLE ignores a row with any NULL in the key. MATCH FULL ignores only a row with all NULLs. Keys of the audit
# log are skipped, because the query would read the whole log.
_KEYS = """
    SELECT k.conname, format('%I.%I', cn.nspname, c.relname),
           format('SELECT count(*) FROM %I.%I c WHERE (%s) AND NOT EXISTS (SELECT FROM %I.%I p WHERE %s)', cn.nspname, c.relname,
                  string_agg(format('c.%I IS NOT NULL', ca.attname), CASE k.confmatchtype WHEN 'f' THEN ' OR ' ELSE ' AND ' END),
                  pn.nspname, p.relname, string_agg(format('p.%I = c.%I', pa.attname, ca.attname), ' AND ')),
           bool_or('audit_events' IN (c.relname, p.relname) OR c.relispartition OR p.relispartition)
      FROM pg_catalog.pg_constraint k
      JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace
      JOIN pg_catalog.pg_class p ON p.oid = k.confrelid JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
     CROSS JOIN LATERAL unnest(k.conkey, k.confkey) u(child, parent)
      JOIN pg_catalog.pg_attribute ca ON ca.attrelid = c.oid AND ca.attnum = u.child
      JOIN pg_catalog.pg_attribute pa ON pa.attrelid = p.oid AND pa.attnum = u.parent
     WHERE k.contype = 'f' AND k.conparentid = 0
     GROUP BY k.oid, k.conname, k.confmatchtype, cn.nspname, c.relname, pn.nspname, p.relname ORDER BY 2, 1"""


def rule(database: str) -> Rule:
    """Return the rule for one database."""
    return Rule(
        f"foreign_keys.{database}",
        "foreign keys",
        "have rows that reference a missing row",
        "rows were lost, or loaded while constraints were disabled; restore another set",
    )


def look(reader: Reader, recorded: t.Sequence[str]) -> Seen:
    """Check every key again. `recorded` is the schema list of the signed inventory, which contains the expected keys."""
    wanted = sum(line.startswith("constraint ") and " FOREIGN KEY " in line for line in recorded)
    keys, broken, unread = list[tuple[t.Any, ...]](), [], []
    try:
        keys = rows(reader, _KEYS)
        for name, table, query, of_audit in keys:
            if of_audit:
                unread.append(name)
            elif orphans := rows(reader, query)[0][0]:
                broken.append(f"{name} ({orphans} row(s) of {table})")
    except (StageFailed, PermissionMissing) as exc:
        return Seen(len(keys), len(broken), tuple(broken[:SHOWN]), exc.msg)
    problem = f"{unread[0]} belongs to the audit log and was not checked" if unread else ""
    if len(keys) != wanted:
        problem = f"the copy has {len(keys)}, but the set records {wanted}"
    return Seen(len(keys), len(broken), tuple(broken[:SHOWN]), problem, confirmed=not wanted)


def owners(zones: Reader, accounts: Reader, confirmed: bool) -> Seen:
    """Check that `caracal_auth` has an account for each owner. `confirmed` is True if `zones` has exactly the rows in the
    signed inventory.
    """
    try:
        named = {row[0] for row in rows(zones, OWNED_ZONES)}
        lost = sorted(named - {row[0] for row in rows(accounts, ACCOUNTS)})
    except (StageFailed, PermissionMissing) as exc:
        return Seen(problem=exc.msg)
    return Seen(len(named), len(lost), tuple(lost[:SHOWN]), confirmed=confirmed)
