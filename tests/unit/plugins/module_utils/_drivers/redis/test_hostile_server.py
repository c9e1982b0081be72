# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that would keep a backup busy forever."""

from __future__ import annotations

import itertools
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.redis import reading
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.redis.reading import Group, Stream
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import TamperedData, Unreachable

GROUP = Group(b"g", "9-0", None, None, 3, ())


class Hostile:
    """Gives these answers in order, and then repeats them."""

    address = "hostile:6379"

    def __init__(self, *answers: t.Any) -> None:
        self._answers = itertools.cycle(answers)

    def call(self, name: str, *_more: t.Any) -> t.Any:
        return [1, 0] if name == "TIME" else next(self._answers)


def stream(length: int) -> Stream:
    return Stream(b"s", length, "1-0", "9-0", "0-0", length, (GROUP,))


def entries(*ids: str) -> list[t.Any]:
    return [(one.encode(), [b"k", b"v"]) for one in ids]


def pending(*ids: str) -> list[t.Any]:
    return [[one.encode(), b"c", 0, 1] for one in ids]


@pytest.mark.mutation
def test_names_that_come_to_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "FIND_SECONDS", 0.05)
    with pytest.raises(Unreachable):
        reading.find(t.cast("t.Any", Hostile((b"7", [b"a"]))), "*")


@pytest.mark.mutation
@pytest.mark.parametrize("last", [b"junk", b"-1-0", b"9", b"\xff-0", b"9-0\n"])
def test_an_id_that_is_none(last: bytes) -> None:
    answer = [b"length", 0, b"recorded-first-entry-id", b"0-0", b"last-generated-id", last, b"max-deleted-entry-id", b"0-0"]
    with pytest.raises(TamperedData):
        reading.look(t.cast("t.Any", Hostile(1, [*answer, b"entries-added", 0, b"groups", []])), b"s")


@pytest.mark.mutation
@pytest.mark.parametrize(
    "page",
    [entries("junk"), entries("1-0", "1-0"), entries("2-0", "1-0"), entries("1-0", "10-0"), entries(*(f"1-{one}" for one in range(9)))],
    ids=["no id", "again", "backwards", "behind the end", "more than there are"],
)
def test_entries_that_come_to_no_end(page: list[t.Any]) -> None:
    with pytest.raises(TamperedData):
        list(reading.entries(t.cast("t.Any", Hostile(page)), stream(8), None))


@pytest.mark.mutation
@pytest.mark.parametrize("first", ["3-0", "2-0"])
def test_second_page_that_begins_again_is_refused(first: str) -> None:
    """Each page is in order and not longer than requested."""
    page = entries(*(f"{int(first[0])}-{one}" for one in range(reading.FIRST_PAGE)))
    with pytest.raises(TamperedData):
        list(reading.entries(t.cast("t.Any", Hostile(page)), stream(1000), "1-0"))


@pytest.mark.mutation
@pytest.mark.parametrize("ids", [("1-0", "1-0"), ("2-0", "1-0"), ("10-0",)], ids=["again", "backwards", "behind the end"])
def test_pending_entries_that_come_to_no_end(ids: tuple[str, ...]) -> None:
    with pytest.raises(TamperedData):
        list(reading.pending(t.cast("t.Any", Hostile(pending(*ids))), stream(8), GROUP))


@pytest.mark.no_false_alarm
def test_ordered_entries_and_pending_pages_are_read() -> None:
    assert len(list(reading.entries(t.cast("t.Any", Hostile(entries("1-0", "1-1", "9-0"))), stream(8), None))) == 3
    pages = list(reading.pending(t.cast("t.Any", Hostile(pending("1-0", "9-0"))), stream(8), GROUP))
    assert [len(page) for page in pages] == [2]
