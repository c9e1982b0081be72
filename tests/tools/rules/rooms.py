# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of rooms in the architecture guide: a row for each folder or file of `plugins/module_utils`, in the order of imports."""

from __future__ import annotations

import re
from pathlib import Path

from tools.rules import guide, imports, tree

HEADING = "Layers"
UTILS = "plugins/module_utils"


def rows(text: str) -> list[str]:
    """Return the first cells of the table, without its head."""
    return re.findall(r"^   \* - (.+)$", guide.section(text, HEADING), re.MULTILINE)[1:]


def present(root: Path) -> set[str]:
    """Return the rooms that have code."""
    return {imports.part_of(Path(path).with_suffix("").parts[1:]) for path in tree.python(root, UTILS)}


def room_faults(root: Path, text: str) -> list[str]:
    """Return the differences between table, folders and order of imports."""
    listed = [row.strip("`") for row in rows(text)]
    faults = [f"{name} has no row" for name in sorted(present(root) - set(listed))]
    faults += [f"the row {name} is of no room" for name in listed if name not in present(root)]
    faults += [f"{name} has {listed.count(name)} rows" for name in sorted(set(listed)) if listed.count(name) > 1]
    ordered = [name for name in imports.ALLOWED if name in listed]
    faults += [] if faults or listed == ordered else [f"the rows are not in the order of imports: {', '.join(ordered)}"]
    return [f"{guide.PATH}: {fault}" for fault in faults]
