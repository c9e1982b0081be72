# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The target of a restore: check whether it may be used, and give the database its final name only when it is complete."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import time
import typing as t

from ..._errors import Busy, StageFailed, TargetRefused, Unreachable, VersionMismatch
from ..._inventory import DatabaseSettings
from . import locales
from .server import Server, Session
from .tables import SYSTEM, literal, quote, setting

MAINTENANCE = "postgres"
OLDEST_MAJOR = 17
# The limit of identifiers in PostgreSQL.
NAME_BYTES = 63
ATTEMPTS = 5
# How long a restore waits for terminated sessions, in seconds. The server itself waits 5 seconds, which can be too short on a busy host.
PATIENCE = 60.0
_IN_USE = "55006"
# The comment of a database until it is complete. A database without this comment was not created by this collection.
MARK = "caracal_ops.backup: a restore that has not ended"

_OBJECTS = f"""
    SELECT 'relation ' || n.nspname || '.' || x.relname FROM pg_class x JOIN pg_namespace n ON n.oid = x.relnamespace
     WHERE {SYSTEM} AND x.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
       AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = x.oid AND d.deptype = 'e')
    UNION ALL SELECT 'function ' || n.nspname || '.' || x.proname FROM pg_proc x JOIN pg_namespace n ON n.oid = x.pronamespace
     WHERE {SYSTEM} AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = x.oid AND d.deptype = 'e')
    UNION ALL SELECT 'type ' || n.nspname || '.' || x.typname FROM pg_type x JOIN pg_namespace n ON n.oid = x.typnamespace
     WHERE {SYSTEM} AND x.typtype IN ('d', 'e', 'r') AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = x.oid AND d.deptype = 'e')
    UNION ALL SELECT 'large object ' || oid FROM pg_largeobject_metadata
     ORDER BY 1"""


@dataclasses.dataclass(frozen=True)
class TargetState:
    """The target of one database: its cluster, `server_version_num`, whether the database exists, and its objects."""

    system_identifier: str
    version: int
    exists: bool
    objects: t.Sequence[str]


def working_name(database: str, set_id: str) -> str:
    """Return the name of a database until it is complete."""
    return _derived(database, f"_restoring_{set_id[-4:]}")


def _derived(database: str, ending: str) -> str:
    """Return a name that fits into PostgreSQL's limit.

    PostgreSQL would truncate a longer name, which could then be the name of another database. Here the truncated name includes
    a digest of the whole name.
    """
    whole = database + ending
    if len(whole.encode()) <= NAME_BYTES:
        return whole
    ending = f"_{hashlib.sha256(database.encode()).hexdigest()[:12]}{ending}"
    return database.encode()[: NAME_BYTES - len(ending)].decode(errors="ignore") + ending


def examine(server: Server, database: str) -> TargetState:
    """Return the state of the target of `database`."""
    with Session(server, MAINTENANCE, settings={}) as session:
        system_identifier = str(session.value("SELECT system_identifier::text FROM pg_control_system()"))
        version = int(session.value("SELECT current_setting('server_version_num')"))
        exists = bool(session.value("SELECT 1 FROM pg_database WHERE datname = %s", (database,)))
    objects: list[str] = []
    if exists:
        with Session(server, database, settings={}) as session:
            objects = [row[0] for row in session.rows(_OBJECTS)]
    return TargetState(system_identifier, version, exists, objects)


def confirm(found: t.Mapping[str, TargetState], known: t.Collection[str], confirmation: t.Sequence[str], where: str) -> None:
    """Raise TargetRefused for a cluster that the journal contains, and for databases that are not empty, unless they are confirmed.

    `found` is the result of `examine` for each database. The message lists all missing confirmations.
    """
    named = {database: f"{database}@{one.system_identifier}" for database, one in found.items()}
    missing = {database: one for database, one in found.items() if named[database] not in confirmation}
    backed_up = sorted({one.system_identifier for one in missing.values()} & set(known))
    if backed_up:
        raise TargetRefused(
            f"the cluster at {where} is backed up to this repository (system_identifier {backed_up[0]}); "
            f"to change it anyway, set confirm to {', '.join(named[database] for database in missing)}"
        )
    filled = {database: one.objects for database, one in missing.items() if one.objects}
    if filled:
        seen = [f"database {database} at {where} is not empty ({len(one)} objects, first: {one[0]})" for database, one in filled.items()]
        what = "it" if len(filled) == 1 else "them"
        raise TargetRefused(f"{', '.join(seen)}; to replace {what}, set confirm to {', '.join(named[database] for database in filled)}")


