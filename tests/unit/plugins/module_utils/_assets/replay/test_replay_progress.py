# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Progress reports while replay directories are read."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.replay.replay_reading import Nowhere, Reading
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.volume.live import Directory
from scenes.progress_heard import Heard, listen
from scenes.replay_folders import TIME, ReplayFolder, event, folder
from scenes.scene import Scene
from unit.plugins.module_utils._assets.replay.test_replay_volumes import archive

A, B, C, D = (f"pending-1-{TIME + number}.ndjson" for number in range(4))


def size(one: ReplayFolder) -> int:
    return sum(path.stat().st_size for path in one.path.glob("pending-*"))


def test_progress_counts_all_files_of_a_directory_in_each_pass(dumped: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard, one, other = listen(monkeypatch), folder(tmp_path / "one"), folder(tmp_path / "other")
    for name in (A, B, C):
        one.file(name, event("a", 3000) + event("b"))
    one.file("unknown", b"it is not read")
    archive(dumped, 1, one, other)
    # Unchanged, longer, replaced, new, and one with an incomplete last line.
    one.append(B, event("c"))
    one.file(C, event("d", 5000))
    one.file(D, event("e") + b"torn")
    archive(dumped, 2, one, other)
    first, empty, second, *rest = heard.phases()
    assert first[0] == second[0] == "copying" and first[2] == first[1] < second[1]
    assert second == ("copying", size(one), size(one))
    assert [empty, *rest] == [("copying", 0, 0)] * 2


class Growing(Heard):
    """One file grows and one disappears after their sizes were determined."""

    def __init__(self, one: ReplayFolder) -> None:
        super().__init__()
        self._one = one

    def begin(self, phase: str, total: int = 0) -> None:
        super().begin(phase, total)
        self._one.append(A, event("more", 9000))
        (self._one.path / B).unlink()


def test_progress_counts_initial_sizes_of_changing_files(tmp_path: Path) -> None:
    one = folder(tmp_path / "one")
    one.file(A, event("a"))
    one.file(B, event("b", 2000))
    before, heard = size(one), Growing(one)
    with Directory(str(one.volume), "audit-replay") as directory:
        found: t.Any = Reading(directory, None, Nowhere(), heard).run()
    assert (len(found.files), found.drained) == (1, [B])
    assert heard.phases() == [("copying", before, before)]
