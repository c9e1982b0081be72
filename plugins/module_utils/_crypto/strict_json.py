# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Strict JSON: documents that two parsers could interpret differently are refused.

Other programs read signed files too, so a duplicate key or a NaN is treated as an attack.
"""

from __future__ import annotations

import json
import math
import typing as t

from .._errors import TamperedData

SIZE_LIMIT = 16 << 20
DEPTH_LIMIT = 16
# Limit of values, each of which needs at least 50 bytes of memory. A pass over 20,000 files has 200,000 values.
VALUES_LIMIT = 2 << 20
_DIGITS = 20


def loads(data: bytes, name: str = "JSON document") -> dict[str, t.Any]:
    """Return the object in `data`. Errors use `name`. Raises TamperedData."""
    try:
        return _loads(data)
    except (ValueError, RecursionError) as exc:
        raise TamperedData(f"{name} is not strict JSON ({_reason(exc)}); use another copy and find out who wrote this one") from exc


def dumps(value: t.Mapping[str, object]) -> bytes:
    """Return the same bytes for the same content: sorted keys, one space per level, UTF-8, a newline at the end."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8") + b"\n"


def _loads(data: bytes) -> dict[str, t.Any]:
    if len(data) > SIZE_LIMIT:
        raise ValueError(f"more than {SIZE_LIMIT >> 20} MiB")
    if data.startswith(b"\xef\xbb\xbf"):
        raise ValueError("it begins with a byte order mark")
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > VALUES_LIMIT:
        raise ValueError(f"more than {VALUES_LIMIT} values")
    value = json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_integer)
    if not isinstance(value, dict):
        raise ValueError("it is not an object")
    _check_tree(value)
    return value


def _reason(exc: BaseException) -> str:
    if isinstance(exc, RecursionError):
        return f"nested deeper than {DEPTH_LIMIT}"
    if isinstance(exc, UnicodeError):
        return "not UTF-8"
    return str(exc).splitlines()[0]


def _object(pairs: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _value in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"duplicate key {twice[:40]!a}")
    return found


def _constant(text: str) -> t.Any:
    raise ValueError(f"{text} is not a number")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _integer(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError("a number is too long")
    return int(text)


def _check_tree(value: t.Any) -> None:
    """Check the depth, and refuse half of a surrogate pair, which a UTF-8 file cannot contain."""
    waiting = [(value, 1)]
    while waiting:
        one, depth = waiting.pop()
        if isinstance(one, str):
            one.encode("utf-8")
        elif isinstance(one, (dict, list)):
            if depth > DEPTH_LIMIT:
                raise RecursionError
            inner = [*one, *one.values()] if isinstance(one, dict) else one
            waiting.extend((part, depth + 1) for part in inner)
