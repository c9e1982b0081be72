# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores that the journal recorded, as an explanation of exported events that the chain no longer has."""

from __future__ import annotations

import datetime as dt
import typing as t

from ..chains.audit_chains import AUDIT
from .export_files import hour_of


class Cut(t.Protocol):
    """A restore that the journal recorded, at `time` (UTC): heads by (chain, zone as COPY text) before and after it."""

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
    """Which restores cut off a sequence number."""

    def __init__(self, cuts: t.Iterable[Cut]) -> None:
        self._cuts = sorted(cuts, key=lambda cut: cut.sequence)

    def find(self, zone: str, number: int, hour: int = 0) -> list[Cut]:
        """In the order of the journal. What was exported in a later `hour` than that of a restore cannot have been cut off by it."""
        key = AUDIT.name, as_copy(zone)
        return [cut for cut in self._cuts if cut.after.get(key, 0) < number <= cut.before.get(key, 0) and hour <= hour_of(cut.time)]


def words_for(cut: Cut, zone: str, tail: str) -> str:
    """A cut of a zone in words; `tail` says what came of it."""
    head = cut.after.get((AUDIT.name, as_copy(zone)), 0)
    return f"the chain was cut at {head} by a restore (entry {cut.sequence}, set {cut.set_id}); {tail}"


_COPY = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f", "\v": "\\v"})


def as_copy(zone: str) -> str:
    """COPY text of a zone, as findings and heads name it."""
    return zone.translate(_COPY)
