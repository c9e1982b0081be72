# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decode values in the text format of PostgreSQL's COPY."""

from __future__ import annotations

import re

NULL = b"\\N"
_ESCAPE = re.compile(rb"\\([bfnrtv])")
_ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def plain(text: bytes, null: bytes = b"") -> bytes:
    """Decode COPY text of one value, or of several values with separators. NULLs become `null`.

    PostgreSQL text never contains a NUL byte, so one can stand for an escaped backslash while the other escapes are
    decoded.
    """
    if b"\\" not in text:
        return text
    text = text.replace(b"\\\\", b"\0").replace(NULL, null)
    if b"\\" in text:
        text = _ESCAPE.sub(lambda found: _ESCAPES[found[1]], text)
    return text.replace(b"\0", b"\\")
