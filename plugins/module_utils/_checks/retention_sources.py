# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sources of `retention_verify`: a database, a Redis, a repository. If a source cannot be read, its checks are unproven."""

from __future__ import annotations

import datetime

from .._caracal import releases, streams
from .._caracal.retention import audit, audit_checks, coordinator
from .._caracal.retention import streams as redis_checks
from .._caracal.retention.settings import Effective
from .._caracal.retention.streams import Stream, Waiting
from .._crypto import recipients as age
from .._drivers.postgres.server import Server
from .._drivers.postgres.server import Session as Database
from .._drivers.redis import preflight, reading
from .._drivers.redis.connection import Address
from .._drivers.redis.connection import Session as Redis
from .._errors import BackupError, OptionError
from .._evidence import moment
from .._evidence.access import Opened
from .._reading import database_layout
from .._report.check import Check
from .._repository import catalog, holdings, selection
from .._repository.holdings import Newest
from .retention_options import LegalOptions, RetentionOptions


def of_audit(given: RetentionOptions, effective: Effective) -> list[Check]:
    """Return the checks of the audit log. Raises errors of the reader."""
    budget, legal = _hours(given.export_budget), given.legal or LegalOptions()
    with Database(Server.from_options(given.postgres), given.database) as session:
        tables, _family = _tables(session)
        found = audit.look(session, tables, effective, budget)
    return audit_checks.judge(found, effective, budget, legal.audit_at_least, legal.audit_at_most)


def of_coordinator(given: RetentionOptions, effective: Effective) -> list[Check]:
    """Return the checks of the coordinator's rows and of both outboxes. Raises errors of the reader."""
    with Database(Server.from_options(given.postgres), given.database) as session:
        _names, family = _tables(session)
        return coordinator.judge(coordinator.look(session, family, effective), effective)


def _tables(session: Database) -> tuple[frozenset[str], str]:
    """Return the tables of schema public and the family. Raises VersionMismatch if this is not a Caracal database."""
    layout = database_layout.read(session)
    return layout.public, (layout.detected or releases.detect(layout.public, ())).family


def of_streams(given: RetentionOptions) -> list[Check]:
    """Return the checks of the streams. Raises errors of the reader."""
    with Redis(Address.from_options(given.redis), "retention_verify") as session:
        preflight.examine(session)
        found = [one for name in reading.find(session, streams.PATTERN) if (one := _stream(session, name))]
        now = reading.now(session)
    return redis_checks.judge(found, now, given.pending_budget * 3600)


def _stream(session: Redis, name: bytes) -> Stream | None:
    seen = reading.look(session, name)
    if seen is None:
        return None
    waiting = []
    for group in seen.groups:
        count, lowest, *_rest = session.call("XPENDING", name, group.name)
        if count:
            idle = [dict(zip(one[::2], one[1::2], strict=True))[b"idle"] for one in session.call("XINFO", "CONSUMERS", name, group.name)]
            oldest = reading.number(lowest.decode())[0]
            waiting.append(Waiting(reading.text(group.name), count, oldest, min(idle, default=None)))
    first = reading.number(seen.first)[0] if seen.length else None
    groups = tuple(reading.text(group.name) for group in seen.groups)
    return Stream(reading.text(name), seen.length, first, groups, tuple(waiting))


def of_backups(given: RetentionOptions, opened: Opened, now: datetime.datetime) -> list[Check]:
    """Return the checks of the sets, based on the verified journal and the newest manifest."""
    journal, kept, legal = opened.journal.entries, opened.catalog.sets(), given.legal or LegalOptions()
    last = _newest(opened)
    checks = [
        holdings.newest(last, now, _hours(given.set_budget)),
        holdings.tail(holdings.covered(opened.journal), now, _hours(given.tail_budget)),
        holdings.drilled(selection.drills(journal), now, _hours(given.drill_budget)),
        holdings.proved(_break_glass(given), last, journal, now),
        holdings.copies(_copies(given), now, given.copies_at_least, _hours(given.copy_budget)),
    ]
    if legal.backups_at_least:
        checks.append(holdings.kept_long_enough(opened.catalog.committed(), journal, now, legal.backups_at_least))
    if legal.backups_at_most:
        checks.append(holdings.not_kept_too_long(kept, journal, now, legal.backups_at_most))
    if given.archive_budget:
        checks.append(holdings.archive(journal, now, _hours(given.archive_budget)))
    return checks


def _hours(number: float) -> datetime.timedelta:
    return datetime.timedelta(hours=number)


def _newest(opened: Opened) -> Newest | None:
    record = opened.catalog.newest()
    if record is None:
        return None
    try:
        manifest = opened.catalog.open(record.set_id).manifest
    except BackupError as exc:
        return Newest(record.set_id, None, problem=exc.msg)
    sealed = frozenset(frozenset(one.recipients) for one in manifest.artifacts if one.recipients)
    return Newest(record.set_id, catalog.recovery_point(manifest, record.entry), sealed)


def _break_glass(given: RetentionOptions) -> set[str]:
    files = given.break_glass_files
    return {one.fingerprint for one in age.load([], files)} if files else set()


def _copies(given: RetentionOptions) -> list[holdings.Copy]:
    found = [holdings.Copy(one.name, moment.of("copies[].verified", one.verified)) for one in given.copies]
    if len({one.name for one in found}) != len(found):
        raise OptionError("copies contains a location twice, which counts only once; remove the older entry")
    return found
