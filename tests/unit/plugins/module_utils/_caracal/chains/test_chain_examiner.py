# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A valid chain passes in one pass, and each change of a row is found at exactly its position."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import chain_examiner
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_chains import ADMIN, AUDIT
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.chain_examiner import Examiner, Seen, Terms
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.chain_keys import AuditKey
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.positions import Positions
from twin import audit, chain, copytext
from unit.plugins.module_utils._caracal.chains.chain_rows import (
    KEY,
    OTHER_KEY,
    START,
    Row,
    answer,
    events,
    examine,
    examine_admin,
    faults,
    line,
    product_key,
    product_rows,
    runs,
    when,
)

RELEASES = ["v1.0.0", "v2026.06.21"]
ROWS = [*events(12, "a"), *events(9, "b"), *events(3, "back\\slash\tä\u2028")]
TARGET = ("b", 5)
HASH = "f" * 64
DAY = 86_400_000_000
JUNE = 1_780_272_000_000_000


def signed(seen: Seen) -> dict[str, dict[int, list[tuple[int, int]]]]:
    return {name.decode(): {key: found.ranges() for key, found in zone.keys.items()} for name, zone in seen.items()}


@pytest.mark.no_false_alarm
def test_clean_chains_are_right() -> None:
    seen = examine(ROWS)
    assert faults(seen) == {}
    assert runs(seen) == {"a": [(1, 12)], "b": [(1, 9)], "back\\\\slash\\tä\u2028": [(1, 3)]}
    assert {name: found[0] for name, found in signed(seen).items()} == runs(seen)
    assert sum(zone.rows for zone in seen.values()) == len(ROWS)


@pytest.mark.no_false_alarm
def test_columns_in_another_order_make_no_difference() -> None:
    columns = [*audit.COLUMNS[::-1], "new_column"]
    wide = [{**row, "new_column": "x\ty"} for row in ROWS]
    assert answer(examine(wide, columns=columns)) == answer(examine(ROWS))


@pytest.mark.no_false_alarm
@given(st.randoms(), st.integers(1, 4))
@settings(max_examples=50)
def test_any_order_and_number_of_readers_give_the_same_result(dice: random.Random, readers: int) -> None:
    damaged = [dict(row) for row in ROWS]
    damaged[3]["decision"], damaged[6]["chain_hmac"], damaged[9]["prev_content_sha256"] = "forged", None, HASH
    damaged[14]["chain_seq"] = None
    parts: list[list[Row]] = [[] for _reader in range(readers)]
    for row in damaged:
        dice.choice(parts).append(row)
    for part in parts:
        dice.shuffle(part)
    whole = answer(examine(damaged, hours=True))
    assert answer(chain_examiner.merge(examine(part, hours=True) for part in parts)) == whole
    assert whole[b"a"][2]["edited"] == (1, [(4, 4)])


# Column → its new value and the findings, each as kind → (zone, number).
AT = {TARGET}
NEXT = {("b", 6)}
CHANGES: dict[str, tuple[str | None, dict[str, set[tuple[str, int]]]]] = {
    **{name: ("forged", {"edited": AT}) for name in AUDIT.content if name not in ("zone_id", "occurred_at")},
    "zone_id": ("a", {"edited": {("a", 5)}, "twice": {("a", 5)}}),
    "occurred_at": (when(START + 5), {"edited": AT}),
    "ingested_at": (when(0), {"early": AT, "backwards": AT}),  # only the blocks detect a smaller change
    "ingest_signature": ("forged", {}),
    "content_sha256": (HASH, {"edited": AT, "broken": NEXT, "unmatched": AT}),
    "prev_content_sha256": (HASH, {"broken": AT, "unmatched": AT}),
    "chain_hmac": (HASH, {"unmatched": AT}),
}


def changed(column: str, value: str | None) -> list[Row]:
    return [{**row, column: value} if (row["zone_id"], row["chain_seq"]) == ("b", "5") else row for row in ROWS]


