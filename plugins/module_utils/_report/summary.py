# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a drill in at most twenty lines, for the console."""

from __future__ import annotations

import typing as t

from .check import VERDICTS
from .document import DrillReport, ReportedSandbox, attention
from .drill import StepResult
from .text import duration, one_line, plural, readable, size

LINES = 20
WIDTH = 118
# The lines that remain for steps and for checks that need attention.
_STEPS = 4
_CHECKS = 3


def render(document: DrillReport, where: str) -> list[str]:
    """Return aligned lines with the verdict last. `where` is the location of the page."""
    restored, sandbox = document["set"], document["sandbox"]
    objects = plural(restored["artifacts"], "object") if restored["artifacts"] is not None else "objects unknown"
    content = f"{objects}, {size(restored['bytes'])}"
    lines = [
        ("drill", f"{document['drill_id']} of deployment {document['deployment']}, {duration(document['seconds'])}"),
        ("set", f"{restored['id']}, {restored['release'] or 'release unknown'}, {content}"),
        ("snapshot", _snapshot(document)),
        *_steps(document["steps"]),
        ("recovery time", _recovery(document)),
        ("checks", ", ".join(f"{document['counts'][verdict]} {verdict.replace('_', ' ')}" for verdict in VERDICTS)),
        *_checks(document),
        *_waivers(document),
        *_diagnosis(document),
        ("sandbox", one_line(_sandbox(sandbox))),
        ("separation", one_line(f"{document['separation']['verdict']}: {document['separation']['message']}")),
        ("freshness", f"{document['freshness']}, journal head {document['journal_head']}"),
        ("report", where),
    ]
    # The location of the report is never truncated, so that it can be copied.
    shown = [f"{label:<15} {words if label == 'report' else _cut(words)}" for label, words in lines]
    return [*shown, f"verdict: {document['verdict']}"]


def _snapshot(document: DrillReport) -> str:
    if document["rpo_seconds"] is None:
        return "unknown"
    return f"{readable(document['set']['snapshot_time'])}, {duration(document['rpo_seconds'])} old when the drill started"


def _recovery(document: DrillReport) -> str:
    measured, budget = document["rto_seconds"], document["budgets"]["rto_seconds"]
    words = duration(measured) if measured is not None else "not measured"
    return f"{words}, budget {duration(budget)}" if budget else words


def _diagnosis(document: DrillReport) -> list[tuple[str, str]]:
    """Return the first cause, which is the most specific, and its remedy."""
    return [line for one in document["diagnosis"][:1] for line in (("cause", one_line(one["cause"])), ("remedy", one_line(one["remedy"])))]


def _cut(words: str) -> str:
    return words if len(words) <= WIDTH else words[: WIDTH - 1] + "\u2026"


def _sandbox(sandbox: ReportedSandbox) -> str:
    isolation, protection, version = (sandbox[name] or "unknown" for name in ("isolation", "protection", "server_version"))
    return f"isolation {isolation}, files {protection}, PostgreSQL {version}"


def _steps(steps: t.Sequence[StepResult]) -> list[tuple[str, str]]:
    shown = steps if len(steps) <= _STEPS else steps[: _STEPS - 1]
    lines = []
    for step in shown:
        amount = f"{size(step['bytes']):>12}" if step["bytes"] is not None else ""
        rate = f"{step['mb_per_second']:>9.1f} MB/s" if step["mb_per_second"] else ""
        lines.append((f"  {one_line(step['name'])[:13]}", f"{duration(step['seconds']):>14}{amount}{rate}"))
    left = steps[len(shown) :]
    return lines + ([(f"  {len(left)} more", f"{duration(sum(step['seconds'] for step in left)):>14}")] if left else [])


def _checks(document: DrillReport) -> list[tuple[str, str]]:
    found = attention(document["checks"])
    shown = found if len(found) <= _CHECKS else found[: _CHECKS - 1]
    lines = [(f"  {check['verdict']}", one_line(f"{check['id']}: {check['message']}")) for check in shown]
    return lines + ([("", f"and {len(found) - len(shown)} more in the report")] if len(found) > len(shown) else [])


def _waivers(document: DrillReport) -> list[tuple[str, str]]:
    """Return the waivers. A long reason could hide other waived checks, so the reasons of several waivers are only in the report."""
    waivers = document["waivers"]
    waived = ", ".join(f"{one['check']} until {one['expires']}" for one in waivers)
    waived += f": {waivers[0]['reason']}" if len(waivers) == 1 else ""
    return [("waived", one_line(waived))] if waived else []
