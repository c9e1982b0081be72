# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: make the services send events again that were sent but lost with Redis."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from .._ansible.boundary import Invocation
from .._caracal import outbox
from .._drivers.postgres.server import Server, Session
from .._errors import OptionError, VersionMismatch
from .._evidence import access, moment, place
from .._reading import database_layout


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(place.TargetOptions):
    """Options of the module of the same name."""

    streams: tuple[t.Literal["caracal.audit.events", "caracal.sessions.revoke"], ...] = ("caracal.audit.events",)
    since: str | None = None


class ReopenedRows(t.TypedDict):
    """Rows of one table and one stream. `ids` are the first of them."""

    stream: str
    table: str
    count: int
    ids: list[str]


class ReopenResult(t.TypedDict):
    """Rows that the services send again. `target` is the system identifier of the server."""

    changed: bool
    target: str
    reopened: list[ReopenedRows]
    diff: dict[str, str]


def run(invocation: Invocation[Options]) -> ReopenResult:
    """Confirm the target, find the rows, and (unless in check mode) mark all of them unsent in one transaction."""
    given = invocation.options
    since = moment.of("since", given.since) if given.since else None
    if since is None and set(given.streams) - {outbox.AUDIT_EVENTS}:
        raise OptionError(f"stream {outbox.REVOCATIONS} needs a start time; set since to a time when Redis was still complete, or earlier")
    opened = access.open_repository(given.access, warn=invocation.warn)
    server, system_identifier = place.confirmed(opened, given)
    rows = _reopen(server, given, since, invocation.check_mode)
    opened.mark.advance(opened.journal, dry=invocation.check_mode)
    lines = [f"{table} {one_id} of {stream}" for stream, table, ids in rows for one_id in ids]
    return {
        "changed": bool(lines),
        "target": system_identifier,
        "reopened": [{"stream": stream, "table": table, "count": len(ids), "ids": ids[: outbox.SHOWN]} for stream, table, ids in rows],
        "diff": {"before": "".join(f"{line}: sent\n" for line in lines), "after": "".join(f"{line}: to be sent\n" for line in lines)},
    }


def _reopen(server: Server, given: Options, since: datetime.datetime | None, dry: bool) -> list[tuple[str, str, list[str]]]:
    """Return stream, table and IDs of the rows that are or would be sent again."""
    with Session(server, given.database) as session:
        session.rows("BEGIN")
        detected = database_layout.read(session).detected
        if detected is None:
            raise VersionMismatch(f"database {given.database} is not a Caracal database; correct the database name")
        rows = [
            (str(stream), table, ids)
            for stream in dict.fromkeys(given.streams)
            for table, ids in outbox.to_reopen(session, detected.family, stream, since).items()
        ]
        for _stream, table, ids in rows:
            if ids and not dry:
                session.rows(outbox.REOPEN[table], (ids,))
        session.rows("ROLLBACK" if dry else "COMMIT")
    return rows
