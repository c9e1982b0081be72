# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare a database with the table of its release: one check for each kind of fact, `schema.<database>.<what>`."""

from __future__ import annotations

import dataclasses
import typing as t

from ..._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, WARN, Check
from ..retention import coordinator
from . import schema_tables
from .schema_facts import OF_TABLES, PUBLIC, Facts, Key
from .schema_tables import Nearest

SHOWN = 50

# Section → kinds of facts, and the verdict for facts that the release does not have. An additional index or function is
# harmless.
_SECTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "tables": (("table",), WARN),
    "columns": (("column",), FAIL),
    "constraints": (("constraint",), FAIL),
    "indexes": (("index",), WARN),
    "triggers": (("trigger",), FAIL),
    "row_security": (("row_security", "policy"), FAIL),
    "grants": (("grant", "column_grant"), FAIL),
    "sequences": (("sequence",), WARN),
    "functions": (("function", "execute"), WARN),
    "extensions": (("extension",), PASS),
}
# Rights that a release's cleaner needs but the release does not grant. `retention_verify` asks the operator to grant
# them.
_ASKED_FOR = {Key("grant", table, coordinator.ROLE) for table in coordinator.REMOVES}


@dataclasses.dataclass(frozen=True)
class _Difference:
    verdict: str
    words: str


def compare(
    database: str, expected: Facts, actual: Facts, nearest: Nearest, roles: t.Collection[str], additions: t.Collection[str] = ()
) -> list[Check]:
    """Return the checks of all sections of one database.

    `roles` are the existing roles of the release. `additions` are facts that the operator has added and named. If the
    release is unknown, the checks are unproven.
    """
    both = {key.of for key in expected if key.kind == "table" and key in actual}
    functions = {key.of for key in expected if key.kind == "function" and key in actual}
    known_roles = {PUBLIC, *roles}

    def comparable(key: Key) -> bool:
        # Facts that depend on a missing object, or on a role outside the release, are only reported with that object or
        # role.
        if key.kind in OF_TABLES:
            return key.of in both
        if key.kind in ("grant", "column_grant"):
            return key.name in known_roles and (key.of in both or Key("sequence", key.of, "") in expected.keys() & actual.keys())
        return key.kind != "execute" or (key.of in functions and key.name in known_roles)

    checks = []
    for what, (kinds, extra) in _SECTIONS.items():
        of_release = {key: value for key, value in expected.items() if key.kind in kinds}
        wanted = {key: value for key, value in of_release.items() if comparable(key)}
        added = {key for key in actual.keys() - wanted.keys() if str(key) in additions}
        found = {
            key: _as_released(key, value, wanted)
            for key, value in actual.items()
            if key.kind in kinds and comparable(key) and key not in added
        }
        if of_release and not wanted:
            checks.append(Check(f"schema.{database}.{what}", UNPROVEN, "nothing to compare: all objects that they belong to are missing"))
        else:
            checks.append(_check(f"schema.{database}.{what}", what, wanted, _differences(wanted, found, extra), nearest))
    return checks


def _as_released(key: Key, value: str, wanted: Facts) -> str:
    """Return the release's value if the only difference is a right that `retention_verify` asks for."""
    if key in _ASKED_FOR and key in wanted and value == ", ".join(sorted({*wanted[key].split(", "), "DELETE"})):
        return wanted[key]
    return value


def _differences(wanted: Facts, found: Facts, extra: str) -> list[_Difference]:
    differences = [_Difference(FAIL, f"{key} is missing") for key in sorted(wanted.keys() - found.keys())]
    differences += [
        _Difference(FAIL, f"{key} is '{found[key]}' instead of '{value}'")
        for key, value in sorted(wanted.items())
        if found.get(key, value) != value
    ]
    if extra != PASS:
        differences += [
            _Difference(_of_extra(key, extra), f"unexpected {key}" + (f": {found[key]}" if found[key] else ""))
            for key in sorted(found.keys() - wanted.keys())
        ]
    return sorted(differences, key=lambda one: one.verdict != FAIL)


