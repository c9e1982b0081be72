# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the services of Caracal on a restored copy, after verifying that they are isolated."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import time
import typing as t

from .._caracal import disarm, outbox, readiness, releases, replay, stream_signatures
from .._caracal.chains import chain_keys
from .._caracal.services import Service
from .._caracal.stream_signatures import AUDIT_KEY, STREAMS_KEY
from .._drivers.postgres.server import Server, Session
from .._drivers.services import http
from .._errors import OptionError, StageFailed, VersionMismatch
from .._reading import database_layout
from .._reasons import MISSING_FILE, UNSAFE_TO_START, Reason, because
from .._report.check import FAIL, PASS, UNPROVEN, WARN, Check
from .._report.text import clean, one_line
from .._sandbox import before, probe, programs
from .._sandbox.bundle import NETWORK, Bundle
from . import service_images, service_option
from .service_option import ServiceStart
from .service_plan import Plan, Restored

if t.TYPE_CHECKING:
    from .._images.sources import Sources

# The slowest answer of a service, when Redis is down, takes 20 s.
ANSWER_SECONDS = 25.0
PAUSE = 0.25
# A failure within a shorter time is not a finding about the set, even if the service answers.
LEAST_SECONDS = 10
NOT_HERE = "which does not exist on this host"
_ERROR = re.compile(r"^\W*(\w*(Error|Exception)|panic|fatal|error)\b.*:|\"level\":\s*(\"(error|fatal|panic)\"|[56]0\b)", re.IGNORECASE)
OUTBOX_DEAD = "outbox_dead"
_ALTER_ROLE = "SELECT pg_catalog.format('ALTER ROLE %%I LOGIN PASSWORD %%L', rolname, %s) FROM pg_catalog.pg_roles WHERE rolname = %s"
_TABLE = "SELECT pg_catalog.to_regclass(%s)"


@dataclasses.dataclass(frozen=True)
class Terms:
    """Services to start, and their terms.

    Nothing in `production` may be reachable. Without isolation, services start only with `unisolated_reason`. Each service has
    `ready_timeout` seconds to become ready. `sources` are where images can be found.
    """

    starts: t.Sequence[ServiceStart]
    restored: Restored
    sources: Sources
    production: t.Sequence[str] = ()
    unisolated_reason: str = ""
    ready_timeout: int = 90


@dataclasses.dataclass(frozen=True)
class Started:
    """The checks, and the names of the running services."""

    checks: list[Check]
    running: list[str]


def start(bundle: Bundle, terms: Terms) -> Started:
    """Verify that the sandbox is isolated, disarm the copy, and start each service and wait until it is ready."""
    for one in terms.starts:
        service_option.check(one)
    family = _family(bundle.server)
    plan = Plan(bundle, family, terms.restored, terms.starts, service_images.bring(terms.starts, terms.sources))
    checks = [probe.verify(bundle, [probe.parse(one) for one in terms.production], terms.unisolated_reason)]
    if checks[0].verdict in (FAIL, UNPROVEN):
        words = "the isolation of the sandbox is not proven"
        checks += [_not_started(service, words, UNSAFE_TO_START) for service in plan.services if service.required]
    else:
        checks += _run(bundle, plan, terms)
    return Started(checks, [service.name for service in plan.services if programs.alive(bundle, service.name)])


def _family(server: Server) -> str:
    with Session(server, releases.OWN_DATABASE) as session:
        detected = database_layout.read(session).detected
    if detected is None:
        raise VersionMismatch("the copy in the sandbox is not the database of Caracal; restore a set into it first")
    return detected.family


def _run(bundle: Bundle, plan: Plan, terms: Terms) -> list[Check]:
    checks = []
    if not any(programs.alive(bundle, service.name) for service in plan.services):
        with Session(bundle.server, releases.OWN_DATABASE) as session:
            before.save(bundle, before.look(bundle, session, terms.restored.replay))
    noted = before.load(bundle)
    dead = noted.dead_rows
    checks.append(replay.judge(noted.replay_doubts))
    checks += _frames(bundle, plan)
    commands = {service.name: plan.program(service, dead[outbox.EVENTS]) for service in plan.services if service.name in plan.own}
    disarmed = _prepare(bundle.server, plan)
    checks.append(disarmed)
    for service in plan.services:
        if service.name not in commands:
            checks += [_not_started(service, "no command is configured for it")] if service.required else []
        elif disarmed.verdict != PASS:
            checks.append(_not_started(service, "the copy could still reach external systems", UNSAFE_TO_START))
        elif _is_taken(bundle, service):
            words = f"another program uses its port {service.port} and would answer instead; end that program"
            checks.append(_not_started(service, words))
        else:
            programs.start(bundle, commands[service.name])
            checks.append(_as_before(_ready(bundle, service, plan, terms.ready_timeout, dead), dead))
    return checks


def _frames(bundle: Bundle, plan: Plan) -> list[Check]:
    """Check the signatures of stream entries.

    This happens before a service reads the entries and acknowledges those that it drops. The services report a secret that is
    not a key.
    """
    streams_key = chain_keys.parse_file(plan.restored(STREAMS_KEY), STREAMS_KEY, "STREAMS_HMAC_KEY")
    audit_secret, audit_key = plan.restored(AUDIT_KEY), None
    with contextlib.suppress(OptionError):
        audit_key = chain_keys.parse_file(audit_secret, AUDIT_KEY).secret
    with before.redis(bundle) as connected:
        return stream_signatures.judge(before.signed(connected), streams_key.secret, audit_key)


