# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Strict access to the fields of a parsed signed document. Missing fields, wrong types and unknown fields are errors."""

from __future__ import annotations

import datetime
import re
import typing as t

from .._errors import TamperedData, VersionMismatch
from .layout import FORMAT, REQUIRES

SHA256 = re.compile(r"[0-9a-f]{64}\Z")
TEXT_LIMIT = 1 << 16
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z\Z")


def timestamp(when: datetime.datetime) -> str:
    """Format a time with a zone as in all documents: `2026-11-25T02:00:01.000000Z`."""
    return when.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_timestamp(text: str) -> datetime.datetime:
    """Parse a timestamp in UTC with microseconds. Raises ValueError."""
    if not _TIME.match(text):
        raise ValueError(f"{text[:40]!a} is not a time in UTC with microseconds")
    # A journal has hundreds of thousands of timestamps, and `strptime` needs twenty times as long.
    return datetime.datetime.fromisoformat(f"{text[:-1]}+00:00")


class Fields:
    """One object of a document. Take its fields one by one, then call `end`.

    Every fault raises TamperedData with the name of the document.
    """

    def __init__(self, data: object, name: str, remedy: str = "use another copy") -> None:
        self.name = name
        self._remedy = remedy
        if not isinstance(data, dict):
            raise self.fault("is not an object")
        self._left = dict(data)

    def fault(self, words: str) -> TamperedData:
        return TamperedData(f"{self.name} {words}; it was not written by this software: {self._remedy}")

    def take(self, field: str) -> t.Any:
        """Return the raw value. A nullable field must be present too."""
        if field not in self._left:
            raise self.fault(f"has no {field}")
        return self._left.pop(field)

    def _typed(self, field: str, kind: type) -> t.Any:
        value = self.take(field)
        if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
            raise self.fault(f"has an invalid {field}")
        return value

    def head(self, kind: str, newest: int = FORMAT) -> None:
        """Check `type` and `format`.

        The type is checked first: another type of document is refused, while a newer format raises VersionMismatch.
        """
        found = self._typed("type", str)
        if found != kind:
            raise self.fault(f"has type {found[:40]!a}, not {kind}")
        self.format(newest)

    def format(self, newest: int = FORMAT) -> None:
        """Check `format`, and `requires` in formats after the first. Raises VersionMismatch for a format after `newest`."""
        number = self.integer("format")
        requires = self.text("requires") if number > FORMAT and "requires" in self._left else ""
        if number > newest:
            wanted = f"release {requires[:40]!a} of the collection or a later one" if requires else "a newer release of the collection"
            raise VersionMismatch(f"{self.name} has format {number}, but this release reads formats up to {newest}; install {wanted}")
        if number < FORMAT or requires != REQUIRES.get(number, ""):
            raise self.fault(f"has unknown format {number}")

    def text(self, field: str, pattern: re.Pattern[str] | None = None) -> str:
        value: str = self._typed(field, str)
        if len(value) > TEXT_LIMIT or (pattern and not pattern.match(value)):
            raise self.fault(f"has an invalid {field}")
        return value

    def optional_text(self, field: str) -> str | None:
        if field in self._left and self._left[field] is None:
            return t.cast(None, self.take(field))
        return self.text(field)

    def sha256(self, field: str) -> str:
        return self.text(field, SHA256)

    def later_text(self, field: str, pattern: re.Pattern[str]) -> str:
        """Like `text`, for a field that older documents do not have. Then it is empty."""
        return self.text(field, pattern) if field in self._left else ""

    def later_sha256(self, field: str) -> str:
        """Like `sha256`, for a field that older documents do not have. Then it is empty."""
        return self.later_text(field, SHA256)

    def one_of(self, field: str, allowed: t.Container[str]) -> str:
        value = self.text(field)
        if value not in allowed:
            raise self.fault(f"has unknown {field} {value[:40]!a}")
        return value

    def time(self, field: str) -> datetime.datetime:
        value = self.text(field)
        try:
            return parse_timestamp(value)
        except ValueError as exc:
            raise self.fault(f"has an invalid {field}") from exc

    def optional_time(self, field: str) -> datetime.datetime | None:
        if field in self._left and self._left[field] is None:
            return t.cast(None, self.take(field))
        return self.time(field)

    def dictionary(self, field: str) -> dict[str, object]:
        """Return an object without checking its fields; the caller checks them."""
        return t.cast("dict[str, object]", self._typed(field, dict))

    def integer(self, field: str) -> int:
        """Return an integer that is not negative."""
        value: int = self._typed(field, int)
        if value < 0:
            raise self.fault(f"has a negative {field}")
        return value

    def later_integer(self, field: str) -> int | None:
        """Like `integer`, for a nullable field that older documents do not have."""
        if self._left.get(field) is None:
            self._left.pop(field, None)
            return None
        return self.integer(field)

    def flag(self, field: str) -> bool:
        return bool(self._typed(field, bool))

    def inner(self, field: str) -> Fields:
        return Fields(self.take(field), f"{field} of {self.name}", self._remedy)

    def optional_inner(self, field: str) -> Fields | None:
        if field in self._left and self._left[field] is None:
            return t.cast(None, self.take(field))
        return self.inner(field)

    def array(self, field: str) -> list[t.Any]:
        return t.cast("list[t.Any]", self._typed(field, list))

    def later_array(self, field: str) -> list[t.Any]:
        """Like `array`, for a field that older documents do not have."""
        return self.array(field) if field in self._left else []

    def inners(self, field: str) -> list[Fields]:
        return [Fields(item, f"{field}[{number}] of {self.name}", self._remedy) for number, item in enumerate(self.array(field))]

    def later_inners(self, field: str) -> list[Fields]:
        """Like `inners`, for a field that older documents do not have."""
        return self.inners(field) if field in self._left else []

    def texts(self, field: str) -> tuple[str, ...]:
        values = self.array(field)
        if not all(isinstance(value, str) for value in values):
            raise self.fault(f"has an invalid {field}")
        return tuple(values)

    def table(self, field: str) -> dict[str, str]:
        """Return an object with only strings as values."""
        values = self._typed(field, dict)
        if not all(isinstance(value, str) for value in values.values()):
            raise self.fault(f"has an invalid {field}")
        return dict(values)

    def numbers(self, field: str) -> dict[str, float]:
        """Return an object with only numbers as values."""
        values = self._typed(field, dict)
        if not all(type(value) in (int, float) for value in values.values()):
            raise self.fault(f"has an invalid {field}")
        return dict(values)

    def end(self) -> None:
        """Raise TamperedData if unknown fields are left, because the format does not allow them."""
        if self._left:
            raise self.fault(f"has unknown field {min(self._left)[:40]!a}")
