# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jinja expressions in roles and playbooks are short. Computations are written in Python, in a filter or a module."""

from __future__ import annotations

import re
from pathlib import Path

from tools.rules import tree

LONGEST = 200
_EXPRESSION = re.compile(r"\{\{.*?\}\}", re.DOTALL)


def faults(root: Path) -> list[str]:
    """Return the expressions that are too long. Line breaks and indentation count as one blank."""
    found = []
    for path in [*tree.files(root, "roles/**/*.yml"), *tree.files(root, "playbooks/**/*.yml")]:
        text = (root / path).read_text(encoding="utf-8")
        for one in _EXPRESSION.finditer(text):
            size = len(" ".join(one.group().split()))
            if size > LONGEST:
                found.append(f"{path}:{text.count(chr(10), 0, one.start()) + 1}: {size} characters, at most {LONGEST}: use a filter")
    return found
