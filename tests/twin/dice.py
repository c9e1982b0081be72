# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Chance with a seed: ids, bytes and text that is awkward to copy."""

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
    """`random.Random` with the shapes that the data needs. A label keeps streams apart from each other."""

    def __init__(self, seed: int | str, label: str) -> None:
        super().__init__(f"caracal twin {seed} {label}")

    def uuid7(self, at: dt.datetime) -> str:
        """A version 7 UUID as text, of this moment."""
        return uuid7(milliseconds(at), self.getrandbits(74))

    def hex(self, size: int) -> str:
        """Lower-case hex of `size` random bytes."""
        return self.randbytes(size).hex()

    def awkward(self) -> str:
        """Text with bytes that an export likes to get wrong."""
        return self.choice(AWKWARD)

    def argon2(self) -> str:
        """Salt and hash as an Argon2id verifier ends; it verifies nothing."""
        return "$".join(base64.b64encode(self.randbytes(n)).decode().rstrip("=") for n in (16, 32))


def milliseconds(at: dt.datetime) -> int:
    """Unix time in whole milliseconds, exact."""
    return microseconds(at) // 1000


def microseconds(at: dt.datetime) -> int:
    """Unix time in microseconds, exact."""
    return (at - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)) // dt.timedelta(microseconds=1)


def uuid7(ms: int, chance: int) -> str:
    """A version 7 UUID from 48 bits of time and 74 of chance."""
    low = (chance & 0x3FFFFFFFFFFFFFFF) | 0x8000000000000000
    return f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7{chance >> 62:03x}-{low >> 48:04x}-{low & 0xFFFFFFFFFFFF:012x}"
