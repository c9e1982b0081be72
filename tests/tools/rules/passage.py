# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A passage of text for the rules about language."""

from __future__ import annotations

import typing as t

# In the place of code, a name or a link's address: one word that fits no pattern.
CODE = "X"


class Passage(t.NamedTuple):
    """A paragraph, heading, item, cell, description or message; `line` is where it begins, or the next line that the parser knows."""

    line: int
    text: str
