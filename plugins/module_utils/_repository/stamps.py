# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Timestamps beside the journal's entries. Since each entry names the one before, a stamp bounds the age of all up to its own."""

from __future__ import annotations

import datetime
import typing as t

from .._crypto import timestamps
from .._crypto.timestamps import Anchors, Stamp
from .._errors import TamperedData
from .._storage.base import Store
from . import layout
from .entry import Entry
from .fields import parse_timestamp

# So much may the clocks of an authority and of a host differ.
SKEW = datetime.timedelta(minutes=5)


def read(store: Store, entry: Entry, anchors: Anchors) -> Stamp | None:
    """The verified timestamp of an entry; None when it has none. Raises TamperedData, KeyProblem for one that does not hold."""
    key = layout.entry_timestamp_key(entry.sequence, entry.sha256)
    if store.stat(key) is None:
        return None
    return anchors.verify(store.read(key, timestamps.SIZE_LIMIT), entry.sha256, f"{store.location}/{key}")


def keys(store: Store) -> list[str]:
    """Where a timestamp lies, of whatever."""
    return [one.key for one in store.list(layout.JOURNAL) if layout.is_timestamp(one.key)]


def check_age(entry: Entry, stamp: Stamp, name: str) -> None:
    """Raises TamperedData when the entry says that it was made after an authority had seen it."""
    said = written(entry)
    if said > stamp.time + SKEW:
        raise TamperedData(
            f"{name} is dated {said:%Y-%m-%dT%H:%M:%SZ}, but {stamp.authority} timestamped it at {stamp.time:%Y-%m-%dT%H:%M:%SZ}: "
            f"it was dated forward; correct the clock of {entry.machine}, or find out who did that"
        )


def dated_forward(entries: t.Sequence[Entry], stamps: t.Mapping[int, Stamp], location: str) -> list[str]:
    """What `check_age` says of entries, each against the earliest stamp of itself or of one after it. `stamps` are by number."""
    wrong: list[str] = []
    earliest: Stamp | None = None
    for entry in reversed(entries):
        own = stamps.get(entry.sequence)
        if own and (earliest is None or own.time < earliest.time):
            earliest = own
        try:
            if earliest:
                check_age(entry, earliest, f"{location}/{layout.entry_key(entry.sequence)}")
        except TamperedData as exc:
            wrong.insert(0, exc.msg)
    return wrong


def written(entry: Entry) -> datetime.datetime:
    """By the clock of the host that wrote it; when an operator has corrected that, as it is judged."""
    return min(parse_timestamp(str(entry.time["host"])), entry.judged + SKEW)
