# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sets of a repository as a table for the console, newest first."""

from __future__ import annotations

import datetime
import typing as t

from .text import duration, one_line, plural, size

SHOWN = 40
# The assets of a complete set. Other assets are only listed if a set has them.
USUAL = ("databases", "secrets", "replay", "redis")
IMAGES = "images"
_HEAD = ("set", "age", "release", "size", "last drill", "locked until", "")


class DrillInfo(t.TypedDict):
    """The last drill of a set."""

    drill_id: str
    verdict: str
    sequence: int
    time: str


class ListedSet(t.TypedDict):
    """The fields of a set from `backup_set_info` for the table. With a `problem`, the fields from its manifest are None."""

    set_id: str
    committed: str
    snapshot_time: str | None
    release: str | None
    bytes: int | None
    last_drill: DrillInfo | None
    locked_until: str | None
    problem: str | None
    assets: list[str] | None
    holds: list[dict[str, str]]


def render(sets: t.Sequence[ListedSet], deployment: str, head: str, freshness: str, now: datetime.datetime) -> list[str]:
    """Return the lines. `sets` are from `backup_set_info`, oldest first.

    The head of the journal is shown so that the operator can compare it with a head stored elsewhere.
    """
    first = f"{plural(len(sets), 'set')} of deployment {deployment}, journal head {head} ({freshness})"
    if not sets:
        return [first]
    rows = [_HEAD, *(_row(one, now) for one in reversed(sets[-SHOWN:]))]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    older = len(sets) - SHOWN
    return [first, *lines, *([f"and {plural(older, 'older set')}"] if older > 0 else [])]


def _row(one: ListedSet, now: datetime.datetime) -> tuple[str, ...]:
    return (
        one["set_id"],
        _ago(one["snapshot_time"] or one["committed"], now),
        one_line(one["release"] or "unknown"),
        size(one["bytes"]),
        f"{one['last_drill']['verdict']} {_ago(one['last_drill']['time'], now)} ago" if one["last_drill"] else "never",
        (one["locked_until"] or "not locked").partition("T")[0],
        one_line("; ".join(_remarks(one))),
    )


def _remarks(one: ListedSet) -> list[str]:
    """Return what is unusual about a set."""
    if one["problem"]:
        return [f"cannot be trusted: {one['problem']}"]
    assets = one["assets"] or []
    missing = [name for name in USUAL if name not in assets]
    return [
        *([f"without {', '.join(missing)}"] if missing else []),
        *(["with images"] if IMAGES in assets else []),
        *(f"held: {hold['hold']}" for hold in one["holds"]),
    ]


def _ago(when: str, now: datetime.datetime) -> str:
    """Return the age with its larger units. A time in the future, from another clock, counts as zero."""
    then = datetime.datetime.strptime(when, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc)
    return duration(max(0.0, round((now - then).total_seconds())))
