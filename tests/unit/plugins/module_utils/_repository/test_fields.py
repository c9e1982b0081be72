# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import TamperedData, VersionMismatch
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.fields import Fields, parse_timestamp, timestamp

WHEN = datetime.datetime(2026, 11, 25, 2, 0, 1, 500, tzinfo=datetime.timezone.utc)


def test_a_time_is_written_in_utc_and_read_again() -> None:
    there = WHEN.astimezone(datetime.timezone(datetime.timedelta(hours=-5)))
    assert timestamp(there) == "2026-11-25T02:00:01.000500Z"
    assert parse_timestamp(timestamp(there)) == WHEN


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("text", 1),
        ("text", None),
        ("text", "x" * 70_000),
        ("optional_text", 1),
        ("sha256", "AB" * 32),
        ("sha256", "ab" * 32 + "\n"),
        ("time", "2026-11-25T02:00:01Z"),
        ("time", "2026-13-25T02:00:01.000000Z"),
        ("optional_time", "now"),
        ("integer", -1),
        ("integer", True),
        ("integer", 1.0),
        ("integer", "1"),
        ("flag", 1),
        ("inner", []),
        ("optional_inner", []),
        ("array", {}),
        ("inners", [1]),
        ("texts", ["a", 1]),
        ("table", {"a": 1}),
        ("numbers", {"a": True}),
        ("dictionary", []),
    ],
)
def test_a_value_of_another_type_is_named(method: str, value: t.Any) -> None:
    with pytest.raises(TamperedData, match=r"a.* of x.json|x.json has (an invalid|a negative) a"):
        getattr(Fields({"a": value}, "x.json"), method)("a")


@pytest.mark.mutation
def test_a_missing_and_an_unknown_field_are_named() -> None:
    with pytest.raises(TamperedData, match=r"x.json has no a"):
        Fields({}, "x.json").optional_text("a")
    with pytest.raises(TamperedData, match=r"x.json has unknown field 'b'"):
        Fields({"b": 1}, "x.json").end()
    with pytest.raises(TamperedData, match=r"x.json has unknown a 'c'"):
        Fields({"a": "c"}, "x.json").one_of("a", ("b",))


@pytest.mark.mutation
def test_wrong_type_and_unknown_format_are_distinguished() -> None:
    with pytest.raises(TamperedData, match=r"x.json has type 'drill-report', not backup-set"):
        Fields({"type": "drill-report", "format": 1}, "x.json").head("backup-set")
    with pytest.raises(VersionMismatch, match="has format 2, but this release reads formats up to 1; install a newer release"):
        Fields({"type": "backup-set", "format": 2}, "x.json").head("backup-set")
    with pytest.raises(VersionMismatch, match=r"has format 3, but this release reads formats up to 2; install release '1.1.0'"):
        Fields({"type": "backup-set", "format": 3, "requires": "1.1.0"}, "x.json").head("backup-set", 2)
    for wrong in ({"format": 2}, {"format": 2, "requires": "0.1.0"}):
        with pytest.raises(TamperedData, match="unknown format 2"):
            Fields({"type": "backup-set", **wrong}, "x.json").head("backup-set", 2)
    with pytest.raises(TamperedData, match="unknown format 0"):
        Fields({"type": "backup-set", "format": 0}, "x.json").head("backup-set")


@pytest.mark.no_false_alarm
def test_optional_fields_may_be_null() -> None:
    fields = Fields({"a": None, "b": None, "c": None, "type": "x", "format": 1}, "x.json")
    fields.head("x")
    assert (fields.optional_text("a"), fields.optional_time("b"), fields.optional_inner("c")) == (None, None, None)
    fields.end()
