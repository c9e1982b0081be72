# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values as PostgreSQL's COPY writes them in its text format, and as they were before."""

from __future__ import annotations

import re

NULL = b"\\N"
_ESCAPE = re.compile(rb"\\([bfnrtv])")
_ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def plain(text: bytes, null: bytes = b"") -> bytes:
    """COPY text of one value, or of several with something between them, as it was before COPY; NULLs become `null`.

    No text of PostgreSQL holds a NUL byte, so one may stand for an escaped backslash while the other escapes are undone.
    """
    if b"\\" not in text:
        return text
    text = text.replace(b"\\\\", b"\0").replace(NULL, null)
    if b"\\" in text:
        text = _ESCAPE.sub(lambda found: _ESCAPES[found[1]], text)
    return text.replace(b"\0", b"\\")