@pytest.mark.mutation
@pytest.mark.parametrize("column", CHANGES)
def test_changed_column_is_found_only_at_its_position(column: str) -> None:
    value, found = CHANGES[column]
    seen = examine(changed(column, value))
    assert faults(seen) == found
    holes = {"b": [(1, 4), (6, 9)]} if column == "zone_id" else {}
    assert runs(seen) == {**runs(examine(ROWS)), **holes}
    assert set(CHANGES) | {"chain_seq"} == set(audit.COLUMNS)


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("column", "found"),
    [
        *((name, {"edited": AT}) for name in ("id", "event_type", "decision", "policy_set_version_id", "manifest_sha", "metadata_json")),
        ("content_sha256", {"edited": AT, "broken": NEXT, "unmatched": AT}),
        ("prev_content_sha256", {"broken": AT, "unmatched": AT}),
        ("chain_hmac", {"unkeyed": AT}),
    ],
)
def test_an_emptied_column_is_found(column: str, found: dict[str, set[tuple[str, int]]]) -> None:
    assert faults(examine(changed(column, None))) == found


@pytest.mark.mutation
@pytest.mark.parametrize(("number", "others"), [("100", {}), ("4", {"twice": {("b", 4)}}), ("-1", {}), ("0", {"broken": {("b", 1)}})])
def test_changed_chain_number_creates_gap(number: str, others: dict[str, set[tuple[str, int]]]) -> None:
    seen = examine(changed("chain_seq", number))
    assert faults(seen) == others
    assert runs(seen)["b"] != [(1, 9)]
    assert (6, 9) in runs(seen)["b"]


@pytest.mark.mutation
def test_row_without_number_is_counted_and_creates_gap() -> None:
    seen = examine(changed("chain_seq", None))
    assert (seen[b"b"].unnumbered, seen[b"b"].rows, runs(seen)["b"]) == (1, 9, [(1, 4), (6, 9)])


@pytest.mark.mutation
@pytest.mark.parametrize(("us", "outside"), [(-1, True), (0, False), (30 * DAY - 1, False), (30 * DAY, True), (30 * DAY + 1, True)])
def test_row_outside_the_month_of_its_partition_is_misplaced(us: int, outside: bool) -> None:
    rows = [{**row, "ingested_at": when(JUNE + 40 * DAY)} for row in changed("occurred_at", when(JUNE + us))]
    assert faults(examine(rows)) == ({"edited": AT, "misplaced": AT} if outside else {"edited": AT})
    assert faults(examine(rows, bounds=None)) == {"edited": AT}


@pytest.mark.mutation
def test_content_is_not_verified_if_it_cannot_be_recomputed() -> None:
    assert faults(examine(changed("decision", "forged"), recompute=False)) == {}
    assert faults(examine(changed("content_sha256", HASH), recompute=False)) == {"broken": NEXT, "unmatched": AT}


@pytest.mark.mutation
def test_unknown_time_makes_content_unverifiable() -> None:
    assert faults(examine(changed("occurred_at", "infinity"), bounds=None)) == {"unknowable": AT, "early": AT}


def test_each_key_signs_its_rows() -> None:
    rows = events(10, "a", [None, OTHER_KEY, KEY, OTHER_KEY, KEY])
    seen = examine(rows, [KEY, OTHER_KEY])
    assert signed(seen) == {"a": {0: [(5, 6), (9, 10)], 1: [(3, 4), (7, 8)]}}
    assert faults(seen) == {"unkeyed": {("a", 1), ("a", 2)}}


