# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both chains of a real database: read whole or in parts of partitions, they give the same rows and commitments."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._audit.chains import chain_reading
from ansible_collections.caracal_ops.backup.plugins.module_utils._audit.chains.chain_reading import ChainPass, Chains, Pages, pieces
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import audit_blocks
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_chains import ADMIN
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.chain_keys import AuditKey
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import client_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.guard import Guard
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.snapshot import Snapshot
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StageFailed
from ansible_collections.caracal_ops.backup.plugins.module_utils._reading import database_layout, reading
from scenes.twin_database import Copier, TwinCluster
from twin import keys
from unit.plugins.module_utils._caracal.chains.chain_rows import answer, faults

PSQL = client_binaries.find(None, minimum_major=17, tools=("psql",)).paths["psql"]
SIZE = st.integers(0, 1 << 50)


@given(SIZE, SIZE, st.integers(1, 64))
def test_pieces_cover_every_page_once_and_none_is_more_than_a_share(size: int, others: int, jobs: int) -> None:
    found = pieces(size, size + others, jobs)
    pages, whole = -(-size // chain_reading.PAGE), -(-(size + others) // chain_reading.PAGE)
    share = max(chain_reading.LEAST_PAGES, whole // (jobs * chain_reading.PIECES))
    if found == [None]:
        assert jobs == 1 or pages <= 2 * share
        return
    ranges = t.cast("list[Pages]", found)
    assert jobs > 1
    assert ranges[0][0] == 0
    assert [after for _start, after in ranges[:-1]] == [start for start, _after in ranges[1:]]
    assert ranges[-1][1] is None  # pages that were added after the size was queried
    ends = [pages if after is None else after for _start, after in ranges]
    assert all(0 < end - start <= share for (start, _after), end in zip(ranges, ends, strict=True))
    assert len(ranges) <= jobs * chain_reading.PIECES + 1


@pytest.mark.parametrize(
    ("jobs", "expected"), [(1, [None]), (2, [(0, 4096), (4096, 8192), (8192, None)]), (64, [(0, 4096), (4096, 8192), (8192, None)])]
)
def test_partition_is_split_only_into_useful_pieces(jobs: int, expected: list[Pages | None]) -> None:
    size = 8193 * chain_reading.PAGE
    assert pieces(size, size, jobs) == expected
    assert pieces(8192 * chain_reading.PAGE, size, jobs) == [None]


def key_of(cluster: TwinCluster) -> AuditKey:
    return AuditKey(keys.for_seed(cluster.spec.seed).audit_hmac_key)


def plan_of(cluster: TwinCluster, **other: t.Any) -> ChainPass:
    return ChainPass(**{"psql": PSQL, "keys": (key_of(cluster),), "recompute": True, "jobs": 1, "commit": True, **other})


def read(cluster: TwinCluster, database: str, plan: ChainPass) -> Chains:
    with Guard(cluster.server, database, 60) as guard, Snapshot(cluster.server, database, alone=False) as held:
        return chain_reading.read(held.place, database_layout.read(held.session), plan, guard)


def lines(found: Chains) -> list[bytes]:
    return sorted(block.line() for block in found.blocks)


@pytest.fixture(scope="module")
def whole(caracal_database: TwinCluster) -> Chains:
    """Return the chains of the twin, with each partition read in one part."""
    return read(caracal_database, "caracal", plan_of(caracal_database))


@pytest.mark.no_false_alarm
def test_the_chains_of_the_twin_are_right(whole: Chains, caracal_database: TwinCluster) -> None:
    assert whole.admin
    assert faults(whole.events) == {}
    assert set(faults(whole.admin)) <= {"unkeyed"}  # rows of a writer without a key
    assert sum(zone.rows for zone in whole.events.values()) == caracal_database.spec.events == sum(leaf.rows for leaf in whole.leaves)
    heads = caracal_database.execute("SELECT zone_id, max(chain_seq), count(*) FROM audit_events GROUP BY 1")
    seen = [(name.decode(), [(run.low, run.high) for run in zone.links.runs], zone.rows) for name, zone in whole.events.items()]
    assert sorted(seen) == sorted((zone, [(1, head)], rows) for zone, head, rows in heads)
    assert all(
        {0: [(1, rows)]} == {key: found.ranges() for key, found in whole.events[zone.encode()].keys.items()} for zone, _head, rows in heads
    )
    assert [leaf.name for leaf in whole.leaves if leaf.month is None] == ["audit_events_default"]


def test_blocks_equal_the_blocks_of_a_backup(whole: Chains, caracal_database: TwinCluster) -> None:
    with Snapshot(caracal_database.server, "caracal") as held:
        layout = database_layout.read(held.session)
        expected = [block for leaf in layout.leaves for block in reading.leaf(held.place, leaf, PSQL).blocks]
        expected += reading.rest(held.place, [table for table in layout.rest if table.name == ADMIN.table]).blocks
    assert lines(whole) == sorted(block.line() for block in expected) != []
    assert whole.unread == 0


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("share", [1, 5])
def test_parallel_page_ranges_give_the_same_as_whole_partitions(
    whole: Chains, caracal_database: TwinCluster, share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_reading, "LEAST_PAGES", share)
    monkeypatch.setattr(chain_reading, "PIECES", 1000)
    cut: list[list[t.Any]] = []
    monkeypatch.setattr(chain_reading, "pieces", lambda *size: cut.append(pieces(*size)) or cut[-1])
    found = read(caracal_database, "caracal", plan_of(caracal_database, jobs=2))
    assert max(map(len, cut)) > 2  # otherwise the test proves nothing
    assert answer(found.events) == answer(whole.events)
    assert answer(found.admin or {}) == answer(whole.admin or {})
    assert (lines(found), found.leaves) == (lines(whole), whole.leaves)


@pytest.mark.mutation
def test_damage_is_found_equally_in_pieces_of_partitions(
    caracal_database: TwinCluster, caracal_copy: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = caracal_copy()
    zone, number = caracal_database.execute(
        "SELECT zone_id, max(chain_seq) - 9 FROM audit_events GROUP BY 1 ORDER BY 2 DESC", database=name
    )[0]
    row = f"zone_id = '{zone}' AND chain_seq = {number}"
    caracal_database.execute(
        "ALTER TABLE audit_events DISABLE TRIGGER USER",
        f"UPDATE audit_events SET decision = 'forged' WHERE {row}",
        f"UPDATE audit_events SET chain_hmac = 'x' WHERE {row.replace(str(number), str(number + 2))}",
        f"DELETE FROM audit_events WHERE {row.replace(str(number), str(number - 3))}",
        database=name,
    )
    once = read(caracal_database, name, plan_of(caracal_database))
    assert faults(once.events) == {"edited": {(zone, number)}, "unmatched": {(zone, number + 2)}}
    runs = [(run.low, run.high) for run in once.events[zone.encode()].links.runs]
    assert runs == [(1, number - 4), (number - 2, number + 9)]
    monkeypatch.setattr(chain_reading, "LEAST_PAGES", 1)
    monkeypatch.setattr(audit_blocks.Collector.__init__, "__defaults__", (None, 64))
    pieced = read(caracal_database, name, plan_of(caracal_database, jobs=2))
    assert answer(pieced.events) == answer(once.events)
    assert lines(pieced) == lines(once)


def test_without_a_repository_no_blocks_are_made(whole: Chains, caracal_database: TwinCluster) -> None:
    found = read(caracal_database, "caracal", plan_of(caracal_database, commit=False, jobs=2))
    assert (found.blocks, answer(found.events)) == ([], answer(whole.events))


@pytest.mark.mutation
@pytest.mark.parametrize(("recompute", "kinds"), [(True, {"edited"}), (None, {"edited"}), (False, set())])
def test_content_is_verified_unless_a_release_hashed_other_bytes(
    caracal_database: TwinCluster, caracal_copy: Copier, recompute: bool | None, kinds: set[str]
) -> None:
    name = caracal_copy()
    caracal_database.execute(
        "ALTER TABLE audit_events DISABLE TRIGGER USER", "UPDATE audit_events SET decision = 'forged' WHERE chain_seq = 3", database=name
    )
    assert set(faults(read(caracal_database, name, plan_of(caracal_database, recompute=recompute)).events)) == kinds


@pytest.mark.mutation
def test_a_row_outside_of_its_month_is_misplaced(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()
    leaf = "audit_events_y2026m05"
    bounds = "FROM ('2026-05-01 00:00:00+00') TO ('2026-06-01 00:00:00+00')"
    zone, number = caracal_database.execute(f"SELECT zone_id, max(chain_seq) FROM {leaf} GROUP BY 1 ORDER BY 1", database=name)[0]
    caracal_database.execute(
        f"ALTER TABLE {leaf} DISABLE TRIGGER USER",
        f"ALTER TABLE audit_events DETACH PARTITION {leaf}",
        f"UPDATE {leaf} SET occurred_at = '2026-06-01' WHERE zone_id = '{zone}' AND chain_seq = {number}",
        # With this constraint the server does not scan the rows again.
        f"ALTER TABLE {leaf} ADD CONSTRAINT promised CHECK (occurred_at IS NOT NULL AND occurred_at >= '2026-05-01' "
        "AND occurred_at < '2026-06-01') NOT VALID",
        f"UPDATE pg_constraint SET convalidated = true WHERE conname = 'promised' AND conrelid = '{leaf}'::regclass",
        f"ALTER TABLE audit_events ATTACH PARTITION {leaf} FOR VALUES {bounds}",
        database=name,
    )
    found = read(caracal_database, name, plan_of(caracal_database))
    assert faults(found.events) == {kind: {(zone, number)} for kind in ("edited", "misplaced", "early", "foreign_id")}


@pytest.mark.mutation
@pytest.mark.parametrize("jobs", [1, 2])
def test_partition_dropped_meanwhile_is_a_one_line_error(caracal_database: TwinCluster, caracal_copy: Copier, jobs: int) -> None:
    name = caracal_copy()
    with Guard(caracal_database.server, name, 60) as guard, Snapshot(caracal_database.server, name, alone=False) as held:
        layout = database_layout.read(held.session)
        caracal_database.execute("DROP TABLE audit_events_y2026m03", database=name)
        with pytest.raises(StageFailed) as caught:
            chain_reading.read(held.place, layout, plan_of(caracal_database, jobs=jobs), guard)
    assert caught.value.msg == "partition public.audit_events_y2026m03 was dropped while it was read; run again"
    assert "psql" in caught.value.details["reading"]


@pytest.mark.mutation
def test_other_errors_are_reported_unchanged(caracal_database: TwinCluster) -> None:
    with pytest.raises(StageFailed, match=r"^database caracal: false failed \(exit status 1\)"):
        read(caracal_database, "caracal", plan_of(caracal_database, psql="/bin/false", jobs=2))


def test_a_release_without_an_admin_chain_has_none(caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    name = caracal_copy()
    caracal_database.execute("ALTER TABLE admin_audit_events DROP COLUMN chain_hmac", database=name)
    found = read(caracal_database, name, plan_of(caracal_database))
    assert found.admin is None
    assert {block.chain for block in found.blocks} == {"audit"}
