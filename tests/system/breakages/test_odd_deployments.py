# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Healthy deployments, each odd in one way: backup and drill report no failure, and prove the same as for a plain deployment."""

from __future__ import annotations

import pytest

from scenes.oddities import oddities
from scenes.three_ways import BEFORE, FAIL, UNPROVEN, DeploymentOf

ODDITIES = oddities()
LEAST = 70
# Without a zone there is nothing to prove.
NOTHING = "no deployment yet"


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("name", ODDITIES)
def test_an_odd_deployment_is_proven(deployment_of: DeploymentOf, name: str) -> None:
    odd = ODDITIES[name]
    found = deployment_of(odd.release).outcome(BEFORE, odd)
    wrong = {FAIL} if NOTHING in name else {FAIL, UNPROVEN}
    assert found.verdict not in wrong, sorted(found.checks)


def test_there_are_enough_odd_deployments() -> None:
    assert len(ODDITIES) >= LEAST
