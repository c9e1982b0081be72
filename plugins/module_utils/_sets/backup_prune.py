# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: the only one that deletes artifacts of a committed set.

Everything is read and verified first, so that an error changes nothing. The journal entry is written before the first
object is deleted. From then on the set is over, and the next run completes a prune that was killed.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
import typing as t

from .._ansible.boundary import Invocation
from .._crypto.signing import Signer
from .._errors import BackupError, Busy, ObjectExists, OptionError, StorageError
from .._evidence import access, clocks, metrics
from .._evidence.access import JournalResult, Opened
from .._options import declared
from .._options.declared import Path
from .._options.shared import RepositoryOptions
from .._repository import entry as entries
from .._repository import journal as journals
from .._repository import layout as keys
from .._repository.decisions import Prune
from .._repository.entry import Draft
from .._repository.manifest import Manifest
from .._repository.mark import UNPROVEN
from .._repository.retention import plan as plans
from .._repository.retention.facts import Facts, Policy
from .._repository.retention.plan import Plan
from . import lease, prune_facts

COUNTS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
ATTEMPTS = 10
HOURS_LIMIT = 24 * 36525


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    access: RepositoryOptions
    signing_key: Path
    metrics_file: Path | None = None
    keep_last: int = 0
    keep_hourly: int = 0
    keep_daily: int = 0
    keep_weekly: int = 0
    keep_monthly: int = 0
    keep_yearly: int = 0
    keep_within: float = 0.0
    minimum: int = 3
    grace: float = 48.0
    max_sets_per_day: int = 25
    max_shrinkage: float = 0.5
    accepted_sets: tuple[str, ...] = ()


class DecisionResult(t.TypedDict):
    """The decision on a set, with its reasons."""

    set_id: str
    decision: str
    reasons: list[str]


class RetainedResult(t.TypedDict):
    """An object that the store refuses to delete for now."""

    key: str
    until: str | None
    reason: str


class _Prune(JournalResult):
    changed: bool
    sets: list[DecisionResult]
    pruned: list[str]
    objects: int
    garbage: list[str]
    renewed: list[str]
    partials: int
    bytes: int
    retained: list[RetainedResult]
    stopped: list[str]
    recipients: list[prune_facts.RecipientResult]
    freshness: str


class PruneResult(_Prune, total=False):
    """The result of a prune; `msg` and `failed` are set if it was stopped."""

    msg: str
    failed: bool


def run(invocation: Invocation[Options]) -> PruneResult:
    given = invocation.options
    policy = _policy(given)
    opened = access.open_repository(given.access, warn=invocation.warn)
    signer = access.signer(opened, given.access.deployment, given.signing_key, keys.PRUNE)
    opened.mark.advance(opened.journal, dry=invocation.check_mode)
    opened.store.check_writable(probe=False)
    facts, manifests, plan = _plan(opened, policy)
    # Renew locks even if nothing is pruned: an unlocked object could be deleted by an intruder in the meantime.
    renewed = lease.due(opened.store, lease.keys(manifests, plan.ends), facts.now)
    if not invocation.check_mode:
        for key in renewed:
            opened.store.extend(key)
    if not plan.stopped and not invocation.check_mode:
        facts, manifests, plan = _enter(opened, signer, policy, (facts, manifests, plan))
        _delete(opened, plan)
    before = facts.now - policy.grace
    partials = 0 if plan.stopped else opened.store.sweep(before, dry=invocation.check_mode)
    result = _result(opened, plan, renewed, partials, prune_facts.recipients(opened, facts, manifests, plan.ends))
    metrics.leave(invocation.options.metrics_file, invocation, lambda: metrics.of_prune(given.access.deployment, plan, access.now()))
    return result


def _policy(given: Options) -> Policy:
    """Build the policy from the options. Raises OptionError."""
    counts = {name: int(getattr(given, f"keep_{name}")) for name in COUNTS}
    for name, number in {**{f"keep_{one}": number for one, number in counts.items()}, "keep_within": given.keep_within}.items():
        if number < 0:
            raise OptionError(f"{name} is {number}; give 0 or more")
    if not any(counts.values()) and not given.keep_within:
        raise OptionError("no retention rule is set; set keep_last, keep_daily or another of the keep_ options")
    for name, number in {"minimum": given.minimum, "max_sets_per_day": given.max_sets_per_day}.items():
        if number < 1:
            raise OptionError(f"{name} is {number}; give 1 or more")
    if not 1 <= given.grace <= HOURS_LIMIT:
        raise OptionError(f"grace is {given.grace}; give hours, at least 1 and at most a century")
    if not (math.isfinite(given.keep_within) and given.keep_within <= HOURS_LIMIT):
        raise OptionError(f"keep_within is {given.keep_within}; give hours, at most a century")
    if not 0 < given.max_shrinkage < 1:
        raise OptionError(f"max_shrinkage is {given.max_shrinkage}; give a share between 0 and 1, such as 0.5")
    return Policy(
        **counts,
        within=datetime.timedelta(hours=given.keep_within),
        minimum=given.minimum,
        grace=datetime.timedelta(hours=given.grace),
        max_sets_per_day=given.max_sets_per_day,
        max_shrinkage=given.max_shrinkage,
        accepted_sets=frozenset(keys.check_id(one) for one in given.accepted_sets),
    )


