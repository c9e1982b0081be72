# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Attempts and their results."""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t
from pathlib import Path

SURVIVED, LOST, HALF_VISIBLE, LEAKED, LEFT_RUNNING = "survived", "lost", "half-visible", "leaked", "left running"
COLUMNS = (SURVIVED, LOST, HALF_VISIBLE, LEAKED, LEFT_RUNNING)
SHOWN = 20


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of one fault. `details`: details of a fault that was not survived.

    `lost`: a restore reads other than signed content and no verifier reports it, or a fault ended in a traceback.
    `half-visible`: a set or a restored object exists in part. `leaked`: a secret in a message, a result or a file.
    """

    column: str = SURVIVED
    details: str = ""


class Tally:
    """Counts by kind of fault, and what failed."""

    def __init__(self) -> None:
        self.counts: dict[str, dict[str, int]] = {}
        self.failed: list[str] = []

    @classmethod
    def read(cls, path: Path) -> Tally:
        """Counts of earlier runs."""
        made = cls()
        if path.exists():
            made.__dict__.update(json.loads(path.read_text(encoding="utf-8")))
        return made

    def write(self, path: Path) -> None:
        """In one step, so that a run that is killed leaves what was counted before it."""
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps({"counts": self.counts, "failed": self.failed}, indent=1) + "\n", encoding="utf-8")
        os.replace(fresh, path)

    def add(self, kind: str, label: str, outcome: Outcome) -> None:
        counts = self.counts.setdefault(kind, dict.fromkeys(COLUMNS, 0))
        counts[outcome.column] += 1
        if outcome.column != SURVIVED:
            # An attempt may contain any text, and is printed.
            line = f"{kind}: {label}: {outcome.column}: {outcome.details}"
            self.failed.append(line.encode("ascii", "backslashreplace").decode("ascii"))

    def total(self, column: str) -> int:
        return sum(counts[column] for counts in self.counts.values())

    @property
    def tried(self) -> int:
        return sum(map(self.total, COLUMNS))

    @property
    def clean(self) -> bool:
        """Return whether at least one fault was tried, and all were survived."""
        return bool(self.tried) and self.total(SURVIVED) == self.tried

    def lines(self) -> t.Iterator[str]:
        """A table, what failed, and the sum."""
        yield f"{'kind':<12}{'tried':>9}" + "".join(f"{column:>14}" for column in COLUMNS)
        for kind, counts in self.counts.items():
            yield f"{kind:<12}{sum(counts.values()):>9}" + "".join(f"{counts[column]:>14}" for column in COLUMNS)
        yield from self.failed[:SHOWN]
        if len(self.failed) > SHOWN:
            yield f"and {len(self.failed) - SHOWN} more"
        sums = ", ".join(f"{self.total(column)} {column}" for column in COLUMNS)
        yield f"faults: {self.tried} tried, {sums}"