@pytest.mark.mutation
def test_rows_signed_with_an_unknown_key_are_unmatched() -> None:
    rows = events(6, "a", [KEY, OTHER_KEY])
    assert faults(examine(rows, [OTHER_KEY])) == {"unmatched": {("a", 1), ("a", 2), ("a", 3)}}
    assert faults(examine(rows, [AuditKey(b"3" * 32)])) == {"unmatched": {("a", number) for number in range(1, 7)}}
    assert faults(examine(rows, [])) == {}


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("release", RELEASES)
def test_the_admin_rows_of_the_product_are_right(release: str) -> None:
    rows = product_rows(release)
    seen = examine_admin(rows, [product_key(release)])
    keyless = {(row["zone_id"] or "\\N", int(row["chain_seq"] or 0)) for row in rows if row["chain_hmac"] is None}
    assert faults(seen) == ({"unkeyed": keyless} if keyless else {})
    assert len(keyless) == {"v1.0.0": 8, "v2026.06.21": 0}[release]
    assert all(found[0][0] == 1 and len(found) == 1 for found in runs(seen).values())
    assert sum(zone.rows for zone in seen.values()) == len(rows)


@pytest.mark.mutation
@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("column", [name for name in ADMIN.content if name not in ("zone_id", "payload_json", "occurred_at")])
def test_each_admin_row_with_one_changed_field_is_found(release: str, column: str) -> None:
    rows = product_rows(release)
    for index, row in enumerate(rows):
        damaged = [*rows[:index], {**row, column: "forged"}, *rows[index + 1 :]]
        place = (row["zone_id"] or "\\N", int(row["chain_seq"] or 0))
        assert faults(examine_admin(damaged, [product_key(release)]))["edited"] == {place}


@pytest.mark.mutation
@pytest.mark.parametrize("release", RELEASES)
def test_each_admin_row_with_a_broken_chain_is_found(release: str) -> None:
    rows = product_rows(release)
    for index, row in enumerate(rows):
        place = (row["zone_id"] or "\\N", int(row["chain_seq"] or 0))
        for column, kind in (("content_sha256", "edited"), ("prev_content_sha256", "broken"), ("chain_hmac", "unmatched")):
            damaged = [*rows[:index], {**row, column: HASH}, *rows[index + 1 :]]
            found = faults(examine_admin(damaged, [product_key(release)]))
            # The first row has no previous row; see the check of links.
            assert place in found.get(kind, set()) or (kind, place[1]) == ("broken", 1)


@pytest.mark.mutation
@pytest.mark.parametrize(("key", "kind"), [("new_key", "unknowable"), ("rls_mode", "edited")])
def test_distinguishes_an_edited_from_an_unknown_payload(key: str, kind: str) -> None:
    rows = product_rows("v1.0.0")
    rows[4]["payload_json"] = copytext.jsonb({key: "x"})
    place = (rows[4]["zone_id"] or "\\N", int(rows[4]["chain_seq"] or 0))
    assert faults(examine_admin(rows, [product_key("v1.0.0")]))[kind] == {place}


def test_lines_may_come_in_pieces_of_any_size() -> None:
    examiner = Examiner(Terms(AUDIT, tuple(audit.COLUMNS), (KEY,), True))
    for start in range(0, len(ROWS), 5):
        examiner.take([line(row, audit.COLUMNS) for row in ROWS[start : start + 5]])
    examiner.take([])
    assert answer(examiner.finish()) == answer(examine(ROWS))


def test_counts_rows_by_ingestion_hour_on_request() -> None:
    rows = [{**row, "ingested_at": when(3_600_000_000 * (index // 5) + index)} for index, row in enumerate(events(12))]
    assert examine(rows, hours=True)[b"a"].hours == {b"1970-01-01 00": 5, b"1970-01-01 01": 5, b"1970-01-01 02": 2}
    assert examine(rows)[b"a"].hours == {}


def test_no_rows_give_no_result() -> None:
    assert examine([]) == {}
    assert chain_examiner.merge([]) == {}
    assert Positions.of([]).ranges() == []
    assert chain.link(KEY.secret, HASH, None) == KEY.hmac()(HASH.encode(), b"")
