# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys in hexadecimal, as the product takes them from a value in its environment or from a secret file."""

from __future__ import annotations

import re

from ..._errors import OptionError

# What the product takes off the end of a secret file. It takes nothing off a value in its environment.
FILE_END = " \t\r\n"
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+\Z")


def parse(text: str, name: str, what: str, digits: str, source: str) -> bytes:
    """The bytes of the key `what`: hex digits and nothing else.

    `digits` and `source` say in a remedy what to give instead. Raises OptionError that names where the key came from and never the key.
    """
    if not text:
        raise OptionError(f"{name} is empty; give the {what} of the deployment")
    if text != text.strip():
        raise OptionError(
            f"{name} has blanks or a newline around the key, and Caracal does not start with such a key; give only the {digits}"
        )
    if not _HEX.match(text):
        raise OptionError(f"{name} is not hexadecimal; {source}")
    return bytes.fromhex(text)
