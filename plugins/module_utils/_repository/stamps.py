# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""RFC 3161 timestamps of journal entries. Each entry names the one before, so a timestamp also limits the age of earlier entries."""

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

# Allowed difference between the clocks of an authority and a host.
SKEW = datetime.timedelta(minutes=5)


def read(store: Store, entry: Entry, anchors: Anchors) -> Stamp | None:
    """Return the verified timestamp of an entry, or None if it has none. Raises TamperedData or KeyProblem for an invalid one."""
    key = layout.entry_timestamp_key(entry.sequence, entry.sha256)
    if store.stat(key) is None:
        return None
    return anchors.verify(store.read(key, timestamps.SIZE_LIMIT), entry.sha256, f"{store.location}/{key}")


def keys(store: Store) -> list[str]:
    """Return the keys of all stored timestamps, whether or not their entry exists."""
    return [one.key for one in store.list(layout.JOURNAL) if layout.is_timestamp(one.key)]


def check_age(entry: Entry, stamp: Stamp, name: str) -> None:
    """Raise TamperedData if the entry has a later time than its timestamp."""
    dated = written(entry)
    if dated > stamp.time + SKEW:
        raise TamperedData(
            f"{name} is dated {dated:%Y-%m-%dT%H:%M:%SZ}, but {stamp.authority} timestamped it at {stamp.time:%Y-%m-%dT%H:%M:%SZ}; "
            f"correct the clock of {entry.machine}, or find out who changed the date"
        )


def dated_forward(entries: t.Sequence[Entry], stamps: t.Mapping[int, Stamp], location: str) -> list[str]:
    """Return the errors of `check_age`, with each entry compared to the earliest timestamp of itself or of a later entry.

    `stamps` are by entry number.
    """
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
    """Return the time according to the clock of the host that wrote the entry.

    If an operator has corrected that time, return the evaluated time instead.
    """
    return min(parse_timestamp(str(entry.time["host"])), entry.judged + SKEW)
