# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The exports compared with a database that has changed since the export, or has not."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, UNPROVEN, WARN
from twin import exports as files
from unit.plugins.module_utils._caracal.exports.export_scene import FIRST, ZONES, Cut, Row, Scene, findings, not_passed, scene, seq

__all__ = ["scene"]
A, B = ZONES
SHOWN_B = B.replace("\\", "\\\\")
EXPORTED = (
    "decision",
    "metadata_json",
    "time",
    "event_type",
    "request_id",
    "policy_set_id",
    "policy_set_version_id",
    "manifest_sha",
    "evaluation_status",
    "determining_policies_json",
    "diagnostics_json",
    "severity_id",
    "activity_id",
    "content_sha256",
    "chain_hmac",
)


def stored(scene: Scene, zone: str, number: int) -> Row:
    return next(row for rows in scene.stored.values() for row in rows if (row["zone_id"], seq(row)) == (zone, number))


@pytest.mark.mutation
@pytest.mark.parametrize("column", EXPORTED)
@pytest.mark.parametrize("where", ["archive", "database"])
def test_an_edited_column_is_found_by_name(scene: Scene, column: str, where: str) -> None:
    row = scene.row(A, 17) if where == "archive" else stored(scene, A, 17)
    row[column] = row[column] + 1 if isinstance(row[column], int) else row[column] + "x"
    checks = scene.examine()
    assert checks["exports.database"].verdict == FAIL
    assert findings(checks["exports.database"]) == [("archive_differs", A, 17, 17)]
    assert f"with another {column};" in checks["exports.database"].message
    assert checks["exports.content"].verdict == UNPROVEN


@pytest.mark.mutation
@pytest.mark.parametrize(("time", "missing"), [((1 << 63) - 1, [("missing_in_database", A, 31, 31)]), (-(1 << 63), [])])
def test_finds_an_invented_event_with_an_impossible_time(scene: Scene, time: int, missing: list[tuple[str, str, int, int]]) -> None:
    """Before the first partition only the HMAC shows it, because retention may have dropped events of that time."""
    scene.archive[6].append({**scene.row(A, 30), "time": time, "event_id": "invented", "chain_seq": 31})
    checks = scene.examine()
    assert findings(checks["exports.database"]) == missing
    assert findings(checks["exports.hmac"]) == [("hmac", A, 31, 31)]


@pytest.mark.mutation
def test_a_row_that_moved_to_another_hour_is_found(scene: Scene) -> None:
    row = stored(scene, A, 17)
    scene.stored[4].remove(row)
    scene.stored[5].append(row)
    assert "another ingested_at" in scene.examine()["exports.database"].message


@pytest.mark.mutation
@pytest.mark.parametrize("numbers", [(1,), (17,), (30,), tuple(range(16, 31))])
def test_deleted_rows_are_missing(scene: Scene, numbers: tuple[int, ...]) -> None:
    for number in numbers:
        row = stored(scene, B, number)
        scene.stored = {hour: [one for one in rows if one is not row] for hour, rows in scene.stored.items()}
    checks = scene.examine()
    assert findings(checks["exports.database"]) == [("missing_in_database", SHOWN_B, numbers[0], numbers[-1])]
    assert not_passed(checks) == {"exports.database": FAIL, "exports.content": UNPROVEN}


@pytest.mark.mutation
def test_a_zone_that_is_gone_is_missing(scene: Scene) -> None:
    scene.stored = {hour: [row for row in rows if row["zone_id"] != B] for hour, rows in scene.stored.items()}
    assert findings(scene.examine()["exports.database"]) == [("missing_in_database", SHOWN_B, 1, 30)]


@pytest.mark.no_false_alarm
def test_rows_dropped_by_retention_are_not_missing(scene: Scene) -> None:
    scene.stored = {hour: rows for hour, rows in scene.stored.items() if hour >= 2}
    scene.dropped_before = 2
    checks = scene.examine()
    assert not_passed(checks) == {"exports.content": UNPROVEN}
    assert checks["exports.database"].details["below_retention"] == 20


