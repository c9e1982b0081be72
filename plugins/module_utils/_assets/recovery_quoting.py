# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Quote names of untrusted origin in RECOVERY.md, in commands and in sentences. Each stays on one line, so no name can end a block."""

from __future__ import annotations

import re
import shlex

from .._errors import printable

_PLAIN = re.compile(r"[ -~]*\Z")
_MARKS = re.compile(r"([\\`*_\[\]<>|&~#$])")


def shell(text: str) -> str:
    """Return one word of bash."""
    if _PLAIN.match(text):
        return shlex.quote(text)
    # In plain quotes, a newline could be followed by the fence that ends the block.
    return "$'" + "".join(chr(one) if 32 <= one < 127 and one not in b"'\\" else f"\\x{one:02x}" for one in text.encode()) + "'"


def markdown(text: str) -> str:
    """Return text in which no character is Markdown markup."""
    return _MARKS.sub(r"\\\1", printable(text))


def code(text: str) -> str:
    """Return a name as inline code."""
    return f"`{printable(text).replace('`', chr(92) + 'x60')}`"
