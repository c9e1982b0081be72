# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores in the journal, which explain exported events that are missing from the chain."""

from __future__ import annotations

import datetime as dt
import typing as t

from ..chains.audit_chains import AUDIT
from .export_files import hour_of


class Cut(t.Protocol):
    """A restore in the journal, at `time` (UTC), with the heads before and after it by (chain, zone as COPY text)."""

    @property
    def sequence(self) -> int: ...
    @property
    def time(self) -> dt.datetime: ...
    @property
    def set_id(self) -> str: ...
    @property
    def before(self) -> t.Mapping[tuple[str, str], int]: ...
    @property
    def after(self) -> t.Mapping[tuple[str, str], int]: ...


class Cuts:
    """Finds the restores that removed a sequence number."""

    def __init__(self, cuts: t.Iterable[Cut]) -> None:
        self._cuts = sorted(cuts, key=lambda cut: cut.sequence)

    def find(self, zone: str, number: int, hour: int = 0) -> list[Cut]:
        """Return the restores in journal order. A restore cannot have removed events that were exported in a later `hour`."""
        key = AUDIT.name, as_copy(zone)
        return [cut for cut in self._cuts if cut.after.get(key, 0) < number <= cut.before.get(key, 0) and hour <= hour_of(cut.time)]


def words_for(cut: Cut, zone: str, tail: str) -> str:
    """Return the message for a cut in a zone. `tail` describes its effect."""
    head = cut.after.get((AUDIT.name, as_copy(zone)), 0)
    return f"a restore (journal entry {cut.sequence}, set {cut.set_id}) cut the chain after number {head}; {tail}"


_COPY = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f", "\v": "\\v"})


def as_copy(zone: str) -> str:
    """Return the COPY text of a zone, as used in findings and heads."""
    return zone.translate(_COPY)
