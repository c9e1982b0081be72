# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module restore_drill: one step of a drill per call, from a set in a repository to a signed report.

Each step is a file in `steps`. If a step fails, the other steps still run. A play cannot set a verdict: checks are stored
between calls in a file on this host (`drill_state`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import traceback
import typing as t

from .._ansible.boundary import Invocation
from .._caracal.inventory import since_previous
from .._errors import BackupError, OptionError
from .._evidence import access
from .._reasons import HOST_FAILED, because
from .._report.check import FAIL, PASS, UNPROVEN, Check, CheckResult
from .._repository.fields import timestamp
from .._sandbox import lease
from .._sandbox.info import TOKEN, Layout
from . import blame, drill_state
from .drill_options import DrillOptions
from .drill_state import DrillState
from .steps.canary import Canary
from .steps.evidence import Evidence
from .steps.keys import Keys
from .steps.migrations import Migrations
from .steps.prepare import Prepare
from .steps.restore import Restore
from .steps.sandbox import Sandbox
from .steps.secrets import Secrets
from .steps.services import Services, services_of
from .steps.settle import Settle
from .steps.state import State
from .steps.step import SECRETS, Made, Step, Work
from .steps.verify import Verify

if t.TYPE_CHECKING:
    from .drill_report import ReportedDrill
    from .drill_state import DrillStepResult, RecordedStep

# In the order in which the steps run.
STEPS: tuple[Step, ...] = (
    Verify(),
    Sandbox(),
    Restore(),
    Migrations(),
    State(),
    Secrets(),
    Evidence(),
    Keys(),
    Prepare(),
    Services(),
    Canary(),
    Settle(),
)
BY_NAME = {step.name: step for step in STEPS}
PREFLIGHT, REPORT, DESTROY, VERDICT = "preflight", "report", "destroy", "verdict"
FROM_THE_JOURNAL = ("latest", "oldest", "random")
Options = DrillOptions
OF_HOST = "this drill host could not run the step: "


class EndedDrill(t.TypedDict):
    """A drill whose sandbox was destroyed."""

    changed: bool
    drill: str


class _Verdict(EndedDrill):
    set_id: str
    verdict: str


class DrillVerdict(_Verdict, total=False):
    """The verdict at the end of a play."""

    failed: bool
    msg: str


def run(invocation: Invocation[DrillOptions]) -> t.Mapping[str, object]:
    """Run the requested step. Raise errors only if no report is possible: the drill cannot start, or it is another drill's."""
    name = invocation.options.step
    if name in APART:
        return APART[name](invocation)
    kept = _begun(invocation) if name == Verify.name else drill_state.load(invocation.options, invocation.check_mode)
    with _token(kept.drill):
        return _reported(invocation, kept) if name == REPORT else _stepped(invocation, kept, BY_NAME[name])


@contextlib.contextmanager
def _token(drill: str) -> t.Iterator[None]:
    """Set the token in the environment, so that every use case uses the sandbox of this drill and no other."""
    before = os.environ.get(TOKEN)
    os.environ[TOKEN] = drill
    try:
        yield
    finally:
        del os.environ[TOKEN]
        if before is not None:
            os.environ[TOKEN] = before


def _begun(invocation: Invocation[DrillOptions]) -> DrillState:
    """Start a drill and return its state.

    A report refers to a set in the journal. So this raises an error if the journal cannot be trusted, or if the keys cannot
    sign or encrypt. Raises Busy if another drill is running in this directory.
    """
    from .._sandbox import preflight
    from . import drill_report
    from .drill_facts import Findings

    given = invocation.options
    token = drill_state.new_token()
    started = timestamp(access.now())
    try:
        check_settings(given)
        drill_state.refuse_another(given)
        preflight.state_of(Layout.of(given.sandbox_directory), token)
        chosen = _chosen(invocation)
        findings = Findings(chosen, started)
        drill_report.run(access.open_repository(given.access), given, findings, check_mode=True, warn=invocation.warn)
        made = DrillState(
            path=drill_state.place_of_trial(given, token) if invocation.check_mode else drill_state.place(given),
            drill=token,
            controller=lease.controller(),
            deployment=given.access.deployment,
            repository=given.access.repository,
            directory=given.sandbox_directory,
            set_id=chosen,
            started=started,
        )
        made.begin()
    except BackupError as exc:
        raise exc.reworded(f"{exc.msg} (no drill was run, and there is no report)") from exc
    return made


def check_settings(given: DrillOptions) -> None:
    """Raise OptionError for settings with which no drill can start."""
    if not given.identities:
        raise OptionError("identity_files is empty, so the set cannot be decrypted; set it to this host's identity")
    if not [*given.recipients.recipients, *given.recipients.recipients_files]:
        raise OptionError(
            "recipients and recipients_files are empty, so the details of the "
            "report could not be decrypted; set one of them to a public key"
        )
    if given.jobs < 1:
        raise OptionError(f"jobs is {given.jobs}; set it to 1 or more")
    since_previous.check_budget(given.shrink_budget)


def _chosen(invocation: Invocation[DrillOptions]) -> str:
    """Return the ID of the set that this drill restores."""
    from .._sets import backup_set_info

    given = invocation.options
    within = given.max_age if given.set_id in FROM_THE_JOURNAL else None
    options = backup_set_info.Options(access=given.access, select=given.set_id, within=within)
    return str(backup_set_info.run(Invocation(options, True, invocation.warn))["selected"])


def _stepped(invocation: Invocation[DrillOptions], kept: DrillState, step: Step) -> DrillStepResult:
    """Run a step unless earlier steps prevent it. The result is stored in the state before this returns."""
    work = Work(invocation, kept)
    if _lacking(kept, step) or step.lacks(work) or _had(kept, step):
        return _result(kept, [], changed=False)
    began = access.now()
    kept.begun, kept.worker = step.name, lease.own()
    kept.save()
    made = _taken(work, step)
    kept.begun = kept.worker = ""
    kept.kept.update(made.kept)
    if made.stops:
        kept.why[step.name] = made.why
    elif (step.name == Verify.name or not invocation.check_mode) and step.name not in kept.failed:
        # Check mode restores nothing that a later step could check.
        kept.done.append(step.name)
    own: RecordedStep = {"name": step.name, "started": timestamp(began), "seconds": (access.now() - began).total_seconds()}
    if made.bytes is not None:
        own["bytes"] = made.bytes
    kept.steps.append(own)
    kept.checks = _merged(kept.checks, made.checks)
    kept.save()
    return _result(kept, made.checks, changed=not invocation.check_mode and step.name != Verify.name)


def _taken(work: Work, step: Step) -> Made:
    """Run a step. An error becomes a failed check if it is the fault of the set, or an unproven one if it is the fault of this host."""
    try:
        if step.uses_secrets:
            work.refuse_changed_secrets()
        made = step.take(work)
        return dataclasses.replace(made, checks=blame.without_services(made.checks, work.state.checks)) if step.asks_services else made
    except BackupError as exc:
        fails = blame.of_set(exc, work.path(SECRETS)) and step.name != Sandbox.name
        words = exc.msg if fails else f"{OF_HOST}{exc.msg}"
        reason = blame.reason(exc, fails)
    except Exception as exc:  # noqa: BLE001 - the report must be written whatever it was
        # The error's own text may contain anything.
        where = traceback.extract_tb(exc.__traceback__)[-1]
        fails, reason = False, HOST_FAILED
        words = f"{OF_HOST}{type(exc).__name__} in {os.path.basename(where.filename)}, line {where.lineno}; report this bug"
    work.state.failed.append(step.name)
    check = Check(f"drill.{step.name}", FAIL if fails else UNPROVEN, words, details=because(reason))
    work.invocation.warn(f"step {step.name}: {check.message}")
    return Made([check.to_result()])


def _lacking(kept: DrillState, step: Step) -> list[str]:
    return [name for name in step.needs if name not in kept.done]


def _had(kept: DrillState, step: Step) -> bool:
    return step.name in (*kept.done, *kept.failed, *kept.why)


def _merged(before: t.Sequence[CheckResult], made: t.Sequence[CheckResult]) -> list[CheckResult]:
    """Merge checks. If several steps make the same check, the first result counts, unless a later one fails."""
    fails = {check["id"] for check in made if check["verdict"] == FAIL}
    kept = [check for check in before if check["id"] not in fails]
    known = {check["id"] for check in kept}
    return [*kept, *(check for check in made if check["id"] not in known)]


def _result(kept: DrillState, checks: t.Sequence[CheckResult], *, changed: bool) -> DrillStepResult:
    return {"changed": changed, "drill": kept.drill, "set_id": kept.set_id, "checks": list(checks)}


def _reported(invocation: Invocation[DrillOptions], kept: DrillState) -> ReportedDrill:
    """Write the report. A step that did not run is unproven, whether a prerequisite failed or the play skipped it."""
    from . import drill_report
    from .drill_facts import Findings

    if kept.verdict:
        raise OptionError(f"the report of the drill in {kept.directory} is already written; start another drill")
    made = [check.to_result() for step in STEPS if (check := _not_taken(invocation, kept, step))]
    findings = Findings(
        kept.set_id,
        kept.started,
        checks=[*kept.checks, *made],
        steps=kept.steps,
        sandbox=kept.kept.get("sandbox", {}),
        log_files=_logs(Work(invocation, kept)) if "sandbox" in kept.kept else {},
        rollback=kept.kept.get("rollback"),
    )
    given, trial = invocation.options, invocation.check_mode
    found = drill_report.run(access.open_repository(given.access), given, findings, check_mode=trial, warn=invocation.warn)
    kept.verdict, kept.words = found["verdict"], found.get("msg", "")
    kept.save()
    if invocation.check_mode:
        found["summary_lines"] = [f"verdict: {kept.verdict} (check mode: nothing was restored)"]
    return {**found, "drill": kept.drill}


def _not_taken(invocation: Invocation[DrillOptions], kept: DrillState, step: Step) -> Check | None:
    name = step.name
    if name in (*kept.done, *kept.failed) or kept.why.get(name) == "":
        return None
    if name == kept.begun:
        words = f"{OF_HOST}the step did not finish; see the output of the play"
        return Check(f"drill.{name}", UNPROVEN, words, details=because(HOST_FAILED))
    lacking = _lacking(kept, step)
    if invocation.check_mode:
        why = "check mode does not run this step"
    elif lacking:
        why = f"it needs the step {lacking[0]}"
    else:
        why = step.lacks(Work(invocation, kept)) or kept.why.get(name) or "the step was skipped"
    return Check(f"drill.{name}", UNPROVEN, f"not run: {why}")


def _logs(work: Work) -> dict[str, str]:
    return {one.name: work.path("programs", f"{one.name}.log") for one in services_of(work)}


def _destroyed(invocation: Invocation[DrillOptions]) -> EndedDrill:
    """Remove the sandbox of this drill only. Without `drill`, remove any sandbox that was left in the directory."""
    from .._sandbox import lifecycle

    given, trial = invocation.options, invocation.check_mode
    directory, drill = given.sandbox_directory, given.drill or ""
    is_ours = not drill or lifecycle.is_of(directory, drill)
    removed = is_ours and (lifecycle.exists(directory) if trial else lifecycle.destroy(directory))
    # If there is a verdict, the step that returns it removes the state.
    if not (given.drill or trial) or (drill_state.is_of(given, trial) and not drill_state.load(given, trial).verdict):
        drill_state.remove(given, trial)
    return {"changed": removed, "drill": drill}


def _judged(invocation: Invocation[DrillOptions]) -> DrillVerdict:
    """Return the verdict of the report at the end of the play.

    In check mode most steps do not run, so only the verdict `fail` counts.
    """
    kept = drill_state.load(invocation.options, invocation.check_mode)
    if not kept.verdict:
        raise OptionError(f"the drill in {kept.directory} has no report yet; run the step {REPORT} first")
    drill_state.remove(invocation.options, invocation.check_mode)
    result: DrillVerdict = {"changed": False, "drill": kept.drill, "set_id": kept.set_id, "verdict": kept.verdict}
    if kept.verdict == FAIL or (kept.verdict != PASS and not invocation.check_mode):
        result["failed"] = True
        result["msg"] = kept.words
    return result


def _inspected(invocation: Invocation[DrillOptions]) -> DrillStepResult:
    """Check whether a drill could run on this host, without starting one."""
    from . import preflight

    return preflight.run(invocation, check_settings, _chosen)


# Calls that are not steps of a running drill.
APART: dict[str, t.Callable[[Invocation], t.Mapping[str, object]]] = {PREFLIGHT: _inspected, DESTROY: _destroyed, VERDICT: _judged}