def test_unproven_if_the_database_has_no_exported_row(scene: Scene) -> None:
    scene.stored, scene.dropped_before, scene.watermark = {}, 9, 6
    checks = scene.examine()
    assert {checks[one].verdict for one in ("exports.database", "exports.complete")} == {UNPROVEN}


def test_a_database_older_than_the_exports_is_unproven(scene: Scene) -> None:
    scene.restore(15)
    scene.watermark = 2
    checks = scene.examine()
    assert checks["exports.database"].verdict == UNPROVEN
    assert findings(checks["exports.database"]) == [("newer_than_database", A, 16, 30), ("newer_than_database", SHOWN_B, 16, 30)]
    assert checks["exports.complete"].verdict == PASS
    assert checks["exports.complete"].details["files_after"] == 3


def test_a_database_without_watermark_is_unproven(scene: Scene) -> None:
    database = scene.database()
    scene.database = lambda: type(database)(**{**vars(database), "watermark": None})  # type: ignore[method-assign]
    assert not_passed(scene.examine()) == {"exports.complete": UNPROVEN}


def restored(scene: Scene) -> list[Cut]:
    """Restore to number 20, add 15 other events, and return the restore as the journal records it."""
    scene.restore(20)
    scene.salt = "'"
    for zone in ZONES:
        for hour in (7, 8, 9):
            scene.ingest(hour, zone, 5)
    zones = [("audit", zone) for zone in (A, SHOWN_B)]
    return [Cut(17, "20260617T080000Z-abcd", FIRST + 6.5 * files.HOUR, dict.fromkeys(zones, 30), dict.fromkeys(zones, 20))]


@pytest.mark.mutation
def test_fork_without_a_restore_fails(scene: Scene) -> None:
    restored(scene)
    checks = scene.examine()
    expected = [("fork", A, 21, 30), ("fork", SHOWN_B, 21, 30)]
    assert (checks["exports.sequence"].verdict, findings(checks["exports.sequence"])) == (FAIL, expected)
    assert (checks["exports.database"].verdict, findings(checks["exports.database"])) == (FAIL, expected)
    assert checks["exports.hmac"].verdict == PASS
    assert checks["exports.hmac"].details["rows"] == 60 + 30
    assert scene.examine(alone=True)["exports.hmac"].details["without_row_before"] == 2


@pytest.mark.no_false_alarm
def test_fork_explained_by_a_restore_is_a_warning(scene: Scene) -> None:
    checks = scene.examine(restored(scene))
    expected = [("cut", A, 21, 30), ("cut", SHOWN_B, 21, 30)]
    assert (checks["exports.sequence"].verdict, findings(checks["exports.sequence"])) == (WARN, expected)
    assert (checks["exports.database"].verdict, findings(checks["exports.database"])) == (WARN, expected)
    words = "a restore (journal entry 17, set 20260617T080000Z-abcd) cut the chain after number 20; 10 exported events are after that point"
    assert words in checks["exports.database"].message
    assert FAIL not in not_passed(checks).values()


@pytest.mark.mutation
def test_restore_explains_only_rows_that_it_removed(scene: Scene) -> None:
    cut = restored(scene)[0]
    short = Cut(cut.sequence, cut.set_id, cut.time, dict.fromkeys(cut.before, 28), cut.after)
    checks = scene.examine([short])
    assert ("fork", A, 29, 30) in findings(checks["exports.database"])
    assert ("fork", A, 29, 30) in findings(checks["exports.sequence"])


@pytest.mark.mutation
def test_restore_does_not_explain_rows_deleted_later(scene: Scene) -> None:
    cuts = restored(scene)
    scene.stored[8].remove(stored(scene, A, 27))
    assert ("missing_in_database", A, 27, 27) in findings(scene.examine(cuts)["exports.database"])


@pytest.mark.mutation
def test_one_restore_explains_two_versions_and_not_three(scene: Scene) -> None:
    cuts = restored(scene)
    scene.archive[9].append({**scene.row(A, 27), "content_sha256": "4" * 64})
    check = scene.examine(cuts)["exports.sequence"]
    assert (check.verdict, findings(check)[0]) == (FAIL, ("fork", A, 27, 27))