Planned = tuple[Facts, dict[str, Manifest], Plan]


def _plan(opened: Opened, policy: Policy) -> Planned:
    """Return the facts, manifests and plan. Raises if a manifest or an entry is not trusted, because it is then unknown what is needed."""
    try:
        facts, manifests = prune_facts.read(opened)
    except BackupError as exc:
        raise exc.reworded(f"nothing is pruned: {exc.msg}") from exc
    plan = plans.make(facts, policy)
    quiet = clocks.silence(opened.journal, facts.now)
    if quiet:
        plan = plans.stop(plan.decisions, (quiet, *plan.stopped))
    if opened.freshness == UNPROVEN:
        # In a journal without its newest entries, the newest sets would look like leftovers of a killed run.
        words = f"this host sees the repository for the first time; compare head {opened.head} with the last backup's head, then run again"
        plan = plans.stop(plan.decisions, (words, *plan.stopped))
    return facts, manifests, plan


def _enter(opened: Opened, signer: Signer, policy: Policy, planned: Planned) -> Planned:
    """Append the prune entry, and return the plan that it records.

    The entry directly follows the entries that the plan is based on. A run that only finishes an earlier prune needs no
    entry.
    """
    for _attempt in range(ATTEMPTS):
        _facts, _manifests, plan = planned
        if plan.stopped or not (set(plan.ends) - opened.catalog.condemned().keys() or plan.garbage):
            return planned
        try:
            journals.append_once(opened.repository, opened.journal, signer, _draft(opened, plan))
        except ObjectExists:
            journals.refresh(opened.repository, opened.journal)
            planned = _plan(opened, policy)
            continue
        opened.mark.advance(opened.journal)
        return planned
    raise Busy(f"nothing is pruned: other writers appended to the journal of {opened.store.location} {ATTEMPTS} times in a row; try again")


def _draft(opened: Opened, plan: Plan) -> Draft:
    records = {one.set_id: one for one in opened.catalog.sets()}
    subjects = [entries.subject(keys.manifest_key(one), records[one].manifest_sha256) for one in plan.ends]
    reasons = {one.set_id: "; ".join(one.reasons) for one in plan.decisions if one.set_id in plan.ends}
    about = subjects or [entries.subject(keys.REPOSITORY, opened.repository.sha256)]
    return Draft(entries.PRUNE, about, Prune(reasons, plan.keys, plan.bytes).to_body(), access.times(), access.machine())


def _delete(opened: Opened, plan: Plan) -> None:
    for key in plan.keys:
        try:
            opened.store.purge(key)
        except BackupError as exc:
            raise exc.reworded(f"{exc.msg}; the journal records what is pruned, run this again to delete the rest") from exc
    left = sorted(set(plan.keys) & {one.key for folder in prune_facts.FOLDERS for one in opened.store.list(folder)})
    if left:
        raise StorageError(f"{opened.store.location}/{left[0]} still exists after it was deleted; find out why, and run this again")
    # Remove the directories of sets, drills and checkpoints only. Running backups may use the other directories.
    places = [key.split("/") for key in plan.keys if not key.startswith(f"{keys.OBJECTS}/")]
    for folder in sorted({"/".join(place[:depth]) for place in places for depth in range(2, len(place))}, reverse=True):
        if not opened.store.list(folder):
            opened.store.clear(folder)


def _result(
    opened: Opened, plan: Plan, renewed: t.Sequence[str], partials: int, recipients: list[prune_facts.RecipientResult]
) -> PruneResult:
    ends = set(plan.ends)
    lines = [(one.set_id in ends, f"set {one.set_id}: {'; '.join(one.reasons)}\n") for one in plan.decisions]
    garbage = "".join(f"left by a killed run: {one.key}\n" for one in plan.garbage)
    locks = "".join(f"lock renewed: {key}\n" for key in renewed)
    result: PruneResult = {
        "changed": bool(plan.keys or plan.ends or renewed or partials),
        "sets": [{"set_id": one.set_id, "decision": one.what, "reasons": list(one.reasons)} for one in plan.decisions],
        "pruned": list(plan.ends),
        "objects": len(plan.objects),
        "garbage": [one.key for one in plan.garbage],
        "renewed": list(renewed),
        "partials": partials,
        "bytes": plan.bytes,
        "retained": [
            {"key": key, "until": access.timestamp(why.until) if why.until else None, "reason": why.reason} for key, why in plan.retained
        ],
        "stopped": list(plan.stopped),
        "diff": {
            "before": "".join(line for _gone, line in lines) + garbage,
            "after": "".join(line for gone, line in lines if not gone) + locks,
        },
        "recipients": recipients,
        "journal_head": opened.head,
        "freshness": opened.freshness,
    }
    if plan.stopped:
        result.update({"failed": True, "msg": f"nothing is pruned: {'; '.join(plan.stopped)}"})
        result["diff"] = {"before": "", "after": locks}
    return result