def _of_extra(key: Key, extra: str) -> str:
    """Return the verdict for an extra fact.

    An extra function has its own line, so a right to execute a function always concerns one in the release. A table of
    another release blocks a migration, or is left over from one.
    """
    in_the_way = key.kind == "table" and key.of.strip('"') in schema_tables.names()
    return FAIL if key.kind == "execute" or in_the_way else extra


def _check(check_id: str, what: str, wanted: Facts, differences: t.Sequence[_Difference], nearest: Nearest) -> Check:
    release = nearest.table.release
    details = {"compared": len(wanted), "differences": [one.words for one in differences[:SHOWN]], "number": len(differences)}
    words = what.replace("_", " ")
    if not nearest.known:
        summary = f"{len(differences)} difference(s); first: {differences[0].words}" if differences else "no difference"
        return Check(check_id, UNPROVEN, f"the release is unknown; {words} compared with {release}: {summary}", details=details)
    if differences:
        more = f" ({len(differences) - 1} more)" if len(differences) > 1 else ""
        return Check(check_id, differences[0].verdict, f"differs from {release}: {differences[0].words}{more}", details=details)
    if not wanted:
        return Check(check_id, NOT_APPLICABLE, f"neither {release} nor the database has {words} here", required=False, details=details)
    return Check(check_id, PASS, f"{len(wanted)} {words} are as in {release}", details=details)


def other_grants(database: str, actual: Facts, roles: t.Collection[str]) -> Check:
    """Report rights of roles outside the release, for example of a reporting or backup role. No other check reports them."""
    known = {PUBLIC, *roles}
    found = [f"{key}: {value}" for key, value in sorted(actual.items()) if key.kind in ("grant", "column_grant") and key.name not in known]
    check_id, details = f"schema.{database}.other_grants", {"grants": found[:SHOWN], "number": len(found)}
    if found:
        more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
        return Check(check_id, WARN, f"a role outside Caracal has privileges: {found[0]}{more}", required=False, details=details)
    return Check(check_id, PASS, "no role outside Caracal has privileges on a table", required=False, details=details)


def release(nearest: Nearest) -> Check:
    """Check that this is a known release. Otherwise report the differences from the nearest one."""
    name = nearest.table.release
    details = {
        "nearest": name,
        "missing_migrations": list(nearest.missing),
        "unknown_migrations": list(nearest.unknown),
        "differences": [str(key) for key in nearest.telling[:SHOWN]],
        "number": len(nearest.telling),
    }
    if nearest.known:
        by = "its tables and columns" if nearest.missing or nearest.unknown else "its migrations"
        return Check("migrations.release", PASS, f"release {name}, identified by {by}", details=details)
    parts = [
        f"{words} migration(s) {', '.join(some[:5])}" for words, some in (("lacks", nearest.missing), ("has", nearest.unknown)) if some
    ]
    parts += [f"differs in {len(nearest.telling)} table(s) or column(s), first: {nearest.telling[0]}"]
    words = f"unknown release; the closest is {name}. This database {', '.join(parts)}; set release_table for a newer release"
    return Check("migrations.release", UNPROVEN, words, details=details)


def migrations(nearest: Nearest, recorded: t.Sequence[str] | None) -> Check:
    """Check that exactly the release's migrations have been applied."""
    check_id, name = "migrations.versions", nearest.table.release
    details = {"missing": list(nearest.missing), "unknown": list(nearest.unknown)}
    if recorded is None:
        return Check(check_id, FAIL, "table schema_migrations is missing, so migrations cannot run on this database", details=details)
    if not nearest.missing and not nearest.unknown:
        return Check(check_id, PASS, f"exactly the {len(recorded)} migrations of {name}", details=details)
    parts = [f"{words}: {', '.join(some[:5])}" for words, some in (("missing", nearest.missing), ("unknown", nearest.unknown)) if some]
    newer = "; set release_table if this is a newer release" if nearest.unknown else ""
    words = f"schema_migrations differs from {name}: {', '.join(parts)}{newer}"
    return Check(check_id, FAIL if nearest.known else UNPROVEN, words, details=details)
