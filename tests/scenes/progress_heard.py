# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a use case tells of its progress, phase by phase, where somebody looks."""

from __future__ import annotations

import contextlib
import mmap

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import progress
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream.progress import Progress

Phase = tuple[str, int, int]


class Heard(Progress):
    """Cells that forked workers share. Of phases that a worker begins only the last is known."""

    def __init__(self) -> None:
        super().__init__(memoryview(mmap.mmap(-1, 8 * 66)).cast("Q"))
        self._over: list[bytes] = []

    def begin(self, phase: str, total: int = 0) -> None:
        self._over.append(self.told())
        super().begin(phase, total)

    def phases(self) -> list[Phase]:
        """The word of each, the bytes that it was to be, and those that were counted when it was over."""
        found = [one.decode().split() for one in (*self._over, self.told())]
        return [(one[0], int(one[1]), int(one[2])) for one in found if one]


def listen(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """To what is called from now on."""
    heard = Heard()
    monkeypatch.setattr(progress, "shown", lambda: contextlib.nullcontext(heard))
    return heard
