# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from tools.rules import guide, rooms, tree

HEAD = "Layers\n------\n\n.. list-table::\n\n   * - Room\n     - What is in it\n"
FILES = {f"{rooms.UTILS}/{name}": "" for name in ("_errors.py", "_stream/process.py", "_drivers/postgres/server.py")}


def table(*cells: str) -> str:
    return HEAD + "".join(f"   * - {cell}\n     - Something.\n" for cell in cells) + "\nNext\n----\n\n   * - ``_gone``\n"


def test_each_room_has_its_row() -> None:
    text = (tree.ROOT / guide.PATH).read_text(encoding="utf-8")
    assert len(rooms.rows(text)) > 10
    assert rooms.room_faults(tree.ROOT, text) == []


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("cells", "faults"),
    [
        (("``_errors``", "``_stream``"), ["_drivers has no row"]),
        (("``_errors``", "``_stream``", "``_drivers``", "``_party``"), ["the row _party is of no room"]),
        (("``_errors``", "``_stream``", "``_stream``", "``_drivers``"), ["_stream has 2 rows"]),
        (("``_errors``", "``_stream``, ``_drivers``"), ["_drivers has no row", "_stream has no row", "the row _stream``, ``_drivers is"]),
        (("``_errors``", "``_drivers``", "``_stream``"), ["not in the order of imports: _errors, _stream, _drivers"]),
    ],
)
def test_a_table_that_differs_is_found(plant, cells: tuple[str, ...], faults: list[str]) -> None:
    found = rooms.room_faults(plant(FILES), table(*cells))
    assert len(found) == len(faults)
    assert all(expected in fault for expected, fault in zip(faults, found, strict=True))


@pytest.mark.no_false_alarm
def test_a_table_of_all_rooms_in_their_order_is_accepted(plant) -> None:
    assert rooms.room_faults(plant(FILES), table("``_errors``", "``_stream``", "``_drivers``")) == []
