# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: compare databases with the table of their release."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from .._ansible.boundary import Invocation
from .._caracal import releases
from .._caracal.schema import schema_checks, schema_extras, schema_reading, schema_rules, schema_tables
from .._caracal.schema.schema_facts import PUBLIC
from .._caracal.schema.schema_reading import Reading
from .._caracal.schema.schema_tables import OWNER, Nearest, ReleaseTable
from .._drivers.postgres import catalog
from .._drivers.postgres.server import Server, Session
from .._drivers.postgres.snapshot import BEGIN
from .._errors import OptionError, VersionMismatch
from .._evidence import place
from .._files import paths
from .._options import declared
from .._options.declared import Path
from .._options.shared import CopyOptions
from .._report.check import FAIL, UNPROVEN, Check, VerdictResult, judged
from . import function_effects

# Only the named databases, because other names may not be valid text.
_DATABASES = "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND datname = ANY (%s::text[])"
# Larger than any release table. A larger file is not a release table.
_FILE_LIMIT = 8 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    copy: CopyOptions = dataclasses.field(default_factory=CopyOptions)
    database: str = "caracal"
    auth_database: str = "caracal_auth"
    release_table: Path | None = None
    schema_additions: tuple[str, ...] = ()
    describe: str | None = None
    require_valid: bool = True


class MigrationVerifyResult(VerdictResult):
    """The release of the databases. `table` is None unless the options request it."""

    release: str | None
    nearest: str
    family: str
    table: t.Mapping[str, object] | None
    seconds: float


def run(invocation: Invocation[Options]) -> MigrationVerifyResult:
    """Read each database in its own transaction, find the release, and compare."""
    started = time.monotonic()
    given = invocation.options
    tables = [*schema_tables.known(), *([user_table(given.release_table)] if given.release_table else [])]
    names = {releases.OWN_DATABASE: given.database, releases.AUTH_DATABASE: given.auth_database}
    server, sandbox = place.server_of(given.copy)
    with _reading(server, names[releases.OWN_DATABASE]) as session:
        own = schema_reading.read(session)
        nearest = schema_tables.nearest(own, tables)
        _refuse_foreign(own, nearest.table, names[releases.OWN_DATABASE])
        existing = {str(row[0]) for row in session.rows(_DATABASES, (list(names.values()),))}
        roles = schema_reading.roles(session, nearest.table.roles)
        checks = [
            schema_checks.release(nearest),
            schema_checks.migrations(nearest, own.migrations),
            schema_rules.roles(nearest.table.roles, roles),
            *_of_database(releases.OWN_DATABASE, own, nearest, roles, given.schema_additions),
            *_of_own(session, own, roles),
        ]
    readings = {releases.OWN_DATABASE: own}
    auth = names[releases.AUTH_DATABASE]
    if auth in existing and (releases.AUTH_DATABASE in nearest.table.databases or not nearest.known):
        with _reading(server, auth) as session:
            readings[releases.AUTH_DATABASE] = schema_reading.read(session)
    if releases.AUTH_DATABASE in nearest.table.databases:
        checks += _auth(auth, readings.get(releases.AUTH_DATABASE), nearest, roles, given.schema_additions)
    if sandbox:
        # Functions in the set run with superuser rights, so they are only run in a sandbox.
        with Session(server, names[releases.OWN_DATABASE]) as session:
            checks.append(function_effects.check(session, nearest.table.own))
    return {
        **judged(checks, given.require_valid),
        "release": nearest.table.release if nearest.known else None,
        "nearest": nearest.table.release,
        "family": nearest.table.known_family,
        "table": _describe(given.describe, readings, nearest, roles) if given.describe else None,
        "seconds": round(time.monotonic() - started, 3),
    }


def _reading(server: Server, database: str) -> Session:
    session = Session(server, database)
    session.rows(BEGIN)
    return session


def user_table(path: str) -> ReleaseTable:
    """Return the table in the option `release_table`. Raises OptionError."""
    try:
        with paths.reading(path) as stream:
            return schema_tables.from_json(stream.read(_FILE_LIMIT).decode(), f"release_table {path}")
    except (OSError, UnicodeDecodeError) as exc:
        raise OptionError(
            f"cannot read release_table {path}: {getattr(exc, 'strerror', None) or 'not UTF-8 text'}; check the path"
        ) from exc


def _refuse_foreign(own: Reading, nearest: ReleaseTable, database: str) -> None:
    """Raise VersionMismatch if this is another database. For a damaged Caracal, the missing objects are reported instead."""
    wanted = {key.of for key in nearest.own if key.kind == "table"}
    if len(own.tables & wanted) * 2 < len(wanted):
        raise VersionMismatch(
            f"database {database} has {len(own.tables & wanted)} of the {len(wanted)} tables of {nearest.release}, the closest release, "
            "so it is not the database of Caracal; correct the database name"
        )


def _of_database(
    name: str, reading: Reading, nearest: Nearest, roles: t.Mapping[str, t.Sequence[str]], additions: t.Collection[str]
) -> list[Check]:
    expected = schema_tables.of_build(name, nearest.table.databases[name], reading.facts)
    services = nearest.table.roles
    return [
        *schema_checks.compare(name, expected, reading.facts, nearest, roles, additions),
        *schema_extras.checks(name, reading.extras, services, additions),
        schema_checks.other_grants(name, reading.facts, services),
        schema_rules.owner(name, reading, expected.get(OWNER, schema_tables.NO_SERVICE), services),
        schema_rules.encoding(name, reading),
    ]


def _of_own(session: Session, own: Reading, roles: t.Mapping[str, t.Sequence[str]]) -> list[Check]:
    """Return the checks that only apply to Caracal's own database."""
    there = schema_rules.has_audit_log(own) and bool(roles)
    mutable = schema_reading.mutable(session, roles) if there else None
    highest = {name: value for name, value in catalog.sequence_floors(session).items() if name.startswith("public.")}
    last = catalog.sequences(session)
    return [
        schema_rules.time_zone(schema_reading.time_zones(session, roles)),
        *schema_rules.audit_log(own, roles, mutable),
        schema_rules.sequences(last, highest),
        schema_rules.sequence_room(last, schema_reading.sequence_limits(session)),
    ]


def _auth(
    name: str, reading: Reading | None, nearest: Nearest, roles: t.Mapping[str, t.Sequence[str]], additions: t.Collection[str]
) -> list[Check]:
    if reading is None:
        words = (
            f"database {name} does not exist, but {nearest.table.release} stores "
            "its console users there; restore it or correct auth_database"
        )
        return [Check(f"schema.{releases.AUTH_DATABASE}.tables", FAIL if nearest.known else UNPROVEN, words)]
    return _of_database(releases.AUTH_DATABASE, reading, nearest, roles, additions)


def _describe(
    release: str, readings: t.Mapping[str, Reading], nearest: Nearest, roles: t.Mapping[str, t.Sequence[str]]
) -> t.Mapping[str, object]:
    """Return the table of a release. Its services are the roles of the nearest release, and all roles with a grant."""
    granted = {key.name for reading in readings.values() for key in reading.facts if key.kind == "grant" and key.name != PUBLIC}
    return schema_tables.describe(release, readings, sorted({*roles, *granted})).to_json()
