# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names that others have chosen, as parts of RECOVERY.md: of a command, or of a sentence. Each is one line, so no name ends a block."""

from __future__ import annotations

import re
import shlex

from .._errors import printable

_PLAIN = re.compile(r"[ -~]*\Z")
_MARKS = re.compile(r"([\\`*_\[\]<>|&~#$])")


def shell(text: str) -> str:
    """One word of bash."""
    if _PLAIN.match(text):
        return shlex.quote(text)
    # A newline in plain quotes could be followed by the fence that ends the block.
    return "$'" + "".join(chr(one) if 32 <= one < 127 and one not in b"'\\" else f"\\x{one:02x}" for one in text.encode()) + "'"


def markdown(text: str) -> str:
    """Words of a sentence, which cannot be taken for marks of Markdown."""
    return _MARKS.sub(r"\\\1", printable(text))


def code(text: str) -> str:
    """A name in a span of code."""
    return f"`{printable(text).replace('`', chr(92) + 'x60')}`"
