# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Numbers, times and foreign words as a person reads them."""

from __future__ import annotations

import datetime
import re
import typing as t

# What neither XML 1.0 nor a terminal can take, control characters and halves of surrogate pairs; and the marks
# that turn the direction of writing, with which a message could show another verdict than it has.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def clean(text: str) -> str:
    """The text without characters that break a page, an XML file or a terminal; U+FFFD stands for each."""
    return _UNPRINTABLE.sub("\ufffd", text)


def one_line(text: str) -> str:
    """The cleaned text with each run of white space made one space."""
    return " ".join(clean(text).split())


def duration(seconds: float | None) -> str:
    """`8.1 s`, `3 min 12 s`, `7 h 5 min`, `2 d 3 h`; `unknown` for None."""
    if seconds is None:
        return "unknown"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    rest = round(seconds)
    parts = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        parts.append((count, unit))
    first = next(index for index, (count, _unit) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)


def size(count: int | None) -> str:
    """Bytes in decimal units: `412.3 MB`; `unknown` for None."""
    if count is None:
        return "unknown"
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 999.95 or (unit == "bytes" and value < 1000):
            return f"{count} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def utc(moment: datetime.datetime) -> str:
    """`2026-11-25T02:00:01.000000Z`, as all documents write it. The moment must know its zone."""
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def readable(moment: str | None) -> str:
    """A time of a document to the second, `2026-11-25 02:00:01 UTC`; `unknown` for None."""
    return moment.partition(".")[0].replace("T", " ") + " UTC" if moment else "unknown"


def parameters(expected: t.Sequence[str] | None, actual: t.Sequence[str] | None) -> str:
    """Parameters of `name=value` that differ, never their values, which may be anybody's; in what order they were set says nothing."""
    return ", ".join(sorted({one.partition("=")[0] for one in set(expected or []) ^ set(actual or [])}))


def plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
