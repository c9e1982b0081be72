# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings from the exports alone, and whether all exports exist."""

from __future__ import annotations

import os
import pathlib
import sys

import pyarrow
import pyarrow.parquet
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils import _deps
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.exports import export_files
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import MissingDependency, StorageError
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, UNPROVEN, WARN
from twin import exports as files
from unit.plugins.module_utils._caracal.exports.export_scene import KEY, OTHER, ZONES, Scene, findings, hour_name, not_passed, scene

__all__ = ["scene"]
A, B = ZONES[0], ZONES[1].replace("\\", "\\\\")


@pytest.mark.no_false_alarm
def test_whole_exports_pass(scene: Scene) -> None:
    checks = scene.examine()
    assert not_passed(checks) == {}
    assert sorted(checks) == [f"exports.{one}" for one in ("complete", "content", "database", "hmac", "hmac_key", "readable", "sequence")]
    assert checks["exports.readable"].details["rows"] == 60
    assert checks["exports.readable"].details["zones"] == 2
    assert (checks["exports.readable"].details["first_hour"], checks["exports.readable"].details["last_hour"]) == (
        hour_name(0),
        hour_name(6),
    )
    assert checks["exports.hmac"].details["rows"] == 60
    assert checks["exports.database"].details["equal"] == 60
    assert checks["exports.sequence"].details["heads"] == {A: 30, B: 30}


def test_without_a_database_only_the_chain_is_proved(scene: Scene) -> None:
    unproven = not_passed(scene.examine(alone=True))
    assert unproven == dict.fromkeys(("exports.complete", "exports.database", "exports.content"), UNPROVEN)


@pytest.mark.no_false_alarm
def test_exports_that_begin_late_pass_for_what_they_have(scene: Scene) -> None:
    del scene.archive[0], scene.archive[1]
    checks = scene.examine(alone=True)
    assert [checks[one].verdict for one in ("exports.readable", "exports.hmac", "exports.sequence")] == [PASS] * 3
    assert checks["exports.hmac"].details["without_row_before"] == 2


@pytest.mark.mutation
def test_first_hours_that_are_gone_are_unproven(scene: Scene) -> None:
    del scene.archive[0]
    checks = scene.examine()
    assert not_passed(checks) == {"exports.complete": UNPROVEN}
    assert hour_name(0) in checks["exports.complete"].message


@pytest.mark.mutation
@pytest.mark.parametrize("hour", [2, 6])
def test_a_removed_hour_is_named(scene: Scene, hour: int) -> None:
    del scene.archive[hour]
    checks = scene.examine()
    assert checks["exports.complete"].verdict == FAIL
    assert hour_name(hour) in checks["exports.complete"].message
    holes = [("hole", A, 11, 15), ("hole", B, 11, 15)] if hour == 2 else []
    assert findings(checks["exports.sequence"]) == holes
    assert checks["exports.sequence"].verdict == (FAIL if holes else PASS)


@pytest.mark.no_false_alarm
def test_hours_after_the_watermark_need_no_file(scene: Scene) -> None:
    del scene.archive[6]
    scene.watermark = 5
    assert not_passed(scene.examine()) == {}


@pytest.mark.mutation
def test_removed_row_is_a_hole_and_an_incomplete_hour(scene: Scene) -> None:
    scene.archive[2].remove(scene.row(A, 13))
    checks = scene.examine()
    assert findings(checks["exports.sequence"]) == [("hole", A, 13, 13)]
    assert f"{hour_name(2)}: its file has 9 of 10 events" in checks["exports.complete"].message
    assert checks["exports.hmac"].verdict == PASS


@pytest.mark.no_false_alarm
def test_rows_out_of_order_at_a_full_hour_pass(scene: Scene) -> None:
    """A transaction may start before the hour ends and get its number after one that started later."""
    late, early = scene.row(A, 11), scene.row(A, 10)
    for where in (scene.archive, scene.stored):
        for hour, number in ((2, 11), (1, 10)):
            where[hour] = [row for row in where[hour] if (row["zone_id"], row["chain_seq"]) != (A, number)]
        where[1].append(late)
        where[2].append(early)
    assert not_passed(scene.examine()) == {}


def test_hole_before_the_last_hour_may_still_be_exported(scene: Scene) -> None:
    for where in (scene.archive, scene.stored):
        where[7] = [scene.row(A, 29)]
        where[6] = [row for row in where[6] if (row["zone_id"], row["chain_seq"]) != (A, 29)]
    del scene.archive[7]
    scene.watermark = 6
    assert not_passed(scene.examine()) == {}
    alone = scene.examine(alone=True)["exports.sequence"]
    assert (alone.verdict, findings(alone)) == (UNPROVEN, [("hole", A, 29, 29)])


