# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Seeded random values: IDs, bytes, and text that is difficult to copy."""

from __future__ import annotations

import base64
import datetime as dt
import random

AWKWARD = (
    "plain words",
    "ünïcødé — 漢字 🦝 e\u0301",
    "back\\slash, \\N, \\t and \\\\.",
    "tab\there",
    "two\nlines\r\nand a third",
    'it\'s "quoted" `thrice`',
    "",
    "  outer blanks  ",
    "{braces,and,commas}",
    "no\u00a0break, zero\u200bwidth, \x7f and \x01",
    "\\.",
)


class Dice(random.Random):
    """`random.Random` with methods for the values in the data. The label separates independent streams."""

    def __init__(self, seed: int | str, label: str) -> None:
        super().__init__(f"caracal twin {seed} {label}")

    def uuid7(self, at: dt.datetime) -> str:
        """Return a version 7 UUID with this time, as text."""
        return uuid7(milliseconds(at), self.getrandbits(74))

    def hex(self, size: int) -> str:
        """Return lower-case hex of `size` random bytes."""
        return self.randbytes(size).hex()

    def awkward(self) -> str:
        """Return text with characters that exports often corrupt."""
        return self.choice(AWKWARD)

    def argon2(self) -> str:
        """Return the salt and hash with which an Argon2id verifier ends. They verify no password."""
        return "$".join(base64.b64encode(self.randbytes(n)).decode().rstrip("=") for n in (16, 32))


def milliseconds(at: dt.datetime) -> int:
    """Return the Unix time in whole milliseconds, exact."""
    return microseconds(at) // 1000


def microseconds(at: dt.datetime) -> int:
    """Return the Unix time in microseconds, exact."""
    return (at - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)) // dt.timedelta(microseconds=1)


def uuid7(ms: int, chance: int) -> str:
    """Return a version 7 UUID from 48 bits of time and 74 random bits."""
    low = (chance & 0x3FFFFFFFFFFFFFFF) | 0x8000000000000000
    return f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7{chance >> 62:03x}-{low >> 48:04x}-{low & 0xFFFFFFFFFFFF:012x}"
