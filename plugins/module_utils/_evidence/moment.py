# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse a point in time from an option."""

from __future__ import annotations

import datetime

from .._errors import OptionError


def of(option: str, text: str) -> datetime.datetime:
    """Return the value of an option in ISO 8601 with a time zone. Raises OptionError."""
    try:
        found = datetime.datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise OptionError(f"{option} {text!r} is not a time with a time zone; write it as 2026-11-25T02:16:44Z")
    return found
