# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Which Caracal a database belongs to. Family and release are read from it and recorded, never guessed.

The name `0001_baseline` stands for three different files, so migrations alone identify nothing: the family
comes from tables that only one family has.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import VersionMismatch

SECRET_STORE = "secret_store"
ZONE_KEK = "zone_kek"

# A table that exists in every release of one family and in none of the other.
FAMILY_MARKS = {SECRET_STORE: "secret_store", ZONE_KEK: "provider_grants"}


@dataclasses.dataclass(frozen=True)
class Release:
    """One release: its family, migrations in order, and the databases it keeps."""

    name: str
    family: str
    migrations: tuple[str, ...]
    databases: tuple[str, ...]


RELEASES = (
    Release(
        "v1.0.0",
        SECRET_STORE,
        ("0001_baseline", "0002_approval_hardening", "0003_operator_run_token_usage"),
        ("caracal", "caracal_auth"),
    ),
)


@dataclasses.dataclass(frozen=True)
class Detected:
    """What the database says: `release` is None when no table of ours has its migrations."""

    family: str
    release: str | None
    migrations: tuple[str, ...]


def detect(tables: t.Collection[str], migrations: t.Sequence[str]) -> Detected:
    """From the names of the tables in schema public and the versions in schema_migrations, sorted.

    Raises VersionMismatch for a database of neither family.
    """
    families = [family for family, mark in FAMILY_MARKS.items() if mark in tables]
    if len(families) != 1 or "schema_migrations" not in tables:
        raise VersionMismatch("this is no Caracal database: it has the tables of neither family; correct the database name")
    known = tuple(sorted(migrations))
    for release in RELEASES:
        if release.family == families[0] and release.migrations == known:
            return Detected(families[0], release.name, known)
    return Detected(families[0], None, known)
