# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers of a host that lies: with facts, with words that move a cursor, of any shape, and with an ID that leads elsewhere."""

from __future__ import annotations

import random
import re
import time
import typing as t

from ansible.errors import AnsibleError

from ansible_collections.caracal_ops.backup.plugins.filter.checked_set_id import checked_set_id
from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible import answers
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from ansible_collections.caracal_ops.backup.plugins.module_utils._report import findings
from faults.tally import LEAKED, LOST, Outcome, Tally
from scenes import recorded_plays

KIND = "facts"
ORDERS = ("ansible_facts", "ansible_stats", "add_host", "add_group")
FIELDS = ("msg", "stdout", "content", "diff", "checks", "message", "result", "problems", "error", "set_id", "part", "unreachable", "failed")
PIECES = (
    "\x1b[2J",
    "\u202e",
    "\x9b",
    "\r",
    "\n",
    "\x00",
    "\ud800",
    "../",
    "/etc/passwd",
    "localhost",
    "{{ lookup('pipe', 'id') }}",
    "a",
    "-",
    "é",
)
SET_ID = "20261125T020000Z-k3f9"
# Per run. The faults take no time, and more of them prove nothing more.
MOST = 2000
_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[a-z0-9]{4}\Z")


def run(_world: t.Any, tally: Tally, dice: random.Random, deadline: float, most: int | None = None) -> None:
    names = recorded_plays.names()
    for _number in range(most or MOST):
        if time.monotonic() > deadline:
            break
        answer = {**_mapping(dice, 3), **{one: {dice.choice(names): _value(dice, 2)} for one in ORDERS if dice.random() < 0.5}}
        tally.add(KIND, f"answer {answer!r}"[:400], judge(answer, _id(dice), dice.choice(names)))


def judge(answer: dict[str, t.Any], set_id: str, name: str) -> Outcome:
    """Return everything that the controller derives from such an answer."""
    try:
        accepted = answers.cleaned(answer, "there")
        looks = {"there": [{"part": "backup", "result": accepted, "deployment": accepted.get("result")}]}
        lines = (
            findings.lines(["there"], looks, findings.gather(["there"], looks)) if isinstance(looks["there"][0]["deployment"], dict) else []
        )
    except Exception as exc:  # noqa: BLE001 - any traceback is a fault
        return Outcome(LOST, f"{type(exc).__name__}: {exc}")
    if any(one in accepted for one in ORDERS):
        return Outcome(LOST, "an order to Ansible was accepted")
    if not all(text.isprintable() for text in [*_texts(accepted, False), *lines]):
        return Outcome(LEAKED, "a word that cannot be printed")
    return Outcome() if _refused(lambda: answers.refuse_own_names({name: 1}, "there")) and _checked(set_id) else Outcome(LOST, set_id)


def _checked(set_id: str) -> bool:
    return _ID.match(set_id) is not None or _refused(lambda: checked_set_id(set_id))


def _refused(work: t.Callable[[], object]) -> bool:
    try:
        work()
    except (AnsibleError, BackupError):
        return True
    return False


def _texts(value: t.Any, lines: bool) -> t.Iterator[str]:
    if isinstance(value, str):
        yield value.replace("\n", "").replace("\t", "") if lines else value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from _texts(one, lines or key in ("stdout", "content", "diff"))
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one, lines)


def _id(dice: random.Random) -> str:
    at = dice.randrange(len(SET_ID))
    return SET_ID[:at] + dice.choice(PIECES) + SET_ID[at + dice.randrange(2) :]


def _mapping(dice: random.Random, depth: int) -> dict[str, t.Any]:
    return {dice.choice(FIELDS) if dice.random() < 0.8 else _text(dice): _value(dice, depth) for _ in range(dice.randrange(1, 6))}


def _value(dice: random.Random, depth: int) -> t.Any:
    kind = dice.randrange(6) if depth else dice.randrange(4)
    if kind == 4:
        return [_value(dice, depth - 1) for _ in range(dice.randrange(4))]
    return _mapping(dice, depth - 1) if kind == 5 else (_text(dice), dice.randrange(9), None, dice.random() < 0.5)[kind]


def _text(dice: random.Random) -> str:
    return "".join(dice.choice(PIECES) for _ in range(dice.randrange(1, 8)))