@pytest.mark.no_false_alarm
def test_events_delivered_again_after_a_restore_do_not_fail(scene: Scene) -> None:
    """Redis delivers them again: the same events and numbers, in another hour and perhaps in another order."""
    scene.restore(20)
    for zone in ZONES:
        scene.ingest(7, zone, 10)
    for row in (one for one in scene.stored[7] if seq(one) <= 30):
        row["time"] = scene.row(row["zone_id"], seq(row))["time"]
    scene.archive[7] = [dict(row) for row in scene.stored[7]]
    zones = [("audit", zone) for zone in (A, SHOWN_B)]
    checks = scene.examine([Cut(3, "s", FIRST + 6.5 * files.HOUR, dict.fromkeys(zones, 30), dict.fromkeys(zones, 20))])
    assert FAIL not in not_passed(checks).values()
    assert {one[0] for one in findings(checks["exports.database"])} == {"cut"}


@pytest.mark.mutation
def test_restore_does_not_explain_changed_content(scene: Scene) -> None:
    cuts = restored(scene)
    scene.row(A, 25)["event_id"] = stored(scene, A, 5)["event_id"]
    assert ("archive_differs", A, 25, 25) in findings(scene.examine(cuts)["exports.database"])


def _rehash(scene: Scene, above: int = 0) -> None:
    for row in (one for rows in scene.stored.values() for one in rows if seq(one) > above):
        row.update(content_sha256=row["content_sha256"][::-1], chain_hmac=row["chain_hmac"][::-1])


@pytest.mark.no_false_alarm
def test_hashes_recomputed_by_an_upgrade_are_a_warning(scene: Scene) -> None:
    _rehash(scene)
    scene.rehashed = FIRST + 6 * files.HOUR
    check = scene.examine()["exports.database"]
    assert (check.verdict, findings(check)) == (WARN, [("rehashed", A, 1, 30), ("rehashed", SHOWN_B, 1, 30)])


@pytest.mark.no_false_alarm
def test_first_event_after_a_rehash_links_to_the_new_hash(scene: Scene) -> None:
    _rehash(scene)
    scene.rehashed = FIRST + 7 * files.HOUR
    for zone in ZONES:
        scene.ingest(7, zone, 5)
    checks = scene.examine()
    assert (checks["exports.hmac"].verdict, checks["exports.hmac"].details["rows"]) == (PASS, 70)
    assert {one[0] for one in findings(checks["exports.database"])} == {"rehashed"}


@pytest.mark.mutation
@pytest.mark.parametrize(("above", "when"), [(0, None), (0, 5), (10, 6)])
def test_hashes_recomputed_without_an_upgrade_fail(scene: Scene, above: int, when: int | None) -> None:
    _rehash(scene, above)
    scene.rehashed = None if when is None else FIRST + when * files.HOUR
    check = scene.examine()["exports.database"]
    assert check.verdict == FAIL
    assert ("archive_differs", A, {None: 1, 5: 26, 6: 11}[when], 30) in findings(check)


def test_rows_without_number_are_compared_by_their_id(scene: Scene) -> None:
    for row in (scene.row(A, 30), stored(scene, A, 30)):
        row["chain_seq"] = 0
    checks = scene.examine()
    assert checks["exports.database"].verdict == PASS
    assert (checks["exports.sequence"].verdict, findings(checks["exports.sequence"])) == (UNPROVEN, [("unnumbered", A, 0, 0)])


@pytest.mark.no_false_alarm
def test_lookups_are_ranges_and_not_rows(scene: Scene) -> None:
    asked: list[t.Any] = []
    database = scene.database()

    def lookup(zone: str, low: int, high: int) -> t.Iterable[t.Any]:
        asked.append((zone, low, high))
        return database.lookup(zone, low, high)

    scene.database = lambda: type(database)(**{**vars(database), "lookup": lookup})  # type: ignore[method-assign]
    assert not_passed(scene.examine()) == {}
    assert asked == [(zone, low, low + 4) for low in (1, 6, 11, 16, 21, 26) for zone in ZONES]
