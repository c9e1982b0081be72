# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""New identifiers, and times as the product writes them."""

from __future__ import annotations

import datetime as dt
import json
import secrets
import time
import typing as t

from ...dice import uuid7


def new_id() -> str:
    """Return a version 7 UUID with the current time."""
    return uuid7(time.time_ns() // 1_000_000, secrets.randbits(74))


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)


def nanoseconds_text(ns: int) -> str:
    """Return Unix nanoseconds as RFC 3339 without trailing zeros, as the Go services write them."""
    fraction = f"{ns % 1_000_000_000:09d}".rstrip("0")
    when = dt.datetime.fromtimestamp(ns // 1_000_000_000, dt.timezone.utc)
    return f"{when:%Y-%m-%dT%H:%M:%S}{'.' if fraction else ''}{fraction}Z"


def milliseconds_text(when: dt.datetime) -> str:
    """Return a time as the Node services write it."""
    utc = when.astimezone(dt.timezone.utc)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def compact(value: t.Any) -> str:
    """Return JSON without spaces, as both languages of the product write it. Times have milliseconds."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: t.Any) -> t.Any:
    if isinstance(value, dt.datetime):
        return milliseconds_text(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
