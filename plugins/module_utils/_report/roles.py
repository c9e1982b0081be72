# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Assemble the report of a role from the results of its modules.

`result` is for later tasks, `stats` for other jobs, and `summary` are the last lines on the console. Results come from a host.
They are copied and printed, but no action depends on their text.
"""

from __future__ import annotations

import re
import typing as t

from .check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, CheckResult
from .text import plural

if t.TYPE_CHECKING:
    from .role_answers import (
        ArchiveAnswers,
        ArchiveResult,
        AuditAnswers,
        BackupAnswers,
        BackupResult,
        CheckpointAnswers,
        DrillAnswers,
        FoundAnswers,
        RestoreAnswers,
        RestoreResult,
        RetentionAnswers,
        Timestamp,
        VerificationAnswers,
        Verified,
    )

# Results of modules and settings, by the names that the role gives them.
Answers = t.Mapping[str, object]
# All characters that a template, a shell or YAML could interpret.
_NOT_PLAIN = re.compile("[^A-Za-z0-9._-]")
_DRILL = (
    *("drill_id", "set_id", "verdict", "counts", "separation", "freshness", "seconds", "rto_seconds", "rpo_seconds", "report"),
    *("countersigned", "journal_head", "summary_lines", "diagnosis", "budgets"),
)
_RETENTION = ("verdict", "checks", "counts", "waivers", "journal_head", "freshness", "report", "seconds", "summary_lines")


class Report(t.TypedDict):
    result: t.Mapping[str, t.Any]
    stats: dict[str, t.Any]
    summary: list[str]


def report(kind: str, answers: Answers) -> Report:
    """Return the report of a `backup`, `restore`, `drill`, `checkpoint`, `audit`, `retention`, `archive` or `verification`.

    Raises KeyError for another kind.
    """
    return _KINDS[kind](answers)


def _backup(answers: BackupAnswers) -> Report:
    result = _backup_result(answers)
    verdict = FAIL if answers["committed"].get("verdict") == FAIL else answers["verified"].get("verdict", UNPROVEN)
    counted = {name: result[name] for name in ("artifacts", "bytes", "bytes_written", "seconds")}
    stats = {
        "deployment": answers["deployment"],
        "set_id": result["set_id"],
        "verdict": verdict,
        **counted,
        "timestamp": result["timestamp"]["verdict"],
        "journal_head": result["journal_head"],
    }
    return {"result": result, "stats": stats, "summary": [_backup_head(answers, result), *_summaries(answers)]}


def _backup_result(answers: BackupAnswers) -> BackupResult:
    preflight, dumped, committed = answers["looked"], answers["dumped"], answers["committed"]
    is_committed = "artifacts" in committed
    size, seconds = dumped.get("bytes", 0), dumped.get("seconds", 0.0)
    # The verification repeats the commit's check of the history.
    history = answers["verified"].get("checks", committed.get("checks", []))
    return {
        "set_id": preflight["set_id"],
        "committed": is_committed,
        "databases": _either("databases", dumped, preflight),
        "secrets": answers["secrets"].get("key_ids", preflight.get("secrets")),
        "pairing": _either("pairing", answers["secrets"], preflight),
        "replay": answers["replay"] if is_committed else _replay_seen(answers),
        "redis": answers["redis"].get("streams", preflight.get("redis")),
        "images": _either("images", answers["archived"], preflight),
        "left_out": answers["left_out"],
        "artifacts": committed.get("artifacts", 0),
        "bytes": committed.get("bytes", 0),
        "bytes_written": size,
        "seconds": seconds,
        "mb_per_second": round(size / 1000000 / seconds, 1) if seconds > 0 else 0.0,
        "journal_head": _either("journal_head", committed, preflight),
        "checks": [*dumped.get("checks", []), *history],
        "timestamp": _timestamp(answers),
    }


def _timestamp(answers: BackupAnswers) -> Timestamp:
    """Return the timestamp result. It is unproven if an authority is configured but was not queried."""
    unasked = (UNPROVEN, "no timestamp was requested") if answers["timestamp_url"] else (NOT_APPLICABLE, "not configured")
    given = answers["timestamp"]
    return {"verdict": given.get("verdict", unasked[0]), "message": given.get("message", unasked[1])}


def _replay_seen(answers: BackupAnswers) -> list[t.Mapping[str, object]]:
    return [*answers["looked"]["replay"], *answers["seen_elsewhere"]]


def _backup_head(answers: BackupAnswers, result: BackupResult) -> str:
    begin = "Set" if result["committed"] else "Check mode: nothing was written; the set would be"
    parts = ", ".join([*(one["database"] for one in result["databases"]), *_assets(answers, result)])
    head = f"{begin} {result['set_id']} of deployment {answers['deployment']} with {parts}"
    head += f"; left out: {', '.join(result['left_out'])}" if result["left_out"] else ""
    if result["committed"]:
        head += f": {plural(result['artifacts'], 'object')}, {round(result['bytes'] / 1000000, 1)} MB encrypted, "
        head += f"databases dumped in {round(float(result['seconds']), 1)} s{_unread(answers)}, journal head {result['journal_head']}"
    stamped = result["timestamp"]
    return head + (f"; timestamp: {stamped['verdict']}, {stamped['message']}" if answers["timestamp_url"] else "")


def _unread(answers: BackupAnswers) -> str:
    """Return the number of audit partitions that did not have to be read, as text."""
    partitions = answers["dumped"].get("partitions", [])
    unread = sum(not one["read_because"] for one in partitions)
    return f" ({unread} of {len(partitions)} audit partitions unchanged and not read)" if unread else ""


def _assets(answers: BackupAnswers, result: BackupResult) -> list[str]:
    """Return what a set contains besides databases."""
    archived = sum(one.get("state") == "archived" for one in _replay_seen(answers))
    words = {
        f"secrets with KEK {result['secrets'].get('kek')}": "kek" in result["secrets"],
        plural(archived, "replay volume"): "replay" in answers["assets"],
        plural(len(result["redis"]), "Redis stream"): "redis" in answers["assets"],
        plural(len(result["images"]), "image"): answers["with_images"],
    }
    return [text for text, shown in words.items() if shown]


def _restore(answers: RestoreAnswers) -> Report:
    result = _restore_result(answers)
    counted = [one for one in result["rollback"] if one["count"]]
    stats = {
        "deployment": answers["deployment"],
        "set_id": result["set_id"],
        "snapshot_time": result["snapshot_time"],
        "verdict": answers["verified"].get("verdict", UNPROVEN),
        "databases": len(result["databases"]),
        "taken_back": len(counted),
        "rollback_complete": result["rollback_complete"],
    }
    names = ", ".join(one["database"] for one in result["databases"]) or "its databases"
    begin = "Check mode: nothing was changed; set" if answers["check_mode"] else "Restored set"
    head = f"{begin} {result['set_id']} of deployment {answers['deployment']}, {names}, snapshot of {result['snapshot_time']}"
    bad = [one for one in result["checks"] if one["verdict"] not in (PASS, NOT_APPLICABLE)]
    back = _taken_back(result)
    lines = [head, *_unlooked(answers), *_summaries(answers), *_check_lines(bad), *back, *_next(answers, bool(back))]
    return {"result": result, "stats": stats, "summary": lines}


def _restore_result(answers: RestoreAnswers) -> RestoreResult:
    preflight, restored = answers["looked"], answers["databases"]
    known = {one["id"] for one in preflight["checks"]}
    # Checks of the restored databases that the preflight could not run.
    new = [one for one in restored.get("checks", []) if one["id"] not in known]
    return {
        "set_id": preflight["set_id"],
        "snapshot_time": preflight["set_facts"]["snapshot_time"],
        "databases": _either("databases", restored, preflight),
        "replaced": _either("replaced", restored, preflight),
        "secrets": answers["secrets"].get("key_ids", preflight.get("secrets")),
        "safety_copy": _either("safety_copy", answers["secrets"], preflight),
        "replay": answers["replay"].get("volumes", preflight.get("replay")),
        "checks": [*preflight["checks"], *new, *answers["verified"].get("checks", [])],
        "rollback": answers["rollback"].get("rollback", []),
        "rollback_complete": answers["rollback"].get("complete", False),
    }


def _unlooked(answers: RestoreAnswers) -> list[str]:
    waiting = answers["looked"]["waiting"] if answers["check_mode"] else []
    return [f"Checked only after the restore has started PostgreSQL and Redis: {', '.join(waiting)}"] if waiting else []


def _taken_back(result: RestoreResult) -> list[str]:
    counted = [f"{one['count']} - {one['words']} - {one['remedy']}" for one in result["rollback"] if one["count"]]
    unknown = [f"{one['words']} - {one['remedy']}" for one in result["rollback"] if one["count"] is None]
    head = "Changes lost by this restore; repeat them before users can reach the Gateway:"
    return [head, *counted, *unknown] if counted or unknown else []


def _next(answers: RestoreAnswers, taken_back: bool) -> list[str]:
    steps = {
        "repeat the changes above, ": taken_back,
        "start the services, ": not answers["start_services"],
        "try a token exchange and a protected request, then ": not answers["has_application"],
    }
    passed = answers["verified"].get("verdict") == PASS
    return [f"Next: {''.join(text for text, wanted in steps.items() if wanted)}run a backup immediately."] if passed else []


def _drill(answers: DrillAnswers) -> Report:
    found: t.Mapping[str, object] = answers["drill"]
    result = answers["drill"]
    stats = {
        "deployment": answers["deployment"],
        "drill_id": result["drill_id"],
        "set_id": result["set_id"],
        "verdict": result["verdict"],
        "cause": result["diagnosis"][0]["id"] if result["diagnosis"] else "",
        "failed": result["counts"]["fail"],
        "unproven": result["counts"]["unproven"],
        **{name: found[name] for name in ("seconds", "rto_seconds", "rpo_seconds")},
        "separation": result["separation"]["verdict"],
        "freshness": result["freshness"],
        "countersigned": result["countersigned"],
        "report": result["report"]["html"],
        "sha256": result["report"]["sha256"],
        "journal_head": result["journal_head"],
    }
    return {"result": {name: found[name] for name in _DRILL if name in found}, "stats": stats, "summary": result["summary_lines"]}


def _checkpoint(answers: CheckpointAnswers) -> Report:
    result = answers["checkpoint"]
    counted = {name: result[name] for name in ("verdict", "rows", "blocks", "seconds", "journal_head")}
    stats = {"deployment": answers["deployment"], "checkpoint": result["checkpoint"] or "", **counted}
    how = "would be entered" if answers["check_mode"] else "entered"
    entered = f"Checkpoint {result['checkpoint']} {how}: {plural(result['rows'], 'row')} in {plural(result['blocks'], 'block')}"
    messages = "; ".join(one["message"] for one in result["checks"])
    end = f"{round(result['seconds'], 1)} s, journal head {result['journal_head']}; {messages}"
    return {
        "result": dict(result),
        "stats": stats,
        "summary": [f"{entered if result['checkpoint'] else 'No new rows, so no checkpoint'}; {end}"],
    }


def _audit(answers: AuditAnswers) -> Report:
    result = answers["audit"]
    rows, zones = (result["coverage"]["chains"]["audit"][name] for name in ("rows", "zones"))
    ended = {"seconds": result["seconds"], "journal_head": result["journal_head"]}
    stats = {
        "deployment": answers["deployment"],
        "verdict": result["verdict"],
        "finding": finding(result),
        "rows": rows,
        "zones": zones,
        **ended,
    }
    head = f"{result['verdict']}: {result['coverage']['asked']}, {plural(rows, 'event')} of {plural(zones, 'zone')}, "
    head += f"{round(result['seconds'], 1)} s, journal head {result['journal_head']}"
    bad = [one for one in result["checks"] if one["verdict"] != PASS]
    return {"result": dict(result), "stats": stats, "summary": [head, *_check_lines(bad)]}


def _retention(answers: RetentionAnswers) -> Report:
    found: t.Mapping[str, object] = answers["retention"]
    result = answers["retention"]
    stats = {
        "deployment": answers["deployment"],
        "verdict": result["verdict"],
        "finding": finding(result),
        "failed": result["counts"]["fail"],
        "unproven": result["counts"]["unproven"],
        "report": next(iter(result["report"]), ""),
        "seconds": result["seconds"],
        "journal_head": result["journal_head"],
    }
    shown = {name: found[name] for name in _RETENTION if name in found}
    return {"result": shown, "stats": stats, "summary": [*_summaries(answers), *result["summary_lines"]]}


def _archive(answers: ArchiveAnswers) -> Report:
    filled, verified = answers["filled"], answers["verified"]
    result: ArchiveResult = {
        "archived": filled["archived"],
        "extended": filled["extended"],
        "unchanged": filled["unchanged"],
        "days": filled["days"],
        "last_hour": filled["last_hour"],
        "journal_head": filled["journal_head"],
        "verdict": verified.get("verdict"),
        "checks": verified.get("checks", []),
        "coverage": verified.get("coverage", {}),
    }
    verdict = result["verdict"]
    stats = {
        "deployment": answers["deployment"],
        "verdict": verdict or "",
        "finding": finding({"verdict": verdict, "checks": result["checks"]}) if verdict else "",
        "archived": len(result["archived"]),
        "extended": len(result["extended"]),
        "unchanged": result["unchanged"],
        "last_hour": result["last_hour"],
        "journal_head": result["journal_head"],
    }
    head = f"{'To archive' if answers['check_mode'] else 'Archived'}: {plural(len(result['archived']), 'hour')}, "
    head += f"{stats['extended']} locked for longer, {result['unchanged']} unchanged, "
    head += f"{plural(len(result['days']), 'day')} entered into the journal, last hour {result['last_hour']}; "
    head += f"verdict {verdict or 'not requested'}; journal head {result['journal_head']}"
    bad = [one for one in result["checks"] if one["verdict"] != PASS]
    return {"result": result, "stats": stats, "summary": [head, *_check_lines(bad)]}


def _verification(answers: VerificationAnswers) -> Report:
    result = answers["verification"]
    stats = {
        "deployment": answers["deployment"],
        "verdict": result["verdict"],
        "finding": finding(result),
        "sets": result["sets"],
        "failed_sets": len(result["failed_sets"]),
        **{name: result[name] for name in ("part", "parts", "objects", "bytes", "journal_head")},
    }
    head = f"Verdict {result['verdict']}: {plural(result['sets'], 'set')}, part {result['part']} of {result['parts']} "
    head += f"with {plural(result['objects'], 'object')} read, journal head {result['journal_head']}; "
    head += f"{'; '.join(one['message'] for one in result['checks'])}"
    return {"result": dict(result), "stats": stats, "summary": [head]}


def finding(result: Verified) -> str:
    """Return the ID of the first check that decides a verdict other than pass, as plain text."""
    verdict = result["verdict"]
    return "" if verdict == PASS else next((_NOT_PLAIN.sub("_", one["id"]) for one in result["checks"] if one["verdict"] == verdict), "")


def _check_lines(checks: t.Iterable[CheckResult]) -> list[str]:
    return [f"{one['verdict']} {one['id']} {one['message']}" for one in checks]


def _summaries(answers: FoundAnswers) -> list[str]:
    """Return the summaries of the tasks before the role's own work."""
    return [one["summary"] for one in (answers[name] for name in ("located", "programs") if name in answers) if "summary" in one]


def _either(name: str, first: t.Mapping[str, object], second: t.Mapping[str, object]) -> t.Any:
    return first[name] if name in first else second[name]


_KINDS: dict[str, t.Callable[..., Report]] = {
    "backup": _backup,
    "restore": _restore,
    "drill": _drill,
    "checkpoint": _checkpoint,
    "audit": _audit,
    "retention": _retention,
    "archive": _archive,
    "verification": _verification,
}
