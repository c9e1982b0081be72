# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import datetime as dt

import pytest

from scenes.twin_database import TwinFactory
from twin import invariants, keys, load, recompute
from twin.append import append
from twin.releases.known import RELEASES


@pytest.mark.parametrize("release", ["2026-06-04", "v1.0.0"])
def test_appended_events_extend_a_valid_chain(twin_cluster: TwinFactory, release: str) -> None:
    cluster = twin_cluster(release=release)
    secrets = keys.for_seed(cluster.spec.seed)
    zone, head = cluster.execute("SELECT zone_id, max(chain_seq) FROM audit_events GROUP BY 1 ORDER BY 2 DESC LIMIT 1")[0]
    with contextlib.closing(load.open_database(cluster.target, "caracal")) as connection:
        later = cluster.spec.now + dt.timedelta(seconds=5)
        assert append(connection, secrets, RELEASES[release], zone, 40, later) == head + 40
        assert append(connection, secrets, RELEASES[release], "a zone without events", 3, later) == 3
        assert recompute.faults(connection, secrets, release)[1] == []
        assert {"audit chain", "audit content"} & invariants.violations(connection, release).keys() == set()
    found = cluster.execute(f"SELECT count(*), max(chain_seq) FROM audit_events WHERE zone_id = '{zone}'")
    assert found == [(head + 40, head + 40)]
