# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Containers with labels at random: nothing that Compose did not create is found, and everything that it did create is."""

from __future__ import annotations

import random
import time
import typing as t

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.engine import answers
from faults.tally import LEAKED, LOST, Outcome, Tally
from scenes.engine_stand_in import LABEL, container

KIND = "labels"
VALUES: dict[str, tuple[t.Any, ...]] = {
    "project": ("caracal", "other", "", None),
    "service": ("postgres", "redis", "sts", "", None),
    "container-number": ("1", "2", "0", "-1", "1e3", "\u0661", "", None),
    "oneoff": ("False", "True", None),
    "config-hash": ("ab" * 32, "cd" * 32, "AB" * 32, "short", "", None),
    "project.working_dir": ("/srv/caracal", "/etc", None),
    "project.environment_file": ("/srv/caracal/.env", "/etc/shadow", None),
    "depends_on": ("", "redis:service_started:false", None),
}


def some(dice: random.Random) -> dict[str, str]:
    chosen = {f"{LABEL}{name}": dice.choice(values) for name, values in VALUES.items()}
    return {name: value for name, value in chosen.items() if value is not None}


def run(tally: Tally, dice: random.Random, deadline: float, most: int | None = None) -> None:
    for _number in range(most or 10_000):
        if time.monotonic() > deadline:
            break
        inherited, given = some(dice), some(dice) if dice.random() < 0.7 else {}
        # Only Compose sets its configuration hash; an image cannot.
        created = dice.random() < 0.5
        if created:
            given |= {
                f"{LABEL}project": "caracal",
                f"{LABEL}service": "postgres",
                f"{LABEL}container-number": "1",
                f"{LABEL}oneoff": "False",
            }
            given[f"{LABEL}config-hash"] = f"{dice.getrandbits(256):064x}"
        else:
            given.pop(f"{LABEL}config-hash", None)
        tally.add(KIND, f"{inherited} and {given}", judge(inherited, given, created))


def judge(inherited: dict[str, str], given: dict[str, str], created: bool) -> Outcome:
    """`given`: labels of the container in addition to the labels of its image. `created`: Compose set them."""
    seen = container("postgres")
    seen["Config"]["Labels"] = {**inherited, **given}
    try:
        found = answers.labels(seen, {"Config": {"Labels": inherited}})
    except Exception as exc:  # noqa: BLE001 - a traceback is a finding
        return Outcome(LOST, f"a traceback: {type(exc).__name__}: {exc}")
    if (found is not None) != created:
        return Outcome(LEAKED, f"{'nothing' if found is None else found} was found")
    strange = [name for name, value in (found or {}).items() if given.get(name) != value and name not in answers.ALWAYS]
    return Outcome(LEAKED, f"the image's own {strange}") if strange else Outcome()
