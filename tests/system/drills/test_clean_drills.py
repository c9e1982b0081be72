# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Drills of sets and on hosts where nothing is wrong: they pass, and find nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenes.drilling import Drill, Outcome
from scenes.playing import Play


def patient(made: Drill) -> Drill:
    """On a host that has much else to do, services take their time."""
    made.settings.update(caracal_drill_ready_timeout=300, caracal_drill_settle_timeout=300)
    return made


def is_clean(outcome: Outcome) -> None:
    assert (outcome.verdict, outcome.failed, outcome.unproven, outcome.causes) == ("pass", set(), set(), []), outcome.told()


@pytest.mark.no_false_alarm
def test_a_drill_of_the_newer_family(store_drill: Drill) -> None:
    is_clean(patient(store_drill).run())


@pytest.mark.no_false_alarm
def test_a_drill_of_the_older_family(bare_drill: Drill) -> None:
    is_clean(patient(bare_drill).run())


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("kind", [pytest.param("store", marks=pytest.mark.story("drill")), "bare"])
def test_a_drill_by_the_playbook(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The same by Ansible itself."""
    made: Drill = request.getfixturevalue(f"{kind}_drill")
    play = Play("restore_drill", made.settings, tmp_path)
    assert play.ended() == 0, play.output()
    assert "verdict: pass" in play.output() and not made.sandbox.exists() and not play.left()
