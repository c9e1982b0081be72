# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: list the changes that a restore lost, compared with the replaced database."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import typing as t

from .._ansible.boundary import Invocation
from .._caracal import rollback, rollback_compare
from .._drivers.postgres.server import Server, Session
from .._drivers.postgres.snapshot import BEGIN
from .._errors import BackupError, VersionMismatch
from .._evidence import moment
from .._options import declared
from .._options.declared import Path, Rules
from .._options.shared import PostgresOptions
from .._reading import database_layout

if t.TYPE_CHECKING:
    from .._report.extent import RollbackCategory


@dataclasses.dataclass(frozen=True)
class Side:
    """A session in a read transaction, the family of its database, and the names of its tables."""

    session: Session
    family: str
    tables: frozenset[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    RULES = Rules(required_one_of=(("former_database", "since"),))

    postgres: PostgresOptions = dataclasses.field(default_factory=PostgresOptions)
    database: str = "caracal"
    former_database: str | None = None
    former_login_host: str = ""
    former_login_port: int = 5432
    former_login_user: str = "caracal"
    former_login_password_file: Path | None = None
    former_login_unix_socket: str = ""
    since: str | None = None


class RollbackInfoResult(t.TypedDict):
    """The changes that a restore lost. `complete` is False if something could not be compared."""

    changed: bool
    complete: bool
    problems: list[str]
    rollback: list[RollbackCategory]


def run(invocation: Invocation[Options]) -> RollbackInfoResult:
    """Compare each category. Without the former database, list what may be lost, and since when."""
    given = invocation.options
    since = moment.of("since", given.since) if given.since else None
    server = Server.from_options(given.postgres)
    with contextlib.ExitStack() as opened:
        restored = opened.enter_context(_side(server, given.database))
        former, problems = None, []
        if given.former_database:
            try:
                former = opened.enter_context(_side(_former(server, given), given.former_database))
                _same_family(former, restored)
            except BackupError as exc:
                former, problems = None, [f"former database: {exc.msg}"]
        else:
            problems = ["no former database was given, so nothing was compared"]
        found = []
        for category in rollback.CATEGORIES[restored.family]:
            one, missing = _category(category, former, restored, since)
            found.append(one)
            problems += missing
    # An operator who gives no former database does not expect a comparison, so no warning is needed.
    for problem in problems if given.former_database else []:
        invocation.warn(problem)
    return {"changed": False, "complete": not problems, "problems": problems, "rollback": found}


def _former(server: Server, given: Options) -> Server:
    """Return the same server unless the options name another one. TLS settings are shared."""
    host = given.former_login_unix_socket or given.former_login_host
    if not host:
        return server
    return dataclasses.replace(
        server,
        host=host,
        port=given.former_login_port,
        user=given.former_login_user,
        password_file=given.former_login_password_file,
    )


@contextlib.contextmanager
def _side(server: Server, database: str) -> t.Iterator[Side]:
    with Session(server, database) as session:
        session.rows(BEGIN)
        read = database_layout.read(session)
        if read.detected is None:
            raise VersionMismatch(f"database {database} is not the database of Caracal; correct the database name")
        yield Side(session, read.detected.family, _names(session))


def _names(session: Session) -> frozenset[str]:
    rows = session.rows("SELECT relname FROM pg_catalog.pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')")
    return frozenset(row[0] for row in rows)


def _same_family(former: Side, restored: Side) -> None:
    if former.family != restored.family:
        raise VersionMismatch(
            f"{former.session.database} belongs to release family {former.family}, but {restored.session.database} to {restored.family}; "
            "give the database that the restore replaced"
        )


def _category(
    category: rollback.Category, former: Side | None, restored: Side, since: datetime.datetime | None
) -> tuple[RollbackCategory, list[str]]:
    """Return one entry of the result, and the reasons why it could not be compared."""
    result: RollbackCategory = {"id": category.id, "words": category.words, "remedy": category.remedy, "count": None, "examples": []}
    if former is None:
        bound = since.astimezone(datetime.timezone.utc).strftime(" since %Y-%m-%dT%H:%M:%SZ") if since else ""
        return {**result, "words": f"unknown{bound}: {category.words}"}, []
    missing = [
        f"{side.session.database} has no table {table}"
        for side in (former, restored)
        for table in category.tables
        if table not in side.tables
    ]
    if missing:
        return {**result, "words": f"unknown: {category.words}"}, [f"{category.id}: {one}" for one in missing]
    lost = rollback_compare.lost(category, former.session, restored.session)
    return {**result, "count": lost.count, "examples": lost.examples}, []
