# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The timeline of a drill: a bar for each step that shows its start and duration."""

from __future__ import annotations

from .document import DrillReport
from .drill import RESTORE, StepResult
from .page_parts import text
from .text import duration, size

# The width of the picture in units. The height has no meaning, since the picture is stretched.
WIDTH = 1000
HEIGHT = 14
LEAST = 3.0


def render(document: DrillReport) -> str:
    """Return the picture, with the recovery time below the steps that it spans, or an empty string without steps."""
    steps = document["steps"]
    if not steps:
        return ""
    end = max(step["start_seconds"] + step["seconds"] for step in steps)
    total = max(document["seconds"], end) or 1.0
    rows = [_row(step["name"], _bar(step["start_seconds"], step["seconds"], total), _note(step)) for step in steps]
    rows += _recovery(document, total)
    spent = sum(step["seconds"] for step in steps)
    rest = f", including {duration(document['seconds'] - spent)} between the steps" if document["seconds"] - spent > 0.05 else ""
    words = f'<p class="scale">from 0 to {text(duration(total))}{text(rest)}</p>'
    return f'<h2>Time of each step</h2>\n<section class="card timeline">{"".join(rows)}{words}</section>\n'


def budget_bar(measured: float | None, budget: float | None) -> str:
    """Return the used share of a budget, or an empty string if either value is unknown."""
    if measured is None or not budget:
        return ""
    kind = "over" if measured > budget else "within"
    return _svg(_rect(0, min(measured / budget, 1) * WIDTH, kind), f"{duration(measured)} of {duration(budget)}")


def _recovery(document: DrillReport, total: float) -> list[str]:
    """Return a bar that starts with the restore. The budget is a line, if it is inside the picture."""
    rto, budget = document["rto_seconds"], document["budgets"]["rto_seconds"]
    begin = next((step["start_seconds"] for step in document["steps"] if step["name"].startswith(RESTORE)), None)
    if rto is None or begin is None:
        return []
    mark = _rect((begin + budget) / total * WIDTH, LEAST, "limit") if budget and begin + budget <= total else ""
    label = f"recovery time: {duration(rto)}"
    picture = _svg(_rect(begin / total * WIDTH, rto / total * WIDTH, "within") + mark, label)
    note = duration(rto) + (f" of {duration(budget)}" if budget else "")
    return [_row("recovery time", picture, note)]


def _note(step: StepResult) -> str:
    amount = f", {size(step['bytes'])}" if step["bytes"] is not None else ""
    rate = f", {step['mb_per_second']} MB/s" if step["mb_per_second"] else ""
    return duration(step["seconds"]) + amount + rate


def _bar(start: float, seconds: float, total: float) -> str:
    return _svg(_rect(start / total * WIDTH, seconds / total * WIDTH, "bar"), f"from {duration(start)}, {duration(seconds)} long")


def _rect(left: float, width: float, kind: str) -> str:
    """Return a rectangle that is always wide enough to be visible and inside the picture."""
    width = min(max(width, LEAST), WIDTH)
    left = min(left, WIDTH - width)
    return f'<rect class="{kind}" x="{left:.2f}" y="0" width="{width:.2f}" height="{HEIGHT}"/>'


def _svg(shapes: str, label: str) -> str:
    return (
        f'<svg class="track" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{text(label)}">{shapes}</svg>'
    )


def _row(name: str, picture: str, note: str) -> str:
    return f'<div class="step"><div>{text(name)}</div><div>{picture}</div><div class="mono">{text(note)}</div></div>\n'
