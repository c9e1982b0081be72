# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sections of the architecture guide."""

from __future__ import annotations

import re

PATH = "docs/docsite/rst/architecture.rst"
# Characters that underline titles, the higher rank first.
SECTION, SUBSECTION = "-", "~"


def section(text: str, title: str, rank: str = SECTION) -> str:
    """Return the text below a title, up to the next title of its rank or of a higher one."""
    ranks = SECTION if rank == SECTION else SECTION + SUBSECTION
    found = re.search(rf"^{re.escape(title)}\n{rank}{{4,}}\n(.*?)(?=^[^\n]+\n[{ranks}]{{4,}}\n|\Z)", text, re.DOTALL | re.MULTILINE)
    return found[1] if found else ""


def subsections(text: str) -> list[str]:
    """Return the titles of the rank below."""
    return re.findall(rf"^([^\n]+)\n{SUBSECTION}{{4,}}$", text, re.MULTILINE)