@pytest.mark.mutation
@pytest.mark.parametrize("column", ["chain_hmac", "content_sha256"])
def test_an_edited_hash_is_found_where_it_is(scene: Scene, column: str) -> None:
    scene.row(B.replace("\\\\", "\\"), 12)[column] = "0" * 64
    checks = scene.examine(alone=True)
    reached = 12 if column == "chain_hmac" else 13
    assert findings(checks["exports.hmac"]) == [("hmac", B, 12, reached)]
    assert checks["exports.hmac"].verdict == FAIL


@pytest.mark.mutation
def test_an_emptied_hmac_is_found(scene: Scene) -> None:
    scene.row(A, 12)["chain_hmac"] = ""
    check = scene.examine(alone=True)["exports.hmac"]
    assert (check.verdict, findings(check)) == (FAIL, [("unkeyed", A, 12, 12)])


@pytest.mark.mutation
def test_a_row_that_was_exchanged_for_another_is_found(scene: Scene) -> None:
    scene.row(A, 12).update(content_sha256="1" * 64, chain_hmac="2" * 64, event_id="new")
    assert findings(scene.examine(alone=True)["exports.hmac"]) == [("hmac", A, 12, 13)]


@pytest.mark.mutation
def test_wrong_key_is_reported_as_a_wrong_key(scene: Scene) -> None:
    scene.keys = (OTHER,)
    checks = scene.examine()
    assert not_passed(checks) == {"exports.hmac": FAIL}
    assert f"wrong AUDIT_HMAC_KEY: none of 60 exported events was signed with {OTHER.id}" in checks["exports.hmac"].message


def test_hmacs_are_unproven_without_a_key(scene: Scene) -> None:
    scene.keys = ()
    assert not_passed(scene.examine()) == {"exports.hmac": UNPROVEN}


@pytest.mark.no_false_alarm
def test_a_rotated_key_is_reported(tmp_path: pathlib.Path) -> None:
    scene = Scene(tmp_path, keys=(OTHER, KEY))
    scene.ingest(0, A, 5, key=KEY)
    scene.ingest(1, A, 5, key=OTHER)
    checks = scene.examine()
    assert not_passed(checks) == {}
    assert checks["exports.hmac_key"].details["rotations"] == [{"zone": A, "from": 6, "key": OTHER.id}]


@pytest.mark.mutation
def test_rows_of_a_retired_key_that_was_not_given_are_found(tmp_path: pathlib.Path) -> None:
    scene = Scene(tmp_path, keys=(OTHER,))
    scene.ingest(0, A, 5, key=KEY)
    scene.ingest(1, A, 5, key=OTHER)
    assert findings(scene.examine()["exports.hmac"]) == [("unknown_key", A, 1, 5)]


@pytest.mark.mutation
@pytest.mark.parametrize(("other", "kind"), [(False, "duplicate"), (True, "fork")])
def test_duplicate_number_fails(scene: Scene, other: bool, kind: str) -> None:
    again = dict(scene.row(A, 12))
    if other:
        again["content_sha256"] = "3" * 64
    scene.archive[4].append(again)
    check = scene.examine()["exports.sequence"]
    assert (check.verdict, findings(check)) == (FAIL, [(kind, A, 12, 12)])


@pytest.mark.mutation
@pytest.mark.parametrize("damage", ["truncated", "text", "empty", "flipped", "column", "type", "null", "link", "folder"])
def test_a_file_that_cannot_be_read_is_never_a_pass(scene: Scene, damage: str) -> None:
    scene.save()
    path = scene.file(2)
    _damage(path, damage)
    checks = scene.examine()
    if damage in ("link", "folder"):
        assert checks["exports.complete"].verdict == FAIL
        return
    assert checks["exports.readable"].verdict == UNPROVEN
    assert findings(checks["exports.readable"]) == [("unreadable_hour", "", 0, 0)]
    assert hour_name(2) in checks["exports.readable"].message
    assert FAIL not in not_passed(checks).values()


