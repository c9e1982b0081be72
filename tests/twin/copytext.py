# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Convert values to lines of PostgreSQL's COPY text format, and to the text that `jsonb` prints."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import typing as t

NULL = "\\N"
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f", "\v": "\\v"})
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


@dataclasses.dataclass(frozen=True)
class Json:
    """A value for a `jsonb` column."""

    value: t.Any


def jsonb(value: t.Any) -> str:
    """Return the text of `value::jsonb::text`: keys sorted by length, then by bytes. Floats are not supported."""
    return _encode(_sorted(value))


def _sorted(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=lambda k: (len(k.encode()), k.encode()))}
    if isinstance(value, (list, tuple)):
        return [_sorted(item) for item in value]
    if isinstance(value, float):
        raise TypeError("a float has no fixed jsonb text")
    return value


def escape(text: str) -> str:
    """Escape one field."""
    return text.translate(_ESCAPES)


def line(values: t.Iterable[t.Any]) -> str:
    """Return one row with its newline."""
    return "\t".join(map(field, values)) + "\n"


def field(value: t.Any) -> str:
    """Return one value. Lists are text arrays, `Json` is jsonb, and "infinity" is the text that timestamps accept."""
    if value is None:
        return NULL
    if isinstance(value, bool):
        return "t" if value else "f"
    return escape(_text(value))


def _text(value: t.Any) -> str:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, list):
        return "{" + ",".join('"' + str(item).replace("\\", "\\\\").replace('"', '\\"') + '"' for item in value) + "}"
    return jsonb(value.value) if isinstance(value, Json) else str(value)


class ByteStream:
    """A readable file over an iterator of lines, for `copy_expert`. It keeps one chunk in memory."""

    def __init__(self, lines: t.Iterator[str]) -> None:
        self._lines = lines
        self._rest = b""

    def read(self, size: int = 1 << 20) -> bytes:
        if not self._rest:
            self._rest = self._chunk()
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def _chunk(self) -> bytes:
        part: list[str] = []
        for text in self._lines:
            part.append(text)
            if len(part) == 512:
                break
        return "".join(part).encode()
