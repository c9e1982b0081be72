# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a drill was, from the options of drill_report and from the set that it restored."""

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
from .._evidence import drill_set, options
from .._evidence.drill_set import DrilledSet
from .._evidence.options import Opened
from .._files import paths
from .._report import budget, waiver
from .._report.budget import Budgets
from .._report.check import PASS, UNPROVEN, VERDICTS, Check
from .._report.drill import Drill, Step, Who
from .._report.extent import ROLLBACK_FIELDS
from .._report.text import clean, one_line
from .._repository import holdings, layout

# NTP keeps hosts much closer; a greater difference is a wrong option.
CLOCK_TOLERANCE = datetime.timedelta(seconds=5)
FRESHNESS_CHECK = "journal.freshness"
LOG_TAIL = 256 << 10
SALT = 16
_CHECK_FIELDS = {"id": str, "verdict": str, "message": str, "required": bool, "details": dict}


def gather(given: t.Mapping[str, t.Any], opened: Opened, drilled: DrilledSet, signer: Signer, now: datetime.datetime) -> Drill:
    """The drill as it ended `now`. Raises OptionError for facts that cannot be."""
    started = _time("started", given["started"], now)
    checks = _checks(given["checks"], drilled)
    drill = Drill(
        id=layout.new_set_id(started, os.urandom(5)),
        deployment=opened.repository.deployment,
        repository=opened.repository.id,
        journal_head=opened.head,
        freshness=_freshness(checks, opened.freshness),
        started=started,
        finished=max(now, started),
        signer=Who(signer.principal, signer.fingerprint, options.machine()),
        tools=_tools(),
        restored=drill_set.facts(opened, drilled, given["identity_files"] or []),
        sandbox=given["sandbox"],
        steps=[_step(number, step, now) for number, step in enumerate(given["steps"], 1)],
        checks=checks,
        waivers=_waivers(given["waivers"], now, drilled),
        budgets=Budgets(*(_budget(name, given[name]) for name in ("rto_budget", "rpo_budget", "tail_budget"))),
        rollback=_rollback(given["rollback"]),
        salt=os.urandom(SALT),
        covered=newest.time if (newest := holdings.covered(opened.journal)) else None,
    )
    judged = [*checks, *budget.judge(drill.budgets, drill.rto_seconds, drill.rpo_seconds, drill.tail_seconds)]
    found = diagnosis.diagnose(judged, key_ids=drilled.key_ids, logs=_logs(given["log_files"]))
    return dataclasses.replace(drill, checks=judged, diagnosis=found)


def _checks(given: t.Sequence[t.Mapping[str, t.Any]], drilled: DrilledSet) -> list[Check]:
    """As they were made, without what an unreadable set makes untrue, and with the verdict on what is missing."""
    made = [_check(number, check) for number, check in enumerate(given, 1)]
    if drilled.problem:
        made = [drilled.problem, *(check for check in made if check.id != drilled.problem.id)]
    return required.complete(made, drilled.databases, *drilled.release, images=drilled.keeps_images)


def _time(option: str, text: str, now: datetime.datetime) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError as exc:
        raise OptionError(f"{option} is {text[:60]!a}; give the time in ISO 8601, as 2026-11-25T02:30:00Z") from exc
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    if moment - now > CLOCK_TOLERANCE:
        raise OptionError(f"{option} is {text}, which is still to come; correct it, or the clock of this host")
    return moment


def _freshness(checks: t.Sequence[Check], now: str) -> str:
    """The first module of a drill may have made the mark; so what the modules before this one saw counts too."""
    unproven = any(check.id == FRESHNESS_CHECK and check.verdict != PASS for check in checks)
    return UNPROVEN if unproven else now


def _waivers(given: t.Sequence[t.Mapping[str, t.Any]], now: datetime.datetime, drilled: DrilledSet) -> list[waiver.Waiver]:
    found = waiver.parse(given, now.date())
    if drilled.problem and any(one.check == drilled.problem.id for one in found):
        raise OptionError(f"{drilled.problem.id} is waived, but {drilled.problem.message}; nothing is known of this set, drill another")
    return found


def _budget(option: str, hours: float | None) -> float | None:
    """In seconds."""
    if hours is not None and not (math.isfinite(hours) and hours > 0):
        raise OptionError(f"{option} is {hours} hours; give a time above zero")
    return None if hours is None else hours * 3600


def _rollback(given: t.Sequence[t.Mapping[str, t.Any]] | None) -> list[dict[str, t.Any]] | None:
    if given is None:
        return None
    for number, one in enumerate(given, 1):
        if set(one) != set(ROLLBACK_FIELDS) or not isinstance(one["examples"], list) or not isinstance(one["count"], int | None):
            raise OptionError(f"rollback[{number}] has other fields than rollback_info returns; give its result as it is")
    return [{**one, **{name: clean(str(one[name])) for name in ("id", "words", "remedy")}} for one in given]


def _logs(files: t.Mapping[str, t.Any]) -> dict[str, list[str]]:
    """The last lines of each service's log; a file that is not there has none. Nothing of them is ever shown."""
    found = {}
    for service, path in files.items():
        try:
            with paths.reading(str(path)) as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - LOG_TAIL))
                found[str(service)] = stream.read().decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            found[str(service)] = []
        except OSError as exc:
            raise OptionError(f"log_files: {path}: {exc.strerror}; name a file that this user can read") from exc
    return found


def _check(number: int, given: t.Mapping[str, t.Any]) -> Check:
    """Ansible cannot look into these dictionaries, since it keeps the name `message` for itself."""
    found = {"required": True, "details": {}, **given}
    wrong = set(found.keys() ^ _CHECK_FIELDS.keys())
    wrong = wrong or {name for name, kind in _CHECK_FIELDS.items() if not isinstance(found[name], kind)}
    if not wrong and found["verdict"] not in VERDICTS:
        wrong = {"verdict"}
    if wrong:
        raise OptionError(f"checks[{number}] has a wrong or missing {min(wrong)}; give checks as the modules return them")
    return Check(one_line(found["id"]), found["verdict"], clean(found["message"]), found["required"], found["details"])


def _step(number: int, given: t.Mapping[str, t.Any], now: datetime.datetime) -> Step:
    if not (math.isfinite(given["seconds"]) and given["seconds"] >= 0):
        raise OptionError(f"steps[{number}] took {given['seconds']} seconds; give what the module returned")
    started = _time(f"steps[{number}].started", given["started"], now) if given["started"] else None
    return Step(one_line(given["name"]), given["seconds"], given["bytes"], started)


def _tools() -> dict[str, str | None]:
    """Versions of what made the report; None where a library does not say."""
    libraries = {"pyrage": _deps.require_pyrage(), "zstandard": _deps.require_zstandard(), "cryptography": _deps.require_cryptography()}
    return {"python": platform.python_version(), **{name: getattr(library, "__version__", None) for name, library in libraries.items()}}
