# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of a large object, and its checksums in the store's format."""

from __future__ import annotations

import base64
import hashlib
import typing as t

PART = 8 << 20
# A store accepts 10,000 parts, so later parts are larger: 484 GiB in total.
PARTS_OF_A_SIZE = 2000
PARTS_MAX = 10_000


def text(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")


def composite(digests: t.Sequence[bytes]) -> str:
    """Return the checksum of an object with several parts, in the store's format."""
    return f"{text(hashlib.sha256(b''.join(digests)).digest())}-{len(digests)}"


def part_size(number: int) -> int:
    return PART << ((number - 1) // PARTS_OF_A_SIZE)
