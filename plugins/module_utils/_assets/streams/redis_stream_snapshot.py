# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: write one of the two readings of the streams into an open set."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ..._ansible.boundary import Invocation
from ..._caracal import streams as product
from ..._drivers.redis import preflight, reading
from ..._drivers.redis.connection import Address, Session
from ..._errors import OptionError
from ..._evidence import open_set
from ..._options import declared
from ..._options.declared import Is, Path
from ..._options.shared import OpenSetOptions, RecipientOptions, RedisOptions, RepositoryOptions
from ..._report.check import WARN
from ..._repository import layout as keys
from . import redis_readings
from .redis_readings import StreamEnd, StreamSummary


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    access: RepositoryOptions
    open_set: OpenSetOptions
    redis: RedisOptions = dataclasses.field(default_factory=RedisOptions)
    recipients: RecipientOptions = dataclasses.field(default_factory=RecipientOptions)
    reading: t.Literal[1, 2]
    signing_key: Path | None = None
    pattern: str = "caracal.*"
    dump_keys: t.Annotated[tuple[str, ...], Is(no_log=False)] = ()


class SnapshotResult(redis_readings.ReadingResult):
    """One reading of the streams. `reading` is its number, 1 or 2."""

    changed: bool
    set_id: str
    reading: int
    diff: dict[str, str]
    server_version: str
    seconds: float


def run(invocation: Invocation[Options]) -> SnapshotResult:
    """Check the prerequisites. Except in check mode, read the streams."""
    started = time.monotonic()
    given = invocation.options
    target = open_set.load(given.access, given.open_set, given.signing_key, given.recipients, invocation.check_mode)
    parts = target.parts()
    name = redis_readings.part(given.reading)
    if name not in parts:
        path = keys.redis_key(target.set_id, given.reading)
        target.refuse_leftovers([path, keys.details_key(path)])
    with Session(Address.from_options(given.redis), target.set_id) as session:
        facts = preflight.examine(session)
        names = _names(session, given)
        preflight.can_read(session, names[0] if names else product.STREAMS[0].name.encode())
        if name in parts:
            read: redis_readings.ReadingResult = parts[name]["result"]
        elif invocation.check_mode:
            target.check_writable(probe=False)
            read = {"streams": _expected(session, names), "artifacts": [], "checks": []}
        else:
            work = redis_readings.Reading(session, facts, _before(parts, given.reading))
            target.check_writable(probe=True)
            made = work.seal(target, given.reading, names, given.dump_keys if given.reading == 1 else [])
            target.add_part(name, made)
            read = made["result"]
    changed, checks = name not in parts, read.get("checks", [])
    for check in checks if changed else []:
        if check["verdict"] == WARN:
            invocation.warn(check["message"])
    listing = "".join(f"{one['name']}\n" for one in read["streams"])
    return {
        "changed": changed,
        "set_id": target.set_id,
        "reading": given.reading,
        "checks": checks,
        "streams": read["streams"],
        "artifacts": read["artifacts"],
        "diff": {"before": "" if changed else listing, "after": listing},
        "server_version": facts.version,
        "seconds": round(time.monotonic() - started, 3),
    }


def _names(session: Session, given: Options) -> list[bytes]:
    """Return the names of the streams. Raise OptionError if the other keys include a stream."""
    names = reading.find(session, given.pattern)
    twice = [one for one in given.dump_keys if one.encode() in names]
    if twice:
        raise OptionError(f"dump_keys contains {twice[0][:80]!a}, a stream that is always read; remove it")
    return names


def _before(parts: t.Mapping[str, t.Mapping[str, object]], number: int) -> t.Mapping[str, StreamEnd] | None:
    """Return the end of each stream in the first reading, or None if this is the first reading."""
    if number == 1:
        return None
    if redis_readings.part(1) not in parts:
        raise OptionError("reading 1 of the streams is missing in the set; run with reading=1 before the databases are dumped")
    return t.cast("t.Mapping[str, StreamEnd]", parts[redis_readings.part(1)]["streams"])


def _expected(session: Session, names: t.Sequence[bytes]) -> list[StreamSummary]:
    seen = [one for one in (reading.look(session, name) for name in names) if one]
    return [
        {
            "name": reading.text(one.name),
            "entries": one.length,
            "bytes": 0,
            "groups": len(one.groups),
            "pending": sum(group.pending for group in one.groups),
        }
        for one in seen
    ]
