# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The progress that a use case reports, phase by phase, to an observer."""

from __future__ import annotations

import contextlib
import mmap

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import progress
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream.progress import Progress

Phase = tuple[str, int, int]


class Heard(Progress):
    """Memory cells that forked workers share. If a worker begins several phases, only the last is known."""

    def __init__(self) -> None:
        super().__init__(memoryview(mmap.mmap(-1, 8 * 66)).cast("Q"))
        self._over: list[bytes] = []

    def begin(self, phase: str, total: int = 0) -> None:
        self._over.append(self.line())
        super().begin(phase, total)

    def phases(self) -> list[Phase]:
        """Return the name of each phase, its expected bytes, and the bytes that were counted at its end."""
        found = [one.decode().split() for one in (*self._over, self.line())]
        return [(one[0], int(one[1]), int(one[2])) for one in found if one]


def listen(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """Observe everything that is called from now on."""
    heard = Heard()
    monkeypatch.setattr(progress, "shown", lambda: contextlib.nullcontext(heard))
    return heard
