# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All known ways to damage an audit chain, each with the damage to a twin's database and the exact findings.

A finding is (check, kind, zone, lowest and highest sequence number, partition). The zone with the most rows is `big`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import typing as t

from scenes.twin_database import TwinCluster
from twin import append, chain, keys, load
from twin.releases.known import RELEASES

Found = tuple[str, str, str, int, int, str]
BLOCKS = "blocks.journal"
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
FREELY = "SET session_replication_role = replica"


@dataclasses.dataclass(frozen=True)
class World:
    """A database on the twin's server for one test, with the values that the damages need."""

    cluster: TwinCluster
    database: str
    zone: str
    head: int

    def execute(self, *statements: str) -> list[tuple[t.Any, ...]]:
        return self.cluster.execute(FREELY, *statements, database=self.database)

    @property
    def key(self) -> bytes:
        return keys.for_seed(self.cluster.spec.seed).audit_hmac_key

    @property
    def middle(self) -> int:
        return self.head // 2

    def leaf(self, number: int) -> str:
        """Return the name of the partition with a row of the zone."""
        where = f"zone_id = '{self.zone}' AND chain_seq = {number}"
        return str(self.execute(f"SELECT tableoid::regclass::text FROM audit_events WHERE {where}")[0][0])

    def block(self, leaf: str, zone: str | None = None) -> tuple[int, int, str]:
        """Return (lowest, highest, partition) of a zone's numbers in a partition. A twin's zones have one block in each partition."""
        low, high = self.execute(f"SELECT min(chain_seq), max(chain_seq) FROM {leaf} WHERE zone_id = '{zone or self.zone}'")[0]
        return low, high, leaf

    def set(self, number: int, what: str) -> Found:
        """Change columns of one row; return the finding in its block."""
        block = self.block(self.leaf(number))
        self.execute(f"UPDATE audit_events SET {what} WHERE zone_id = '{self.zone}' AND chain_seq = {number}")
        return BLOCKS, "block_chain_changed", self.zone, *block

    def rehash(self, start: int, edited: int, end: int, key: bytes | None) -> None:
        """Hide an edit of the rows `start` to `edited`, as an attacker with or without the key would.

        Recomputes the content hashes of these rows, and the links and (with the key) HMACs of all rows up to `end`.
        """
        columns = "id, zone_id, event_type, request_id, decision, policy_set_id, policy_set_version_id, manifest_sha, evaluation_status"
        documents = "determining_policies_json::text, diagnostics_json::text, metadata_json::text"
        where = f"zone_id = '{self.zone}' AND chain_seq BETWEEN {start} AND {end} ORDER BY chain_seq"
        links = "chain_seq, prev_content_sha256, chain_hmac, occurred_at, content_sha256"
        rows = self.execute(f"SELECT {links}, {columns}, {documents} FROM audit_events WHERE {where}")
        previous = rows[0][1]
        with contextlib.closing(load.open_database(self.cluster.target, self.database)) as connection, connection.cursor() as cursor:
            for number, _before, mac, occurred, content, *texts in rows:
                if number <= edited:
                    content = chain.event_hash(texts[:9], texts[9:], (occurred - EPOCH) // dt.timedelta(microseconds=1) * 1000)
                values = (content, previous, chain.link(key, content, previous) if key else mac, self.zone, number)
                cursor.execute(
                    "UPDATE audit_events SET content_sha256 = %s, prev_content_sha256 = %s, chain_hmac = %s "
                    "WHERE zone_id = %s AND chain_seq = %s",
                    values,
                )
                previous = content
            connection.commit()

    def append(self, count: int, when: dt.datetime | None = None) -> None:
        with contextlib.closing(load.open_database(self.cluster.target, self.database)) as connection:
            spec = self.cluster.spec
            append.append(connection, keys.for_seed(spec.seed), RELEASES[spec.release], self.zone, count, when or spec.now)
            connection.commit()


Damage = t.Callable[[World], "set[Found]"]

# The findings of a changed value, for each column of one row: checks of the row itself, and the kind of its block.
COLUMNS: dict[str, tuple[str, str]] = {
    "event_type": ("'other'", "content"),
    "request_id": ("request_id || '0'", "content"),
    "decision": ("CASE decision WHEN 'deny' THEN 'allow' ELSE 'deny' END", "content"),
    "policy_set_id": ("'other'", "content"),
    "policy_set_version_id": ("'other'", "content"),
    "manifest_sha": ("'other'", "content"),
    "evaluation_status": ("'other'", "content"),
    "determining_policies_json": ("'[1]'", "content"),
    "diagnostics_json": ("'[1]'", "content"),
    "metadata_json": ("'[1]'", "content"),
    "occurred_at": ("occurred_at + interval '1 microsecond'", "content"),
    "id": ("id || '0'", "content"),
    "ingested_at": ("ingested_at + interval '1 microsecond'", "chain"),
    "ingest_signature": ("md5(ingest_signature) || md5(ingest_signature)", "chain"),
}


def column(name: str) -> Damage:
    """Change one column of one row in the middle."""
    value, kind = COLUMNS[name]

    def damage(world: World) -> set[Found]:
        block = world.set(world.middle, f"{name} = {value}")
        if kind == "chain":
            return {block}
        edited = ("audit.content", "edited", world.zone, world.middle, world.middle, "")
        return {edited, (BLOCKS, "block_edited", *block[2:])}

    return damage


def ingested_early(world: World) -> set[Found]:
    """Set the ingestion time of a row to a year before its event, and so before the row before it."""
    block = world.set(world.middle, "ingested_at = ingested_at - interval '1 year'")
    here = (world.zone, world.middle, world.middle, "")
    return {block, ("audit.times", "ingested_early", *here), ("audit.times", "ingested_backwards", *here)}


def ingested_late(world: World) -> set[Found]:
    block = world.set(world.middle, "ingested_at = ingested_at + interval '1 year'")
    after = (world.zone, world.middle + 1, world.middle + 1, "")
    return {block, ("audit.times", "ingested_backwards", *after)}


def content_hash(world: World) -> set[Found]:
    block = world.set(world.middle, "content_sha256 = encode(sha256('x'), 'hex')")
    here = (world.zone, world.middle, world.middle, "")
    after = (world.zone, world.middle + 1, world.middle + 1, "")
    return {block, ("audit.content", "edited", *here), ("audit.links", "broken_link", *after), ("audit.hmac", "hmac", *here)}


def previous_hash(world: World) -> set[Found]:
    block = world.set(world.middle, "prev_content_sha256 = encode(sha256('x'), 'hex')")
    here = (world.zone, world.middle, world.middle, "")
    return {block, ("audit.links", "broken_link", *here), ("audit.hmac", "hmac", *here)}


def previous_nulled(world: World) -> set[Found]:
    block = world.set(world.middle, "prev_content_sha256 = NULL")
    here = (world.zone, world.middle, world.middle, "")
    return {block, ("audit.links", "broken_link", *here), ("audit.hmac", "hmac", *here)}


def hmac_changed(world: World) -> set[Found]:
    block = world.set(world.middle, "chain_hmac = encode(sha256('x'), 'hex')")
    return {block, ("audit.hmac", "hmac", world.zone, world.middle, world.middle, "")}


def hmac_emptied(world: World) -> set[Found]:
    block = world.set(world.middle, "chain_hmac = ''")
    return {block, ("audit.hmac", "unkeyed", world.zone, world.middle, world.middle, "")}


def genesis(world: World) -> set[Found]:
    block = world.set(1, "prev_content_sha256 = encode(sha256('x'), 'hex')")
    return {block, ("audit.links", "genesis", world.zone, 1, 1, ""), ("audit.hmac", "hmac", world.zone, 1, 1, "")}


def deleted(number: t.Callable[[World], int], *expected: tuple[str, str]) -> Damage:
    """Delete one row. `expected` are (check, kind) at its number; in addition, its block lacks a row."""

    def damage(world: World) -> set[Found]:
        gone = number(world)
        block = world.block(world.leaf(gone))
        world.execute(f"DELETE FROM audit_events WHERE zone_id = '{world.zone}' AND chain_seq = {gone}")
        return {(BLOCKS, "block_missing_rows", world.zone, *block), *((*one, world.zone, gone, gone, "") for one in expected)}

    return damage


def tail(share: float) -> Damage:
    """Delete the newest rows of a zone."""

    def damage(world: World) -> set[Found]:
        head = world.head - max(1, int(world.head * share))
        world.execute(f"DELETE FROM audit_events WHERE zone_id = '{world.zone}' AND chain_seq > {head}")
        return {(BLOCKS, "truncated", world.zone, head + 1, world.head, "")}

    return damage


def zone_removed(world: World) -> set[Found]:
    world.execute(f"DELETE FROM audit_events WHERE zone_id = '{world.zone}'")
    return {(BLOCKS, "zone_gone", world.zone, 1, world.head, "")}


def swapped(world: World) -> set[Found]:
    """Exchange the numbers of two rows, and nothing else."""
    low = world.middle
    block = world.block(world.leaf(low))
    world.execute(
        f"UPDATE audit_events SET chain_seq = {2 * low + 1} - chain_seq WHERE zone_id = '{world.zone}' AND chain_seq IN ({low}, {low + 1})"
    )
    return {
        (BLOCKS, "block_chain_changed", world.zone, *block),
        ("audit.links", "broken_link", world.zone, low, low + 2, ""),
        ("audit.times", "ingested_backwards", world.zone, low + 1, low + 1, ""),
    }


def doubled(world: World) -> set[Found]:
    """Add a second row with the same number; everything else is correct."""
    block = world.block(world.leaf(world.middle))
    world.execute(
        f"INSERT INTO audit_events SELECT (jsonb_populate_record(x, jsonb_build_object('id', id || '0'))).* FROM audit_events x "
        f"WHERE zone_id = '{world.zone}' AND chain_seq = {world.middle}"
    )
    here = (world.zone, world.middle, world.middle, "")
    return {(BLOCKS, "block_added_rows", world.zone, *block), ("audit.sequence", "duplicate", *here), ("audit.content", "edited", *here)}


def rewritten(with_key: bool) -> Damage:
    """Edit all rows of the last third and hash them again, as an attacker without the key, or as an insider with it."""

    def damage(world: World) -> set[Found]:
        start = world.head * 2 // 3
        rows = f"zone_id = '{world.zone}' AND chain_seq >= {start}"
        leaves = [row[0] for row in world.execute(f"SELECT DISTINCT tableoid::regclass::text FROM audit_events WHERE {rows}")]
        blocks = [world.block(leaf) for leaf in leaves]
        world.execute(f"UPDATE audit_events SET request_id = request_id || 'x' WHERE {rows}")
        world.rehash(start, world.head, world.head, world.key if with_key else None)
        found: set[Found] = {(BLOCKS, "block_edited", world.zone, *block) for block in blocks}
        return found if with_key else found | {("audit.hmac", "hmac", world.zone, start, world.head, "")}

    return damage


def insider(world: World) -> set[Found]:
    """Edit one row in the middle: its content, hash and HMAC, and link and HMAC of the next row.

    Head, counts, links and HMACs remain correct.
    """
    number = world.middle
    first, second = world.leaf(number), world.leaf(number + 1)
    blocks = {leaf: world.block(leaf) for leaf in (first, second)}
    world.execute(f"UPDATE audit_events SET decision = 'deny', request_id = 'x' WHERE zone_id = '{world.zone}' AND chain_seq = {number}")
    world.rehash(number, number, number + 1, world.key)
    found: set[Found] = {(BLOCKS, "block_edited", world.zone, *blocks[first])}
    return found if first == second else found | {(BLOCKS, "block_chain_changed", world.zone, *blocks[second])}


def forked(world: World) -> set[Found]:
    """Replace the newest rows with as many others, as after a restore that was not recorded."""
    leaf = world.leaf(world.head)
    block = world.block(leaf)
    world.execute(f"DELETE FROM audit_events WHERE zone_id = '{world.zone}' AND chain_seq > {world.head - 3}")
    world.append(3)
    return {(BLOCKS, "block_edited", world.zone, *block)}


def leaf_dropped(name: str, *, kept: bool) -> Damage:
    """Drop a whole month. Within the retention time this is a loss; otherwise the journal accounts for the rows."""

    def damage(world: World) -> set[Found]:
        world.execute(f"DROP TABLE {name}")
        if not kept:
            return set()
        return {("audit.partitions", "leaf_dropped", "", 0, 0, name), ("audit.retention_lowered", "dropped_early", "", 0, 0, name)}

    return damage


def default_row(world: World) -> set[Found]:
    """Add a genuine event of a month without a partition."""
    world.append(1, dt.datetime(2031, 1, 1, tzinfo=dt.timezone.utc))
    return {("audit.partitions", "default_rows", "", 0, 0, "audit_events_default")}


def misplaced(world: World) -> set[Found]:
    """Move an event to the partition of another month, which needs a change of the catalog."""
    number = world.middle
    leaf = world.leaf(number)
    block = world.block(leaf)
    bounds = world.execute(f"SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = '{leaf}'")[0][0]
    low, high = bounds.split("'")[1::2]
    within = f"occurred_at IS NOT NULL AND occurred_at >= '{low}' AND occurred_at < '{high}'"
    world.execute(
        f"ALTER TABLE audit_events DETACH PARTITION {leaf}",
        f"UPDATE {leaf} SET occurred_at = occurred_at + interval '40 days' WHERE zone_id = '{world.zone}' AND chain_seq = {number}",
        f"ALTER TABLE {leaf} ADD CONSTRAINT forged CHECK ({within}) NOT VALID",
        "UPDATE pg_constraint SET convalidated = true WHERE conname = 'forged'",
        f"ALTER TABLE audit_events ATTACH PARTITION {leaf} {bounds}",
        f"ALTER TABLE {leaf} DROP CONSTRAINT forged",
    )
    here = (world.zone, number, number, "")
    times = {("audit.times", kind, *here) for kind in ("ingested_early", "id_of_another_time")}
    return {
        (BLOCKS, "block_edited", world.zone, *block),
        ("audit.content", "edited", *here),
        ("audit.partitions", "misplaced", *here),
        *times,
    }


def marker_removed(world: World) -> set[Found]:
    world.execute("DELETE FROM audit_chain_rehash")
    return {("audit.rehash_marker", "no_rehash_marker", "", 0, 0, "")}


def admin(what: str, *expected: tuple[str, str, int]) -> Damage:
    """Damage one row of the admin chain. `expected` are (check, kind, distance to the row)."""

    def damage(world: World) -> set[Found]:
        where = f"zone_id = '{world.zone}' AND chain_hmac IS NOT NULL AND chain_seq > 1"
        number = world.execute(f"SELECT min(chain_seq) FROM admin_audit_events WHERE {where}")[0][0]
        low, high, leaf = world.block("admin_audit_events")
        world.execute(what.format(row=f"zone_id = '{world.zone}' AND chain_seq = {number}"))
        found = set()
        for check, kind, distance in expected:
            place = (low, high, leaf) if check == BLOCKS else (number + distance, number + distance, "")
            found.add((check, kind, world.zone, *place))
        return found

    return damage


_ADMIN = "UPDATE admin_audit_events SET"
DAMAGES: dict[str, Damage] = {
    **{f"{name} changed": column(name) for name in COLUMNS},
    "ingested_at moved back by a year": ingested_early,
    "ingested_at moved on by a year": ingested_late,
    "content hash changed": content_hash,
    "previous hash changed": previous_hash,
    "previous hash nulled": previous_nulled,
    "HMAC changed": hmac_changed,
    "HMAC removed": hmac_emptied,
    "first row names a row before it": genesis,
    "first row deleted": deleted(lambda world: 1, ("audit.sequence", "late_beginning")),
    "row in the middle deleted": deleted(lambda world: world.middle, ("audit.sequence", "hole")),
    "last row cut": tail(0.0),
    "half of the tail cut": tail(0.5),
    "zone removed": zone_removed,
    "two rows swapped": swapped,
    "number twice": doubled,
    "tail rewritten without the key": rewritten(with_key=False),
    "tail rewritten by an insider with the key": rewritten(with_key=True),
    "one row rewritten by an insider with the key": insider,
    "tail forked": forked,
    "partition dropped that retention keeps": leaf_dropped("audit_events_y2026m03", kept=True),
    "partition dropped that retention does not keep": leaf_dropped("audit_events_y2025m06", kept=False),
    "row in the default partition": default_row,
    "row in another month's partition": misplaced,
    "rehash marker removed": marker_removed,
    "admin: actor changed": admin(f"{_ADMIN} actor_name = 'x' WHERE {{row}}", ("admin.content", "edited", 0), (BLOCKS, "block_edited", 0)),
    "admin: payload changed": admin(
        f'{_ADMIN} payload_json = \'{{{{"rls_mode": "x"}}}}\' WHERE {{row}}', ("admin.content", "edited", 0), (BLOCKS, "block_edited", 0)
    ),
    "admin: HMAC changed": admin(
        f"{_ADMIN} chain_hmac = encode(sha256('x'), 'hex') WHERE {{row}}", ("admin.hmac", "hmac", 0), (BLOCKS, "block_chain_changed", 0)
    ),
    "admin: HMAC removed": admin(f"{_ADMIN} chain_hmac = NULL WHERE {{row}}", (BLOCKS, "block_chain_changed", 0)),
    "admin: row deleted": admin(
        "DELETE FROM admin_audit_events WHERE {row}", ("admin.sequence", "hole", 0), (BLOCKS, "block_missing_rows", 0)
    ),
}

# They name partitions of one date.
OF_A_DATE = ("partition dropped that retention keeps", "partition dropped that retention does not keep")
# They need no recomputed content hash, so they exist in every release.
EVERYWHERE = (
    "one row rewritten by an insider with the key",
    "last row cut",
    "HMAC changed",
    "row in the middle deleted",
    "zone removed",
    "ingested_at changed",
)
