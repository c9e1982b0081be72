# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: restore the streams of a set, or only their groups, into an empty Redis."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ..._ansible.boundary import Invocation
from ..._caracal import streams as product
from ..._drivers.redis import preflight, reading, replaying, resp
from ..._drivers.redis.connection import Address, Session
from ..._drivers.redis.preflight import Facts
from ..._errors import BackupError, TargetRefused, VerificationFailed
from ..._evidence import access, restore_entry, sealed_set
from ..._options import declared
from ..._options.declared import Path, Rules, needed
from ..._options.shared import RecordedOptions, RedisOptions, RepositoryOptions, StoredSetOptions
from ..._report.check import FAIL, PASS, Check, CheckResult
from ..._repository import artifact as artifacts
from ..._repository import objects, records
from . import redis_compare, redis_provisioned, redis_snapshot_set
from .redis_snapshot_set import Snapshot


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    RULES = Rules(
        required_if=(
            ("groups_only", False, ("repository", "deployment", "allowed_signers", "high_water_mark", "identity_files")),
            ("groups_only", False, ("sandbox", "signing_key"), True),
        )
    )

    access: RepositoryOptions | None = None
    stored: StoredSetOptions = dataclasses.field(default_factory=StoredSetOptions)
    signing_key: Path | None = None
    sandbox: Path | None = None
    redis: RedisOptions = dataclasses.field(default_factory=RedisOptions)
    identity_files: tuple[Path, ...] | None = None
    confirm: tuple[str, ...] = ()
    groups_only: bool = False


class GroupName(t.TypedDict):
    """A created group."""

    stream: str
    group: str


class _ReplayResult(t.TypedDict):
    changed: bool
    target: str
    checks: list[CheckResult]
    diff: dict[str, str]


class _StreamsResult(_ReplayResult, total=False):
    set_id: str
    streams: list[redis_compare.StreamSummary]
    journal_head: str
    groups: list[GroupName]
    without_redis: list[str]


class RestoreResult(_StreamsResult):
    """The consumer groups with `groups_only`, otherwise the set and its streams."""

    seconds: float


def run(invocation: Invocation[Options]) -> RestoreResult:
    """Verify, check the target and its confirmation. Except in check mode, replay and compare."""
    started = time.monotonic()
    result = _groups_only(invocation) if invocation.options.groups_only else _restore(invocation)
    return {**result, "seconds": round(time.monotonic() - started, 3)}


def _restore(invocation: Invocation[Options]) -> _StreamsResult:
    given = invocation.options
    where, identity_files = needed(given.access, "repository"), needed(given.identity_files, "identity_files")
    opened = access.open_repository(where, warn=invocation.warn)
    opened.mark.advance(opened.journal, dry=True)
    # A Redis at a network address can be any server. Only a socket can be inside a sandbox.
    recorded = RecordedOptions(signing_key=given.signing_key, sandbox=given.sandbox)
    signer = restore_entry.signer_unless_inside(opened, where.deployment, recorded, [given.redis.redis_unix_socket or "/"])
    the_set = sealed_set.SealedSet(opened, given.stored.set_id, identity_files, given.stored.max_age)
    snapshot = redis_snapshot_set.load(opened, the_set, identity_files)
    with Session(Address.from_options(given.redis), the_set.set_id) as session:
        facts = preflight.examine(session)
        replay = replaying.Replay(session, the_set.set_id, product.SEED)
        preflight.confirm(session, facts, given.confirm, 0 if replay.leftover() or replay.provisioned() else facts.keys)
        checks = [] if invocation.check_mode else _replay(the_set.signed, snapshot, session, replay, identity_files)
    if not invocation.check_mode:
        if signer:
            restore_entry.enter(opened, signer, the_set, records.asset_body(artifacts.REDIS, [_target(session, facts)]))
        opened.mark.advance(opened.journal)
    names = snapshot.names()
    return {
        "changed": True,
        "set_id": the_set.set_id,
        "target": _target(session, facts),
        "streams": [redis_compare.public(one) for one in snapshot.streams],
        "checks": [check.to_result() for check in checks],
        "journal_head": opened.head,
        "diff": {"before": "", "after": "".join(f"{name}\n" for name in names)},
    }


def _replay(
    signed: objects.SignedObjects, snapshot: Snapshot, session: Session, replay: replaying.Replay, identity_files: t.Sequence[str]
) -> list[Check]:
    """Replay both readings, then compare. After an error the target is empty again."""
    replay.begin(name.encode() for name in snapshot.names())
    try:
        for path in snapshot.paths:
            with objects.open_sealed(signed, path, identity_files) as source:
                replay.apply(resp.commands(source, path), path)
                source.finish()
        checks = redis_compare.compare(session, snapshot, replay)
        failed = [check for check in checks if check.verdict == FAIL]
        if failed:
            raise VerificationFailed(f"set {snapshot.set_id}: {failed[0].message}", checks=[check.to_result() for check in checks])
        replay.finish()
        return checks
    except BackupError as exc:
        raise replay.undo(exc) from exc


def _groups_only(invocation: Invocation[Options]) -> _StreamsResult:
    """Create the missing provisioned groups at 0, so that earlier events are delivered. Existing groups are not changed."""
    with Session(Address.from_options(invocation.options.redis), "groups") as session:
        facts = preflight.examine(session)
        if facts.replica:
            raise TargetRefused(f"Redis {session.address} is a read-only replica; use its primary")
        kinds = redis_provisioned.other_types(session)
        if kinds:
            words = redis_provisioned.describe(kinds)
            raise TargetRefused(f"Redis {session.address}: {words}; stop the services and rename the key (RENAME), then run again")
        there = _groups(session)
        missing = _missing(there)
        if not invocation.check_mode:
            for stream, group in missing:
                session.call("XGROUP", "CREATE", stream, group, "0", "MKSTREAM")
            left = _missing(_groups(session))
    present = sorted(f"{name} {group}\n" for name, groups in there.items() for group in groups)
    return {
        "changed": bool(missing),
        "target": _target(session, facts),
        "groups": [{"stream": stream, "group": group} for stream, group in missing],
        "without_redis": list(product.WITHOUT_REDIS) if not facts.keys else [],
        "checks": [] if invocation.check_mode else [_all_there(len(missing), left).to_result()],
        "diff": {"before": "".join(present), "after": "".join(sorted([*present, *(f"{one} {group}\n" for one, group in missing)]))},
    }


def _groups(session: Session) -> dict[str, set[str]]:
    """Return the names of existing groups by stream."""
    seen = {known.name: reading.look(session, known.name.encode()) for known in product.STREAMS}
    return {name: {reading.text(group.name) for group in one.groups} if one else set() for name, one in seen.items()}


def _missing(there: t.Mapping[str, set[str]]) -> list[tuple[str, str]]:
    return [(known.name, group) for known in product.STREAMS for group in known.groups if group not in there[known.name]]


def _all_there(made: int, left: t.Sequence[tuple[str, str]]) -> Check:
    """Return the check that all groups exist. They are read again, since another client may have removed one."""
    if left:
        stream, group = left[0]
        return Check(
            "redis.groups", FAIL, f"{len(left)} groups are missing again, first {group} of {stream}; stop other clients of this Redis"
        )
    return Check("redis.groups", PASS, f"{made} groups were created at 0" if made else "every group exists")


def _target(session: Session, facts: Facts) -> str:
    return f"{session.address}@{facts.run_id}"
