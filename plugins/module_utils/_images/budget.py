# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limits of the resources that one image may use on the host that reads it.

All parts of an image share one budget, which is charged before memory or disk space is used.
"""

from __future__ import annotations

import dataclasses
import time

from .._errors import BackupError, StageFailed, TamperedData

# Files, directories and links in all layers.
ENTRIES_LIMIT = 500_000
# Bytes of the archive, and bytes of its unpacked content.
BYTES_LIMIT = 32 << 30
# Bytes of headers, in every pass: a block for each entry, long names, times and attributes.
WORDS_LIMIT = 2 << 30
# Bytes of descriptions, counted each time one is read.
TEXTS_LIMIT = 32 << 20
SECONDS = 3600.0


def _end() -> float:
    return time.monotonic() + SECONDS


@dataclasses.dataclass
class Budget:
    """The remaining budget. `until` is a time of the monotonic clock."""

    entries: int = ENTRIES_LIMIT
    packed: int = BYTES_LIMIT
    size: int = BYTES_LIMIT
    words: int = WORDS_LIMIT
    texts: int = TEXTS_LIMIT
    until: float = dataclasses.field(default_factory=_end)

    def spend(self, name: str, *, entries: int = 0, packed: int = 0, size: int = 0, words: int = 0, texts: int = 0) -> None:
        """Charge the budget for reading the part `name`. Raises TamperedData that names the limit, and StageFailed after the time limit."""
        self.entries -= entries
        self.packed -= packed
        self.size -= size
        self.words -= words
        self.texts -= texts
        if min(self.entries, self.packed, self.size, self.words, self.texts) < 0:
            raise self._fault(name)
        if time.monotonic() > self.until:
            raise StageFailed(f"{name}: the image was not read within {SECONDS:.0f} s; use another image, or a faster source")

    def _fault(self, name: str) -> BackupError:
        bounds = (
            (self.entries, f"{ENTRIES_LIMIT} entries"),
            (min(self.packed, self.size), f"{BYTES_LIMIT} bytes"),
            (self.words, f"{WORDS_LIMIT} bytes of headers"),
            (self.texts, f"{TEXTS_LIMIT} bytes of descriptions"),
        )
        bound = next(words for left, words in bounds if left < 0)
        return TamperedData(f"{name}: the image contains more than {bound}, so it is malicious or damaged; use another image")
