# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collect the facts about a drill from the findings of its steps and from the restored set."""

from __future__ import annotations

import dataclasses
import datetime
import math
import os
import platform
import typing as t

from .. import _deps
from .._caracal import required
from .._caracal.causes import diagnosis
from .._crypto.signing import Signer
from .._errors import OptionError
from .._evidence import access, drill_set
from .._evidence.access import Opened
from .._evidence.drill_set import DrilledSet
from .._files import paths
from .._options.shared import WaiverOptions
from .._report import budget, waiver
from .._report.budget import Budgets
from .._report.check import PASS, UNPROVEN, Check, CheckResult
from .._report.drill import Drill, Step, Who
from .._report.extent import RollbackCategory
from .._report.text import clean, one_line
from .._repository import holdings, layout

if t.TYPE_CHECKING:
    from .drill_options import DrillOptions
    from .drill_state import RecordedStep

# NTP keeps hosts much closer. A greater difference means that the clock was changed.
CLOCK_TOLERANCE = datetime.timedelta(seconds=5)
FRESHNESS_CHECK = "journal.freshness"
LOG_TAIL = 256 << 10
SALT = 16


@dataclasses.dataclass(frozen=True)
class Findings:
    """The findings of a drill's steps, from its state.

    `started` is in ISO 8601, here and in `steps`. `sandbox` describes the sandbox, `rollback` lists what a restore of the set
    loses. `log_files` are paths by service, for the diagnosis.
    """

    set_id: str
    started: str
    checks: t.Sequence[CheckResult] = ()
    steps: t.Sequence[RecordedStep] = ()
    sandbox: t.Mapping[str, object] = dataclasses.field(default_factory=dict)
    rollback: t.Sequence[RollbackCategory] | None = None
    log_files: t.Mapping[str, str] = dataclasses.field(default_factory=dict)


def gather(given: DrillOptions, findings: Findings, opened: Opened, drilled: DrilledSet, signer: Signer, now: datetime.datetime) -> Drill:
    """Return the drill, which ended at `now`. Raise OptionError for contradictory facts."""
    started = _time("the drill", findings.started, now)
    checks = _checks(findings.checks, drilled)
    drill = Drill(
        id=layout.new_set_id(started, os.urandom(5)),
        deployment=opened.repository.deployment,
        repository=opened.repository.id,
        journal_head=opened.head,
        freshness=_freshness(checks, opened.freshness),
        started=started,
        finished=max(now, started),
        signer=Who(signer.principal, signer.fingerprint, access.machine()),
        tools=_tools(),
        restored=drill_set.facts(opened, drilled, given.all_identities),
        sandbox=dict(findings.sandbox),
        steps=[_step(step, now) for step in findings.steps],
        checks=checks,
        waivers=_waivers(given.report.waivers, now, drilled),
        budgets=Budgets(*(_budget(name, getattr(given, name)) for name in ("rto_budget", "rpo_budget", "tail_budget"))),
        rollback=_rollback(findings.rollback),
        salt=os.urandom(SALT),
        covered=newest.time if (newest := holdings.covered(opened.journal)) else None,
    )
    judged = [*checks, *budget.judge(drill.budgets, drill.rto_seconds, drill.rpo_seconds, drill.tail_seconds)]
    found = diagnosis.diagnose(judged, key_ids=drilled.key_ids, logs=_logs(findings.log_files))
    return dataclasses.replace(drill, checks=judged, diagnosis=found)


def _checks(given: t.Sequence[CheckResult], drilled: DrilledSet) -> list[Check]:
    """Return the checks as recorded, with a verdict for missing checks. A check of the set as unreadable replaces a recorded one."""
    made = [_check(check) for check in given]
    if drilled.problem:
        made = [drilled.problem, *(check for check in made if check.id != drilled.problem.id)]
    return required.complete(made, drilled.databases, *drilled.release, images=drilled.keeps_images)


def _time(what: str, text: str, now: datetime.datetime) -> datetime.datetime:
    when = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    if when - now > CLOCK_TOLERANCE:
        raise OptionError(f"{what} started at {text}, which is in the future: the clock of this host was set back; drill again")
    return when


def _freshness(checks: t.Sequence[Check], now: str) -> str:
    """Return the freshness of the journal.

    The first module of a drill may have created the high-water mark, so the findings of earlier modules count too.
    """
    unproven = any(check.id == FRESHNESS_CHECK and check.verdict != PASS for check in checks)
    return UNPROVEN if unproven else now


def _waivers(given: t.Sequence[WaiverOptions], now: datetime.datetime, drilled: DrilledSet) -> list[waiver.Waiver]:
    found = waiver.parse(given, now.date())
    if drilled.problem and any(one.check == drilled.problem.id for one in found):
        raise OptionError(f"{drilled.problem.id} is waived, but {drilled.problem.message}; a waiver does not help, so drill another set")
    return found


def _budget(option: str, hours: float | None) -> float | None:
    """Convert a budget in hours to seconds. Raises OptionError."""
    if hours is not None and not (math.isfinite(hours) and hours > 0):
        raise OptionError(f"{option} is {hours} hours; set a value above zero")
    return None if hours is None else hours * 3600


def _rollback(given: t.Sequence[RollbackCategory] | None) -> list[RollbackCategory] | None:
    if given is None:
        return None
    return [{**one, "id": clean(str(one["id"])), "words": clean(str(one["words"])), "remedy": clean(str(one["remedy"]))} for one in given]


def _logs(files: t.Mapping[str, str]) -> dict[str, list[str]]:
    """Return the last lines of each service's log, or none if the file does not exist. The lines are never shown."""
    found = {}
    for service, path in files.items():
        try:
            with paths.reading(path) as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - LOG_TAIL))
                found[service] = stream.read().decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            found[service] = []
        except OSError as exc:
            raise OptionError(f"cannot read log {path}: {exc.strerror}; drill as the user who created the sandbox") from exc
    return found


def _check(given: CheckResult) -> Check:
    """Return a check with cleaned text, which may originate from a hostile copy."""
    return Check(one_line(given["id"]), given["verdict"], clean(given["message"]), given["required"], given["details"])


def _step(given: RecordedStep, now: datetime.datetime) -> Step:
    """Return a step. Raise OptionError for an impossible time, which would make a recovery look faster than it was."""
    name = one_line(given["name"])
    if given["seconds"] < 0:
        raise OptionError(f"step {name} took {given['seconds']} seconds: the clock of this host was set back; drill again")
    return Step(name, given["seconds"], given.get("bytes"), _time(f"step {name}", given["started"], now))


def _tools() -> dict[str, str | None]:
    """Return the versions of the software that created the report, or None if a library does not provide its version."""
    libraries = {"pyrage": _deps.require_pyrage(), "zstandard": _deps.require_zstandard(), "cryptography": _deps.require_cryptography()}
    return {"python": platform.python_version(), **{name: getattr(library, "__version__", None) for name, library in libraries.items()}}
