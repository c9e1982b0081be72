# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys in hexadecimal, as the product reads them from a value in its environment or from a secret file."""

from __future__ import annotations

import re

from ..._errors import OptionError

# Characters that the product strips from the end of a secret file. It strips nothing from a value in its environment.
FILE_END = " \t\r\n"
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+\Z")


def parse(text: str, name: str, what: str, digits: str, source: str) -> bytes:
    """Return the bytes of the key `what`, which must be hex digits only.

    `digits` and `source` are used in remedies. Raises OptionError with the source of the key, never with the key.
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
