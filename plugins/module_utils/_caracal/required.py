# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Which checks a drill must have made before it may pass, by what its set holds.

A table and not the caller decides: a check that was left out, or declared unimportant, must not make a drill green.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._report.check import PASS, UNPROVEN, Check
from . import releases
from .invariants import table

CHECK_ID = "drill.complete"

# Of every set.
SET = ("journal.chain", "set.signature", "set.objects")
# Of every set with databases.
CLUSTER = ("restore.release", "restore.roles", "inventory.roles", "inventory.audit_blocks")
# Of each database, as `inventory.<database>.<section>`.
DATABASE = ("tables", "schema", "grants", "owners", "extensions", "settings")
# Of Caracal's own database besides.
OWN_DATABASE = ("migrations", "state", "sequences")
EVIDENCE = ("audit.rows", "audit.content", "audit.links", "audit.hmac", "audit.sequence", "audit.partitions", "admin.rows")


def required(databases: t.Sequence[str], family: str | None = None, release: str | None = None) -> set[str]:
    """Ids of the checks that a drill of a set with these databases must have made.

    `family` and `release` are the set's; without a family nothing is asked of what holds in every healthy Caracal.
    """
    found = set(SET)
    if databases:
        found.update(CLUSTER)
    if family and releases.OWN_DATABASE in databases:
        found.update(table.required(family, release, databases))
    for database in databases:
        sections = DATABASE + (OWN_DATABASE if database == releases.OWN_DATABASE else ())
        if database == releases.OWN_DATABASE:
            found.update(EVIDENCE)
        found.update(f"inventory.{database}.{section}" for section in sections)
    return found


def complete(checks: t.Sequence[Check], databases: t.Sequence[str], family: str | None = None, release: str | None = None) -> list[Check]:
    """The checks, those of the table made required, and one that says whether all of the table were made."""
    wanted = required(databases, family, release)
    found = [dataclasses.replace(check, required=True) if check.id in wanted else check for check in checks]
    missing = sorted(wanted - {check.id for check in checks})
    if missing:
        words = f"{len(missing)} of {len(wanted)} required checks were not made; first: {missing[0]}"
        return [*found, Check(CHECK_ID, UNPROVEN, words, details={"missing": missing})]
    return [*found, Check(CHECK_ID, PASS, f"all {len(wanted)} required checks were made")]
