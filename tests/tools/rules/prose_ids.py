# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words in IDs of parametrized tests."""

from __future__ import annotations

import re

_VALUES = re.compile(r"\[(.*)\]$", re.DOTALL)
# Pytest joins the IDs of several values with this character.
_JOINT = "-"
# A value with any other character is data, for example a statement or a path.
_WORDS = re.compile(r"[\w ,+]+")


def words(node: str) -> list[str]:
    """Return the IDs of a test's values that consist of words, in the order of the test's parameters."""
    found = _VALUES.search(node)
    parts = found[1].split(_JOINT) if found else []
    return [" ".join(part.replace("_", " ").split()) for part in parts if _WORDS.fullmatch(part)]
