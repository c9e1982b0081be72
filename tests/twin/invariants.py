# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Invariants of every healthy database of a release, as queries that list the violating rows.

These are the twin's own tests. They verify the generator, and do not define what a backup checks.
"""

from __future__ import annotations

import re
import typing as t

from .facts import ZONE_KEK
from .releases.known import RELEASES
from .rules import secret_store, zone_kek
from .spec import Spec

FOREIGN_KEYS = """
SELECT k.conname,
       format('SELECT 1 FROM %s c WHERE %s', k.conrelid::regclass, string_agg(format('c.%I IS NOT NULL', a.attname), ' AND ')),
       format(' AND NOT EXISTS (SELECT FROM %s p WHERE %s)', k.confrelid::regclass,
              string_agg(format('p.%I = c.%I', b.attname, a.attname), ' AND '))
  FROM pg_constraint k CROSS JOIN LATERAL unnest(k.conkey, k.confkey) AS u(child, parent)
  JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.child
  JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.parent
 WHERE k.contype = 'f' AND k.conparentid = 0 GROUP BY k.oid, k.conname, k.conrelid, k.confrelid
"""
PLACES = ("public", "pg_catalog")


def of(release: str = Spec.release) -> dict[str, str]:
    """Return the invariants of a release by name."""
    facts = RELEASES[release]
    return zone_kek.rules(facts) if facts.family == ZONE_KEK else secret_store.RULES


def violations(connection: t.Any, release: str = Spec.release) -> dict[str, int]:
    """Return the number of violating rows of each violated invariant. Runs in the connection's transaction."""
    with connection.cursor() as cursor:
        return _counts(cursor, of(release).items())


def orphans(connection: t.Any) -> dict[str, int]:
    """Return the rows without a parent for each foreign key that has some, found by query, because constraints may have been bypassed."""
    with connection.cursor() as cursor:
        cursor.execute(FOREIGN_KEYS)
        return _counts(cursor, [(name, children + without_parent) for name, children, without_parent in cursor.fetchall()])


def examined(connection: t.Any, release: str = Spec.release) -> dict[str, dict[str, int]]:
    """Return the number of rows that each invariant and each foreign key reads, because anything is true of an empty table."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'S', 'v') AND relnamespace::regnamespace::text IN (%s, %s)", PLACES
        )
        names = {name for (name,) in cursor.fetchall()}
        read = {rule: sorted(names & set(re.findall(r"\w+", query))) for rule, query in of(release).items()}
        rows = {name: _count(cursor, f'SELECT 1 FROM "{name}"') for name in {name for found in read.values() for name in found}}
        counts = {rule: {name: rows[name] for name in found} for rule, found in read.items()}
        cursor.execute(FOREIGN_KEYS)
        return {**counts, **{name: {"children": _count(cursor, children)} for name, children, _without_parent in cursor.fetchall()}}


def _counts(cursor: t.Any, queries: t.Iterable[tuple[str, str]]) -> dict[str, int]:
    found = {name: _count(cursor, query) for name, query in queries}
    return {name: count for name, count in found.items() if count}


def _count(cursor: t.Any, query: str) -> int:
    cursor.execute(f"SELECT count(*) FROM ({query}) q")
    return int(cursor.fetchone()[0])
