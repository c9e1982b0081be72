# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Format numbers, times and untrusted text for people."""

from __future__ import annotations

import datetime
import re
import typing as t

# Characters that XML 1.0 or a terminal cannot process, control characters and unpaired surrogates. Also marks that change the
# writing direction, with which a message could appear to show another verdict.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def clean(text: str) -> str:
    """Replace each character that breaks a page, an XML file or a terminal by U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", text)


def one_line(text: str) -> str:
    """Return the cleaned text with each run of white space replaced by one space."""
    return " ".join(clean(text).split())


def duration(seconds: float | None) -> str:
    """Return `8.1 s`, `3 min 12 s`, `7 h 5 min`, `2 d 3 h`, or `unknown` for None."""
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
    """Return bytes in decimal units: `412.3 MB`, or `unknown` for None."""
    if count is None:
        return "unknown"
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 999.95 or (unit == "bytes" and value < 1000):
            return f"{count} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def utc(when: datetime.datetime) -> str:
    """Return `2026-11-25T02:00:01.000000Z`, the format of all documents. The time must have a time zone."""
    return when.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def readable(when: str | None) -> str:
    """Return a time from a document without fractions, `2026-11-25 02:00:01 UTC`, or `unknown` for None."""
    return when.partition(".")[0].replace("T", " ") + " UTC" if when else "unknown"


def parameters(expected: t.Sequence[str] | None, actual: t.Sequence[str] | None) -> str:
    """Return the names of `name=value` parameters that differ.

    Values may be secret and are not shown. The order of parameters is ignored.
    """
    return ", ".join(sorted({one.partition("=")[0] for one in set(expected or []) ^ set(actual or [])}))


def plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
