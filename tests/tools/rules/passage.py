# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A passage of text for the rules on language."""

from __future__ import annotations

import typing as t

# Replaces code, a name or a link's address by one word that no pattern matches.
CODE = "X"


class Passage(t.NamedTuple):
    """A paragraph, heading, item, cell, description or message. `line` is its first line, or the next line that the parser reports."""

    line: int
    text: str