def _damage(path: str, damage: str) -> None:
    data, rows = pathlib.Path(path).read_bytes(), files.read(path)
    # The statistics of the file contain the lowest and the highest value too, so use neither.
    middle = data.index(sorted(row["content_sha256"] for row in rows)[5].encode())
    changed = {
        "truncated": data[:-100],
        "text": b"time,zone_id\n",
        "empty": b"",
        "flipped": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
    }
    if damage in changed:
        pathlib.Path(path).write_bytes(changed[damage])
        return
    table = files.pyarrow.parquet.read_table(path)
    at = table.schema.get_field_index("chain_seq")
    if damage == "column":
        files.pyarrow.parquet.write_table(table.drop_columns(["chain_hmac"]), path)
    elif damage == "type":
        numbers = table.column("chain_seq").cast(files.pyarrow.int32())
        files.pyarrow.parquet.write_table(table.set_column(at, "chain_seq", numbers), path)
    elif damage == "null":
        nothing = files.pyarrow.nulls(table.num_rows, files.pyarrow.int64())
        files.pyarrow.parquet.write_table(table.set_column(at, "chain_seq", nothing), path)
    else:
        os.rename(path, f"{path}.moved")
        os.symlink(f"{path}.moved", path) if damage == "link" else os.mkdir(path)


@pytest.mark.mutation
def test_files_with_unknown_names_are_reported_and_not_read(scene: Scene) -> None:
    scene.save()
    folder = os.path.dirname(scene.file(2))
    for name in ("2026-06-17T24.parquet", "2026-06-18T03.parquet", "2026-06-17T04.parquet.part", "\udcff\n"):
        pathlib.Path(folder, name).write_bytes(b"")
    check = scene.examine()["exports.readable"]
    assert (check.verdict, check.details["findings"]) == (WARN, 4)
    assert check.details["rows"] == 60
    assert "\n" not in "".join(one["says"] for one in check.details["positions"])


@pytest.mark.parametrize("made", ["", "audit", "audit/2026/06/17"])
def test_a_folder_without_exports_is_refused(tmp_path: pathlib.Path, made: str) -> None:
    (tmp_path / made).mkdir(parents=True, exist_ok=True)
    with pytest.raises(StorageError, match="bucket"):
        export_files.Folder(str(tmp_path), _deps.require_pyarrow())


@pytest.mark.mutation
def test_files_without_rows_are_not_a_pass(scene: Scene) -> None:
    scene.archive = {0: []}
    assert PASS not in {check.verdict for check in scene.examine(alone=True).values()}
    assert scene.examine()["exports.complete"].verdict == FAIL


def test_missing_pyarrow_error_names_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependency, match=r"pip install 'pyarrow>=15\.0'"):
        _deps.require_pyarrow()


def test_a_library_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.pyarrow, "__version__", "14.0.0")
    with pytest.raises(MissingDependency, match=r"pyarrow 14\.0\.0 is too old"):
        _deps.require_pyarrow()


def rewritten(path: str, footer: str = "") -> None:
    """Rewrite an hour with documents of 32 KiB that compress to few bytes."""
    table = pyarrow.parquet.read_table(path)
    wide = pyarrow.array(["x" * (32 << 10)] * 4000)
    table = pyarrow.table(
        {name: wide if name == "metadata_json" else pyarrow.array([table[name][0].as_py()] * 4000) for name in table.column_names}
    )
    schema = pyarrow.schema([pyarrow.field(name, kind, nullable=False) for name, kind in files.COLUMNS.items()])
    with pyarrow.parquet.ParquetWriter(path, schema, use_dictionary=True, store_schema=False, compression="NONE") as out:
        out.write_table(table.cast(schema))
        out.add_key_value_metadata({"x": footer})


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("limit", "words"), [("BATCH_LIMIT", "rows larger than any event"), ("COLUMN_LIMIT", "has a column of more than"), ("", "")]
)
def test_a_file_that_is_much_larger_unpacked_is_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch, limit: str, words: str) -> None:
    """With a smaller limit in place of the large one. Without a smaller limit it is read like any file."""
    scene.save()
    rewritten(scene.file(0))
    assert os.path.getsize(scene.file(0)) < 1 << 20
    hour = scene.folder().hours[0]
    if not limit:
        assert sum(len(rows) for rows in scene.folder().rows(hour)) == 4000
        return
    monkeypatch.setattr(export_files, limit, 16 << 10)
    with pytest.raises(export_files.UnreadableHour, match=words):
        next(scene.folder().rows(hour))


@pytest.mark.mutation
def test_refuses_a_footer_with_oversized_text(scene: Scene) -> None:
    scene.save()
    rewritten(scene.file(0), "x" * (2 << 20))
    with pytest.raises(export_files.UnreadableHour, match="cannot be read"):
        next(scene.folder().rows(scene.folder().hours[0]))
