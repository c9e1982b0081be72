# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another user changes a path that root writes or trusts: no other file changes, and nothing becomes trusted."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.users import only_root
from scenes import hostile_paths as paths


@only_root
@pytest.mark.mutation
@pytest.mark.parametrize("name", paths.OPERATIONS)
def test_no_change_on_the_way_leads_elsewhere(tmp_path: Path, name: str) -> None:
    faults = {
        (paths.COMPONENTS[number], change): fault
        for number in range(len(paths.COMPONENTS))
        for change in paths.CHANGES
        if (fault := paths.play(tmp_path / "case", name, number, change))
    }
    assert faults == {}


@only_root
@pytest.mark.no_false_alarm
@pytest.mark.parametrize("name", paths.OPERATIONS)
def test_in_directories_of_root_alone_each_succeeds(tmp_path: Path, name: str) -> None:
    world = paths.World(tmp_path / "case", paths.OPERATIONS[name])
    world.operation.run(str(world.path))


@only_root
@pytest.mark.mutation
def test_a_change_elsewhere_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = paths.Operation(lambda path: Path(path).write_text("x", encoding="utf-8"))
    reads = paths.Operation(lambda path: Path(path).read_bytes())
    for operation in (writes, reads):
        monkeypatch.setitem(paths.OPERATIONS, "secret", operation)
        assert paths.play(tmp_path / "case", "secret", 3, "link") is not None
        assert paths.play(tmp_path / "case", "secret", 3, "hard_link") is not None
