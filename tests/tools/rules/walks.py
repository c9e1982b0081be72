# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The walks of the architecture guide, held to the code: each step names a file and a function, and leads to the next.

A step is an item of a numbered list: ``file`` ``function``: words. It is called, made or handed on by the step before it. `Back in` begins
a step that returns to a function that is still at work, from which the walk goes on. Steps in YAML name a variable or a role.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t
from pathlib import Path

from tools.rules import calls, guide
from tools.rules.plays import Plays
from tools.rules.references import Code, Place

HEADING = "Three walks"
UTILS = "plugins/module_utils/"
# Where each walk begins and ends, and its length: so nothing is cut off, nor a last call left out before the walk goes back.
Ends = tuple[str, str, int]
ENDS: dict[str, Ends] = {
    "Recipients, from a variable to sealed bytes": (
        "playbooks/backup.yml caracal_ops.backup.caracal_backup",
        "_storage/local.py _LocalWriter.publish",
        55,
    ),
    "An audit row, from the server to the verdict": (
        "playbooks/verify_audit.yml caracal_ops.backup.caracal_backup",
        "roles/caracal_backup/tasks/verify_audit.yml __caracal_backup_audit",
        52,
    ),
    "A check, from where it is made to the journal": (
        "playbooks/restore_drill.yml caracal_ops.backup.caracal_drill",
        "_repository/mark.py HighWaterMark.advance",
        58,
    ),
}
_ITEM = re.compile(r"#\. (Back in )?``([^`\s]+)`` ``([^`\s]+)``: (.+)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Step:
    """As it stands in the guide. `words` say what happens there; an item of another form has no place."""

    place: Place
    back: bool
    words: str

    @property
    def is_play(self) -> bool:
        return self.place.path.endswith(".yml")

    def __str__(self) -> str:
        return f"{self.place.path.removeprefix(UTILS)} {self.place.name}" if self.place.path else self.words[:60]


def steps(text: str, title: str) -> list[Step]:
    """The steps of one walk."""
    items = re.findall(r"^#\. .*(?:\n   .*)*", guide.section(guide.section(text, HEADING), title, guide.SUBSECTION), re.MULTILINE)
    return [_step(" ".join(item.split())) for item in items]


def _step(item: str) -> Step:
    found = _ITEM.fullmatch(item)
    if not found:
        return Step(Place(""), False, item)
    path = f"{UTILS}{found[2]}" if found[2].startswith("_") else found[2]
    return Step(Place(path, found[3]), bool(found[1]), found[4])


class Walker:
    """Follows walks through one tree."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._code = Code(root)
        self._plays = Plays(root)

    def faults(self, text: str, ends: t.Mapping[str, Ends] = ENDS) -> list[str]:
        """The first fault of each walk of a guide, in one line that names the step."""
        titles = guide.subsections(guide.section(text, HEADING))
        if titles != list(ends):
            return [f"{guide.PATH}: the walks are {titles}, not {list(ends)}"]
        found = ((title, self._fault(steps(text, title), end)) for title, end in ends.items())
        return [f"{guide.PATH}: {title}: {fault}" for title, fault in found if fault]

    def _fault(self, walk: t.Sequence[Step], ends: Ends) -> str | None:
        at_work: list[Step] = []
        for number, step in enumerate(walk, 1):
            fault = self._missing(step) or self._astray(at_work, walk[: number - 1], step)
            if fault:
                return f"step {number}, {step}: {fault}"
            while step.back and not _is_same(at_work[-1], step):
                at_work.pop()
            at_work.append(step)
        found = (str(walk[0]), str(walk[-1]), len(walk)) if walk else ("", "", 0)
        return None if found == ends else "{2} steps from {0} to {1}, ".format(*found) + "and not {2} from {0} to {1}".format(*ends)

    def _missing(self, step: Step) -> str | None:
        if not step.place.path:
            return "names no file and function"
        if not (self._root / step.place.path).is_file():
            return "there is no such file"
        there = self._plays.mentions(step.place) if step.is_play else self._code.node(step.place)
        return None if there else f"{step.place.name} is not in it"

    def _astray(self, at_work: t.Sequence[Step], before: t.Sequence[Step], step: Step) -> str | None:
        """Why nothing leads to the step. `at_work` are those that have called or included each other, up to the last one."""
        if step.back:
            if not any(_is_same(one, step) for one in at_work):
                return "is not at work, so nothing goes back to it"
            return "the walk is there already" if _is_same(at_work[-1], step) else None
        if not at_work:
            return None
        last = at_work[-1]
        earlier = [one.place for one in before if one.is_play == last.is_play]
        if last.is_play:
            leads = self._plays.leads(last.place, step.place, earlier)
        else:
            leads = calls.leads(self._code, last.place, step.place, earlier)
        return None if leads else f"{last} does not lead to it"


def _is_same(one: Step, other: Step) -> bool:
    """Another variable of the same tasks is the same place."""
    return one.place.path == other.place.path and (one.is_play or one.place.name == other.place.name)