def version_fits(database: str, recorded: int, found: int) -> list[str]:
    """Return warnings about a major version that differs from the recorded one.

    A restore into an older major mostly works, and everything is compared afterwards. Only versions that Caracal does not
    support are refused.
    """
    majors = f"database {database} of the set is from PostgreSQL {recorded // 10000}, but the target runs {found // 10000}"
    if found // 10000 < OLDEST_MAJOR:
        raise VersionMismatch(f"{majors}; restore into {OLDEST_MAJOR} or newer")
    if found // 10000 < recorded // 10000:
        return [f"{majors}; PostgreSQL does not support this direction, so use the copy only after state_verify has passed"]
    return []


def create(server: Server, name: str, recorded: DatabaseSettings) -> list[str]:
    """Create an empty database under its working name, with the recorded owner, encoding and, if the server has it, locale.

    Returns warnings. A leftover of a killed restore with the same working name is dropped, but nothing else. Raises
    TargetRefused, Busy.
    """
    _remove_leftover(server, name)
    with Session(server, MAINTENANCE, settings={}) as session:
        statement = (
            f"CREATE DATABASE {quote(name)} OWNER {quote(recorded['owner'])} TEMPLATE template0 ENCODING {literal(recorded['encoding'])}"
        )
        locale, missing = locales.of(session, recorded)
        session.rows(f"{statement} {locale}")
        session.rows(f"COMMENT ON DATABASE {quote(name)} IS {literal(MARK)}")
    return [f"the server does not have {one}; database {name} uses {locales.FALLBACK}, so text sorts differently" for one in missing]


def _remove_leftover(server: Server, name: str) -> None:
    drop(server, name)
    # A restore that was killed between its first two statements leaves an empty database without the comment.
    if found := examine(server, name).objects:
        raise TargetRefused(
            f"database {name} at {server} was not created by a restore ({len(found)} objects, first: {found[0]}), "
            "but this restore needs its name; drop or rename it"
        )
    if not _drop_unused(server, name):
        raise Busy(f"database {name} at {server} is in use, but this restore needs its name; drop or rename it")


def _is_marked(session: Session, name: str) -> bool:
    query = "SELECT pg_catalog.shobj_description(oid, 'pg_database') = %s FROM pg_catalog.pg_database WHERE datname = %s"
    return bool(session.value(query, (MARK, name)))


def _drop_unused(server: Server, name: str) -> bool:
    """Drop a database. Return False, without dropping it, if a session uses it."""
    with Session(server, MAINTENANCE, settings={}) as session:
        try:
            session.rows(f"DROP DATABASE IF EXISTS {quote(name)}")
        except StageFailed as exc:
            if exc.details["sqlstate"] != _IN_USE:
                raise
            return False
    return True


def set_for_roles(server: Server, name: str, recorded: DatabaseSettings) -> list[str]:
    """Apply the recorded `ALTER ROLE … IN DATABASE … SET`, and return what the server refused.

    The settings survive a later rename of the database. The results contain names of parameters but no values, which may be
    secret.
    """
    refused = []
    with Session(server, MAINTENANCE, settings={}) as session:
        for role, settings in recorded["role_sets"].items():
            for one in settings:
                try:
                    session.conceal(f"ALTER ROLE {quote(role)} IN DATABASE {quote(name)} SET {setting(one)}", one.partition("=")[0])
                except StageFailed as exc:
                    refused.append(f"{one.partition('=')[0]} was not set for role {role}: {exc.msg}")
    return refused


def kept_name(database: str) -> str:
    """Return the name under which a replaced database is kept."""
    ending = datetime.datetime.now(datetime.timezone.utc).strftime("_replaced_%Y%m%d%H%M%S")
    return _derived(database, ending)


def _free_name(server: Server, database: str) -> str:
    """Return a name that is not in use. If two restores run within one second, the later one uses the next second."""
    with Session(server, MAINTENANCE, settings={}) as session:
        while session.value("SELECT 1 FROM pg_catalog.pg_database WHERE datname = %s", (name := kept_name(database),)):
            time.sleep(0.1)
        return name


