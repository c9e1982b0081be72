# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Release tables: the objects that a release's migrations create in its databases.

This collection's tables are Python. A user's table for a newer release is JSON.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import typing as t

from ..._errors import OptionError
from .. import releases
from .schema_facts import Facts, Key, line, parse, text
from .schema_reading import Reading

OWNER = Key("owner", "database", "")
NO_SERVICE = "none of the services"
# The kinds that distinguish releases. Other objects may be damaged without changing the release.
_TELLING = ("table", "column")
_BOOKKEEPING = "schema_migrations"
# Better Auth 1.7 adds this, 1.6 does not have it. A release can be built with either version, so the column identifies
# the build.
_ISSUER = text("""
column account issuer: text not null
index account "account_issuer_accountId_uidx": unique btree (issuer, "accountId")
""")


@dataclasses.dataclass(frozen=True)
class ReleaseTable:
    """One release: service roles, and the facts of each database by its product name. `family` is None if neither family's table exists."""

    release: str
    family: str | None
    migrations: tuple[str, ...]
    roles: tuple[str, ...]
    databases: dict[str, Facts]

    @property
    def own(self) -> Facts:
        return self.databases[releases.OWN_DATABASE]

    @property
    def known_family(self) -> str:
        """The family. Raises OptionError if `describe` created the table from a database of neither family."""
        if self.family is None:
            families = " or ".join(sorted(releases.FAMILY_MARKS))
            raise OptionError(f"the table of release {self.release} has no family; set its family to {families}")
        return self.family

    def to_json(self) -> dict[str, object]:
        """Return the JSON form for users. `from_json` parses it."""
        return {
            "release": self.release,
            "family": self.family,
            "migrations": list(self.migrations),
            "roles": list(self.roles),
            "databases": {name: [line(*one) for one in sorted(facts.items())] for name, facts in self.databases.items()},
        }


_ZONE_KEK_ROLES = ("caracalapi", "caracalaudit", "caracalcoordinator", "caracalgateway", "caracalsts")


@functools.cache
def known() -> tuple[ReleaseTable, ...]:
    """Return the tables of each release in `releases.RELEASES`, in their order. They have thousands of facts, so they are
    loaded on demand.
    """
    from .known import v0_1_0, v0_2_1, v1_0_0, v2026_06_04, v2026_06_21, v2026_06_25_rc_1

    modules: dict[str, t.Any] = {
        "2026-06-04": v2026_06_04,
        "v2026.06.21": v2026_06_21,
        "v2026.06.25-rc.1": v2026_06_25_rc_1,
        "v0.1.0": v0_1_0,
        "v0.2.1": v0_2_1,
        "v1.0.0": v1_0_0,
    }
    return tuple(_table(release, modules[release.name]) for release in releases.RELEASES)


def _table(release: releases.Release, module: t.Any) -> ReleaseTable:
    facts = {name: getattr(module, name.upper()) for name in release.databases}
    roles = _ZONE_KEK_ROLES if release.family == releases.ZONE_KEK else (*_ZONE_KEK_ROLES, "caracalauth")
    return ReleaseTable(release.name, release.family, release.migrations, roles, facts)


def of_build(database: str, expected: Facts, actual: Facts) -> Facts:
    """Return the facts of a release in a database, for the build that `actual` shows."""
    newer = database == releases.AUTH_DATABASE and any(key in actual for key in _ISSUER)
    return {**expected, **_ISSUER} if newer else expected


def names() -> frozenset[str]:
    """Return the names of all tables in schema public, in any database of any known release."""
    return frozenset(key.of.strip('"') for one in known() for facts in one.databases.values() for key in facts if key.kind == "table")


def from_json(text: str, where: str) -> ReleaseTable:
    """Parse a user's table. Raises OptionError if it is invalid, or if its release has a table in this collection."""
    try:
        given = json.loads(text)
    except ValueError as exc:
        raise OptionError(f"{where} is not JSON: {exc}; create it again with describe") from exc
    fault = _fault(given)
    if fault:
        raise OptionError(f"{where} is not a release table: {fault}; create it again with describe")
    if given["release"] in {one.release for one in known()}:
        raise OptionError(f"{where}: release {given['release']} has a table in this collection; remove the option release_table")
    databases = {name: parse(facts) for name, facts in given["databases"].items()}
    return ReleaseTable(given["release"], given["family"], tuple(sorted(given["migrations"])), tuple(sorted(given["roles"])), databases)


def _fault(given: t.Any) -> str | None:
    fields = {field.name for field in dataclasses.fields(ReleaseTable)}
    if not isinstance(given, dict) or given.keys() != fields:
        return f"its fields must be {', '.join(sorted(fields))}"
    databases = given["databases"] if isinstance(given["databases"], dict) else {}
    if releases.OWN_DATABASE not in databases or databases.keys() - set(releases.KNOWN_DATABASES):
        return f"databases must be {releases.OWN_DATABASE} and optionally {releases.AUTH_DATABASE}"
    wrong = [name for name, value in {**given, **databases}.items() if name in _LISTS and not _strings(value)]
    if wrong:
        return f"{wrong[0]} must be a non-empty list of strings"
    if given["family"] not in releases.FAMILY_MARKS or not isinstance(given["release"], str):
        return f"family must be one of {', '.join(sorted(releases.FAMILY_MARKS))}, and release must be a string"
    return None


_LISTS = ("migrations", "roles", *releases.KNOWN_DATABASES)


def _strings(value: t.Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)


def describe(release: str, readings: t.Mapping[str, Reading], roles: t.Sequence[str]) -> ReleaseTable:
    """Return the table of a release from databases with its fresh migrations. `roles` are the possible service roles."""
    own = readings[releases.OWN_DATABASE]
    families = [family for family, mark in releases.FAMILY_MARKS.items() if mark in own.tables]
    databases = {name: {**reading.facts, OWNER: owner_class(reading.owners["the database"], roles)} for name, reading in readings.items()}
    return ReleaseTable(release, families[0] if len(families) == 1 else None, own.migrations or (), tuple(sorted(roles)), databases)


def owner_class(owner: str, services: t.Collection[str]) -> str:
    """Return the owner as release tables name it. All roles other than services, such as the superuser, have the same name."""
    return owner if owner in services else NO_SERVICE


@dataclasses.dataclass(frozen=True)
class Nearest:
    """The release that is most similar to a database.

    `known` is True if the database is that release: by its migrations, or by all its tables and columns. `missing`,
    `unknown` and `telling` are the differences.
    """

    table: ReleaseTable
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    telling: tuple[Key, ...]

    @property
    def known(self) -> bool:
        return not self.telling or not (self.missing or self.unknown)

    @property
    def distance(self) -> tuple[int, int]:
        moved = len(self.missing) + len(self.unknown)
        return len(self.telling) + moved, moved


def nearest(own: Reading, tables: t.Iterable[ReleaseTable]) -> Nearest:
    """Return the nearest release. Names of migrations are not enough: three different files have the name `0001_baseline`."""
    return min((_compare(own, table) for table in tables), key=lambda one: one.distance)


def _compare(own: Reading, table: ReleaseTable) -> Nearest:
    here, there = set(own.migrations or ()), set(table.migrations)
    found, wanted = _telling(own.facts), _telling(table.own)
    differing = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
    return Nearest(table, tuple(sorted(there - here)), tuple(sorted(here - there)), tuple(differing))


def _telling(facts: Facts) -> Facts:
    return {key: value for key, value in facts.items() if key.kind in _TELLING and key.of != _BOOKKEEPING}
