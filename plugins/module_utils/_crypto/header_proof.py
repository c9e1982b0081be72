# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Whether an identity opens a sealed object, from its first bytes alone."""

from __future__ import annotations

import io
import typing as t

from .._deps import require_pyrage
from .._errors import TamperedData

# A stanza of 200 bytes for each of hundreds of recipients.
LIMIT = 1 << 17
NONCE = 16


def header(source: t.BinaryIO, name: str) -> bytes:
    """The age header and the nonce after it. Raises TamperedData when there is none."""
    data = source.read(LIMIT)
    begin = data.find(b"\n---")
    end = data.find(b"\n", begin + 1)
    if begin < 0 or end < 0 or len(data) < end + 1 + NONCE:
        raise TamperedData(f"{name} does not begin as an age file does; use another copy of the set")
    return data[: end + 1 + NONCE]


def opens(head: bytes, identity: t.Any, name: str) -> bool:
    """Whether `identity` opens the object that begins with `head`. Raises TamperedData for a header that was altered."""
    pyrage = require_pyrage()
    try:
        pyrage.decrypt_io(io.BytesIO(head), io.BytesIO(), [identity])
    except OSError:
        # The key fits the header, whose MAC holds; only the content is not there.
        return True
    except pyrage.DecryptError as exc:
        if "No matching keys" in str(exc):
            return False
        raise TamperedData(f"{name}: its header is not authentic ({exc}); use another copy of the set") from exc
    return True