def publish(server: Server, made: t.Sequence[tuple[str, str, DatabaseSettings]]) -> list[dict[str, str]]:
    """Give databases their access lists, settings and final names: either all or none.

    `made` are tuples (working name, final name, recorded settings). A database that had a final name is renamed and keeps its
    rows, unless it is empty, which drops it. Returns the renamed ones: `[{"database", "kept_as"}]`.
    """
    found = {database: examine(server, database) for _name, database, _recorded in made}
    kept = {database: _free_name(server, database) for database, one in found.items() if one.exists}
    for attempt in range(ATTEMPTS):
        try:
            _rename_all(server, made, kept)
            break
        except StageFailed as exc:
            if exc.details["sqlstate"] != _IN_USE:
                raise
            # A client reconnected after its session was ended and before the lock.
            if attempt == ATTEMPTS - 1:
                raise Busy.caused_by(
                    exc, f"{exc.msg}; stop the services that use {', '.join(sorted(found))} at {server} and run again"
                ) from exc
    for database in [one for one in kept if not found[one].objects and not examine(server, kept[one]).objects]:
        if _drop_unused(server, kept[database]):
            del kept[database]
    return [{"database": database, "kept_as": name} for database, name in sorted(kept.items())]


def _rename_all(server: Server, made: t.Sequence[tuple[str, str, DatabaseSettings]], kept: t.Mapping[str, str]) -> None:
    with Session(server, MAINTENANCE, settings={}) as session:
        session.rows("BEGIN")
        for name, _database, recorded in made:
            for one in recorded["set"] or []:
                session.conceal(f"ALTER DATABASE {quote(name)} SET {setting(one)}", f"the database setting {one.partition('=')[0]}")
            for statement in [*_settings(session, name, recorded), f"COMMENT ON DATABASE {quote(name)} IS NULL"]:
                session.rows(statement)
        session.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s) AND pid <> pg_backend_pid()",
            ([*kept, *(name for name, _database, _recorded in made)],),
        )
        for name, database, _recorded in made:
            if database in kept:
                session.rows(f"ALTER DATABASE {quote(database)} RENAME TO {quote(kept[database])}")
            session.rows(f"ALTER DATABASE {quote(name)} RENAME TO {quote(database)}")
        session.rows("COMMIT")


def end_sessions(server: Server) -> None:
    """End all other client sessions in the cluster. Their transactions are rolled back."""
    with Session(server, MAINTENANCE, settings={}) as session:
        session.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )


def drop(server: Server, name: str) -> None:
    """Drop a database that `create` made and that was not published.

    If the server is gone, that was reported already, and the next restore of this set drops the database.
    """
    with contextlib.suppress(Unreachable), Session(server, MAINTENANCE, settings={}) as session:
        if _is_marked(session, name):
            _drop_by_force(session, name)


def _drop_by_force(session: Session, name: str) -> None:
    """Drop a database and end its sessions, which belong to a restore that failed or was killed."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            session.rows(f"DROP DATABASE IF EXISTS {quote(name)} WITH (FORCE)")
            return
        except StageFailed as exc:
            if exc.details["sqlstate"] != _IN_USE or time.monotonic() > until:
                raise


def _settings(session: Session, name: str, recorded: DatabaseSettings) -> list[str]:
    statements = []
    if recorded["connection_limit"] >= 0:
        statements.append(f"ALTER DATABASE {quote(name)} CONNECTION LIMIT {int(recorded['connection_limit'])}")
    if recorded["acl"] is None:
        return statements
    statements.append(f"REVOKE ALL ON DATABASE {quote(name)} FROM PUBLIC")
    granted = session.rows(
        """SELECT CASE WHEN grantee = 0 THEN NULL ELSE pg_get_userbyid(grantee) END, privilege_type, is_grantable
             FROM aclexplode(%s::aclitem[]) ORDER BY 1, 2""",
        (recorded["acl"],),
    )
    for grantee, privilege, grantable in granted:
        to = "PUBLIC" if grantee is None else quote(grantee)
        statements.append(f"GRANT {privilege} ON DATABASE {quote(name)} TO {to}{' WITH GRANT OPTION' if grantable else ''}")
    return statements
