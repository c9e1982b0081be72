# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies with audit rows that differ from the set: cut, edited, forked. They are read once, so one step reports everything."""

from __future__ import annotations

import pytest

from scenes import audit_damages
from scenes.audit_damages import World
from scenes.drilling import Drill

BLOCKS = "inventory.audit_blocks"
# Required checks that fail, and all causes that are reported.
CASES = {
    "half of the tail cut": ({BLOCKS}, ["chain.altered"]),
    "row in the middle deleted": ({BLOCKS, "audit.sequence"}, ["chain.altered"]),
    "decision changed": ({BLOCKS, "audit.content"}, ["chain.altered"]),
    "one row rewritten by an insider with the key": ({BLOCKS}, ["chain.altered"]),
    "tail rewritten without the key": ({BLOCKS, "audit.hmac"}, ["chain.altered"]),
    "tail forked": ({BLOCKS}, ["chain.altered"]),
    "zone removed": ({BLOCKS, "state.audit_query.search"}, ["chain.altered"]),
    "number twice": ({BLOCKS, "audit.sequence", "audit.content"}, ["chain.altered"]),
    "row in the default partition": ({BLOCKS}, ["chain.altered"]),
}
# On most days no row of the newest month is left, and a search for it finds none. Early in a month it still finds rows
# of the month before.
OF_THE_DAY = {"half of the tail cut": {"state.audit_query.search"}}


@pytest.mark.mutation
@pytest.mark.parametrize("name", CASES)
def test_drill_reports_a_damaged_audit_chain(store_drill: Drill, name: str) -> None:
    def bend() -> None:
        [(zone, head)] = store_drill.cluster.execute("SELECT zone_id, max(chain_seq) FROM audit_events GROUP BY 1 ORDER BY 2 DESC LIMIT 1")
        audit_damages.DAMAGES[name](World(store_drill.cluster, "caracal", zone, head))

    store_drill.after["restore"] = bend
    outcome = store_drill.run(until="keys")
    failed, causes = CASES[name]
    found = outcome.failed - OF_THE_DAY.get(name, set())
    assert (outcome.verdict, found, outcome.causes) == ("fail", failed, causes), outcome.summary()
