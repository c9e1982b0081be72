# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cause of a failed task in one line, for a notification."""

from __future__ import annotations

import typing as t

from .._errors import printable

_WITHOUT_A_MESSAGE = "failed without a message; check its output"


def cause(result: t.Any) -> str:
    """Return the message of a failed task. In a loop, return the message of the first item that failed with one."""
    whole = result if isinstance(result, t.Mapping) else {}
    items = whole.get("results")
    failed = [one for one in items if isinstance(one, t.Mapping) and one.get("failed")] if isinstance(items, list) else []
    messages = (str(one["msg"]).strip() for one in [*failed, whole] if one.get("msg") is not None)
    return printable(next(filter(None, messages), _WITHOUT_A_MESSAGE))
