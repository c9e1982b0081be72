# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sources with every kind of relation, and with audit months that are partitioned once more."""

from __future__ import annotations

from scenes.twin_database import TwinCluster

FREELY = "SET session_replication_role = replica"
MONTH = "audit_events_y2026m02"
LOW, MIDDLE, HIGH = ("'2026-02-01 00:00:00+00'", "'2026-02-15 00:00:00+00'", "'2026-03-01 00:00:00+00'")
LEAVES = (f"{MONTH}_a0", f"{MONTH}_a1", f"{MONTH}_b")


def divide(cluster: TwinCluster, database: str) -> None:
    """The month becomes partitions of a partition, on two levels and by two keys; its rows stay."""
    cluster.execute(
        FREELY,
        f"ALTER TABLE audit_events DETACH PARTITION {MONTH}",
        f"ALTER TABLE {MONTH} RENAME TO aside",
        f"CREATE TABLE {MONTH} (LIKE aside INCLUDING DEFAULTS) PARTITION BY RANGE (occurred_at)",
        f"CREATE TABLE {MONTH}_a PARTITION OF {MONTH} FOR VALUES FROM ({LOW}) TO ({MIDDLE}) PARTITION BY HASH (id)",
        f"CREATE TABLE {MONTH}_a0 PARTITION OF {MONTH}_a FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
        f"CREATE TABLE {MONTH}_a1 PARTITION OF {MONTH}_a FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
        f"CREATE TABLE {MONTH}_b PARTITION OF {MONTH} FOR VALUES FROM ({MIDDLE}) TO ({HIGH})",
        f"ALTER TABLE audit_events ATTACH PARTITION {MONTH} FOR VALUES FROM ({LOW}) TO ({HIGH})",
        f"INSERT INTO {MONTH} SELECT * FROM aside",
        "DROP TABLE aside",
        database=database,
    )