def _is_taken(bundle: Bundle, service: Service) -> bool:
    """Return True if the port is in use. Without isolation, a service of this host may listen there."""
    listening = {port for _address, port in bundle.run(probe.listening, namespaces=NETWORK)}
    return service.port in listening and not programs.alive(bundle, service.name)


def _prepare(server: Server, plan: Plan) -> Check:
    """Create logins for the services, and disarm rows of the copy that would act on external systems."""
    with Session(server, releases.OWN_DATABASE) as session:
        session.rows("BEGIN")
        for role, password in plan.passwords.items():
            _login(session, role, password)
        there = [arm for arm in disarm.arms(plan.family) if session.value(_TABLE, (f"public.{arm.table}",)) is not None]
        done = [f"{len(session.rows(arm.statement))} {arm.words}" for arm in there]
        session.rows("COMMIT")
        left = [f"{count} rows of {arm.table}" for arm in there if (count := session.value(arm.left))]
    if left:
        return Check("sandbox.disarmed", FAIL, f"{', '.join(left)} are still active in the copy; check the triggers of these tables")
    return Check("sandbox.disarmed", PASS, f"in the copy, {', '.join(done)}")


def _login(session: Session, role: str, password: str) -> None:
    """Set a password. The statement, which a server may log, contains only its verifier. Raise StageFailed if the role is missing."""
    found = session.value(_ALTER_ROLE, (session.verifier(role, password), role))
    if found is None:
        raise StageFailed(f"role {role} is missing in the copy, so its service cannot log in; see the check inventory.roles")
    session.rows(found)


def _ready(bundle: Bundle, service: Service, plan: Plan, timeout: int, dead: t.Mapping[str, int]) -> Check:
    """Request `/ready` until it returns 200, the process ends, the time is over, or waiting cannot change the reported reason.

    Only an answer is a finding about the set. A service that never listened may be configured wrongly on this host.
    """
    started, answered = time.monotonic(), False
    while True:
        answer = bundle.run(http.ask, http.Request("GET", f"{service.url}/ready", timeout=ANSWER_SECONDS))
        answered = answered or answer.status is not None
        took = round(time.monotonic() - started, 3)
        gone = not programs.alive(bundle, service.name)
        if answer.status == 200 and not gone:
            return Check(_id(service), PASS, f"ready after {took:.1f} s", service.required, {"service": service.name, "seconds": took})
        named = one_line(plan.redact(readiness.reason(answer.body)))
        if gone or took > timeout or (named == OUTBOX_DEAD and dead[outbox.COORDINATOR]):
            break
        time.sleep(PAUSE)
    state = "it exited" if gone else f"not ready within {timeout} s"
    fails = answered and (named == OUTBOX_DEAD or took >= LEAST_SECONDS)
    why = answer.error if answer.status is None else f"HTTP {answer.status}, {readiness.explain(named)}"
    last = _last_words(bundle, service, plan)
    details = {"service": service.name, "status": answer.status, "answer": named, "error": answer.error, "seconds": took, "log": last}
    # The operator configured the path, but it does not exist for the program. That is not a fault of the set.
    own = plan.own[service.name]
    paths = [one for one in own.command[1:] if one.startswith("/") and not (own.rootfs or os.path.lexists(one))]
    absent = [one for one in paths if any(one in line for line in last)]
    if gone and absent:
        words = f"{state}, and its command contains {absent[0]}, {NOT_HERE}; correct the path, or provide the file"
        return Check(_id(service), UNPROVEN, words, service.required, {**details, **because(MISSING_FILE)})
    words = f"{state}: {_telling(last) if gone and last else why}"
    if not answered:
        words = f"{words}; it never listened on port {service.port}: check its command and its log, or raise ready_timeout"
    elif not fails:
        words = f"{words}; less than {LEAST_SECONDS} s prove nothing about the set: raise ready_timeout"
    return Check(_id(service), FAIL if fails else UNPROVEN, words, service.required, details)


def _telling(lines: t.Sequence[str]) -> str:
    """Return the last line of a log that contains an error. Stack traces and the version of the runtime follow it."""
    return next((line for line in reversed(lines) if _ERROR.search(line)), lines[-1])


def _as_before(check: Check, dead: t.Mapping[str, int]) -> Check:
    """Return the check, considering dead rows from before the backup.

    A Coordinator with a dead row in its outbox is not ready, and was not ready at the time of the backup. The limit of the API
    was raised.
    """
    accepted = dead[outbox.EVENTS] if check.details["service"] == "api" else 0
    if check.verdict == PASS and accepted:
        return dataclasses.replace(
            check, message=f"{check.message}, with a limit of {accepted} dead rows in {outbox.EVENTS}, as in the set"
        )
    rows = dead[outbox.COORDINATOR]
    if check.verdict != FAIL or check.details["answer"] != OUTBOX_DEAD or not rows:
        return check
    words = f"not ready, as at the time of the backup: {rows} dead rows in {outbox.COORDINATOR}; send them again or delete them"
    return dataclasses.replace(check, verdict=WARN, message=words)


def _last_words(bundle: Bundle, service: Service, plan: Plan) -> list[str]:
    """Return the end of the service's log, without its secrets."""
    lines = [line for line in programs.log_lines(bundle, service.name, 40) if line.strip()]
    return [clean(plan.redact(line))[:300] for line in lines]


def _not_started(service: Service, why: str, reason: Reason | None = None) -> Check:
    return Check(_id(service), UNPROVEN, f"not started: {why}", service.required, {"service": service.name, **because(reason)})


def _id(service: Service) -> str:
    return f"services.{service.name}.ready"
