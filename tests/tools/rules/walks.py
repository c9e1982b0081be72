# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The walks of the architecture guide, compared with the code: each step names a file and a public function that an earlier step leads to.

A step is an item of a numbered list: ``file`` ``function``: words. An earlier step that still runs calls the function
or passes it on, itself or through private functions of its own file. Steps in YAML name a variable or a role. A walk
returns to tasks that still run by naming another variable of them.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t
from pathlib import Path

from tools.rules import calls, guide
from tools.rules.plays import Plays
from tools.rules.references import Code, Place, is_private

HEADING = "Three walks through the code"
UTILS = "plugins/module_utils/"
# The first and last step of each walk, and its length, so that no walk is cut off and the last call is not left out.
Ends = tuple[str, str, int]
ENDS: dict[str, Ends] = {
    "Recipients, from a variable to sealed bytes": (
        "playbooks/backup.yml caracal_ops.backup.caracal_backup",
        "_storage/base.py ObjectWriter.publish",
        27,
    ),
    "An audit row, from the server to the verdict": (
        "playbooks/verify_audit.yml caracal_ops.backup.caracal_backup",
        "roles/caracal_backup/tasks/verify_audit.yml __caracal_backup_audit",
        26,
    ),
    "A check, from its creation to the journal": (
        "playbooks/restore_drill.yml caracal_ops.backup.caracal_drill",
        "_repository/mark.py HighWaterMark.advance",
        27,
    ),
}
_ITEM = re.compile(r"#\. ``([^`\s]+)`` ``([^`\s]+)``: (.+)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Step:
    """A step of the guide. `words` describe what happens there. An item of another form has no place."""

    place: Place
    words: str

    @property
    def is_play(self) -> bool:
        return self.place.path.endswith(".yml")

    def __str__(self) -> str:
        return f"{self.place.path.removeprefix(UTILS)} {self.place.name}" if self.place.path else self.words[:60]


def steps(text: str, title: str) -> list[Step]:
    """Return the steps of one walk."""
    items = re.findall(r"^#\. .*(?:\n   .*)*", guide.section(guide.section(text, HEADING), title, guide.SUBSECTION), re.MULTILINE)
    return [_step(" ".join(item.split())) for item in items]


def _step(item: str) -> Step:
    found = _ITEM.fullmatch(item)
    if not found:
        return Step(Place(""), item)
    path = f"{UTILS}{found[1]}" if found[1].startswith("_") else found[1]
    return Step(Place(path, found[2]), found[3])


class Walker:
    """Follows walks through one tree."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._code = Code(root)
        self._plays = Plays(root)

    def faults(self, text: str, ends: t.Mapping[str, Ends] = ENDS) -> list[str]:
        """Return the first fault of each walk of a guide, in one line that names the step."""
        titles = guide.subsections(guide.section(text, HEADING))
        if titles != list(ends):
            return [f"{guide.PATH}: the walks are {titles}, not {list(ends)}"]
        found = ((title, self._fault(steps(text, title), end)) for title, end in ends.items())
        return [f"{guide.PATH}: {title}: {fault}" for title, fault in found if fault]

    def _fault(self, walk: t.Sequence[Step], ends: Ends) -> str | None:
        trail = _Trail(self._code, self._plays)
        for number, step in enumerate(walk, 1):
            fault = self._missing(step) or trail.astray(step)
            if fault:
                return f"step {number}, {step}: {fault}"
        found = (str(walk[0]), str(walk[-1]), len(walk)) if walk else ("", "", 0)
        return None if found == ends else "{2} steps from {0} to {1}, ".format(*found) + "and not {2} from {0} to {1}".format(*ends)

    def _missing(self, step: Step) -> str | None:
        if not step.place.path:
            return "names no file and function"
        if not (self._root / step.place.path).is_file():
            return "there is no such file"
        if not step.is_play and is_private(step.place):
            return "is private; name the public function that calls it"
        there = self._plays.mentions(step.place) if step.is_play else self._code.node(step.place)
        return None if there else f"{step.place.name} is not in it"


class _Trail:
    """One walk up to its current step: the steps that still run, each called by the one before it, and those that have returned."""

    def __init__(self, code: Code, plays: Plays) -> None:
        self._code = code
        self._plays = plays
        # Each step with the private functions of its file that it leads to.
        self._running: list[tuple[Step, list[Place]]] = []
        self._ended: list[Place] = []

    def astray(self, step: Step) -> str | None:
        """Go on to a step, or return why no step leads to it. Steps called by the step that leads to it have returned."""
        lead = next((depth for depth in range(len(self._running), 0, -1) if self._leads(depth, step)), 0)
        if self._running and not lead:
            return "no step that still runs leads to it"
        self._ended += [place for _step, reached in self._running[lead:] for place in reached]
        del self._running[lead:]
        self._running.append((step, [step.place] if step.is_play else calls.reach(self._code, step.place, self._callers(lead))))
        return None

    def _callers(self, depth: int) -> list[Place]:
        return [place for step, reached in self._running[:depth] if not step.is_play for place in reached]

    def _leads(self, depth: int, step: Step) -> bool:
        """Return whether the innermost of the first `depth` running steps leads to the step."""
        last, reached = self._running[depth - 1]
        if last.is_play:
            # Another variable of the same tasks belongs to a task that runs later.
            is_same = last.place.path == step.place.path
            return is_same or self._plays.leads(last.place, step.place, [one.place for one, _reached in self._running[:depth]])
        callers = self._callers(depth - 1)
        return any(
            calls.leads(self._code, one, step.place, [*callers, *reached[:index]], [*self._ended, *reached])
            for index, one in enumerate(reached)
        )
