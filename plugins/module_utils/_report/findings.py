# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Report problems of a deployment's hosts before a job runs on them, as lines for the console.

A host can return any answer. So a result counts as a success only with a field that only successes return, and everything else
is a finding. A success with an unproven required check is a finding too.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._errors import BackupRunning
from .check import FAIL, PASS, UNPROVEN
from .text import one_line, plural

# For each checked part, a field that only its success returns.
SUCCESS = {
    "backup": "journal_head",
    "replay": "volumes",
    "drill": "set_id",
    "retention": "verdict",
    "archive": "journal_head",
    "restore": "set_id",
    "deployment": "deployment",
}
HOST = "host"
UNREACHABLE = "Unreachable"
NOT_CHECKED = "NotLookedAt"
UNVERIFIED = "VerificationFailed"
# A running backup is not a problem of its host, and everything else was checked anyway.
RUNNING = BackupRunning.__name__
Result = t.Mapping[str, object]


class Inspection(t.TypedDict, total=False):
    """The check of a part.

    `result` is the result of its task, `deployment` the result of the task that it depends on. `of` is the host to which it was
    delegated.
    """

    part: str
    result: Result
    deployment: Result
    of: str


@dataclasses.dataclass(frozen=True)
class Finding:
    """A problem. `parts` are the parts that it affects, `error` is the class of the error."""

    host: str
    parts: tuple[str, ...]
    error: str
    message: str


class Report(t.TypedDict):
    """The verdict on all hosts, each finding as a mapping, and the lines for the console."""

    verdict: str
    findings: list[dict[str, object]]
    lines: list[str]


def report(hosts: t.Sequence[str], looks: t.Mapping[str, t.Sequence[Result]]) -> Report:
    """Return the report. Its verdict is `fail` if there is a finding, else `pass`."""
    found = gather(hosts, looks)
    return {
        "verdict": FAIL if found else PASS,
        "findings": [dataclasses.asdict(one) for one in found],
        "lines": lines(hosts, looks, found),
    }


def gather(hosts: t.Sequence[str], looks: t.Mapping[str, t.Sequence[Result]]) -> list[Finding]:
    """Return the findings by host, in order of discovery. The values of `looks` are like `Inspection`. Equal messages are one finding."""
    found: dict[tuple[str, str], Finding] = {}
    for host in hosts:
        mine = t.cast("list[Inspection]", list(looks.get(host) or []))
        if not mine:
            mine = [{"part": HOST, "result": {"error": NOT_CHECKED, "msg": "was not checked; see the lines above for the reason"}}]
        for inspection in mine:
            for finding in _of(str(inspection.get("of") or host), inspection):
                # Each task reports an unreachable host in different words.
                key = (
                    finding.host,
                    UNREACHABLE if finding.error == UNREACHABLE and inspection["result"].get("unreachable") else finding.message,
                )
                parts = (*found[key].parts, *finding.parts) if key in found else finding.parts
                found[key] = dataclasses.replace(finding, parts=tuple(dict.fromkeys(parts)))
    return list(found.values())


def _of(host: str, inspection: Inspection) -> list[Finding]:
    part, result = str(inspection.get("part")), inspection.get("result") or {}
    before = inspection.get("deployment") or {}
    if before and not before.get("skipped") and SUCCESS["deployment"] not in before:
        result = before
    elif part in SUCCESS and SUCCESS[part] in result and not (result.get("failed") or result.get("unreachable")):
        return _unproven(host, part, result)
    if result.get("unreachable"):
        return [Finding(host, (part,), UNREACHABLE, f"{_words(result)}; check the host's address, and that this user can log in there")]
    problems = result.get("problems")
    if isinstance(problems, list) and problems:
        found = [one for one in problems if isinstance(one, dict) and one.get("error") != RUNNING]
        return [Finding(host, (part,), one_line(str(one.get("error"))), _words(one)) for one in found]
    return [Finding(host, (part,), one_line(str(result.get("error") or "ModuleFailed")), _words(result))]


def _unproven(host: str, part: str, result: Result) -> list[Finding]:
    """Return what required checks of a success could not verify, unless they are waived.

    Each error that prevented reading evidence is a finding. All other unproven checks, for example because a setting is
    missing, are one finding, which names the first of them.
    """
    checks = result.get("checks")
    open_checks = [one for one in checks if isinstance(one, dict) and _is_open(one)] if isinstance(checks, list) else []
    unread = [one for one in open_checks if _error(one)]
    others = [one for one in open_checks if not _error(one)]
    found = [Finding(host, (part,), _error(one), one_line(str(one.get("message")))) for one in unread]
    if others:
        more = f" ({plural(len(others) - 1, 'more check')} unproven)" if len(others) > 1 else ""
        words = f"not verified: {one_line(str(others[0].get('id')))}: {one_line(str(others[0].get('message')))}{more}"
        found.append(Finding(host, (part,), UNVERIFIED, words))
    return found


def _is_open(check: Result) -> bool:
    return check.get("verdict") == UNPROVEN and bool(check.get("required")) and not check.get("waived")


def _error(check: Result) -> str:
    """Return the class of the error that prevented a check from reading its evidence, or an empty string."""
    details = check.get("details")
    return one_line(str(details.get("error") or "")) if isinstance(details, dict) else ""


def _words(result: Result) -> str:
    return one_line(str(result.get("msg") or "the check failed without a message; run the playbook of this part in check mode"))


def lines(hosts: t.Sequence[str], looks: t.Mapping[str, t.Sequence[Result]], found: t.Sequence[Finding]) -> list[str]:
    """Return a line for each part of each host, followed by its problems with consecutive numbers."""
    all_hosts = list(dict.fromkeys([*hosts, *(one.host for one in found)]))
    bad = {one.host for one in found}
    result = [f"{plural(len(found), 'finding')} on {len(bad)} of {plural(len(all_hosts), 'host')}" if found else _well(all_hosts)]
    number = 0
    for host in all_hosts:
        mine = [one for one in found if one.host == host]
        well = [str(inspection.get("part")) for inspection in looks.get(host) or [] if not inspection.get("of")]
        well = [part for part in dict.fromkeys(well) if not any(part in one.parts for one in mine)]
        if well:
            result.append(f"{one_line(host)}: {', '.join(well)} ok")
        for one in mine:
            number += 1
            result.append(f"{one_line(host)}: {', '.join(one.parts)}: ({number}) {one.message}")
    return result


def _well(hosts: t.Sequence[str]) -> str:
    return f"no findings on {plural(len(hosts), 'host')}"
