# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths of a developer's own machine must not be in the tree."""

from __future__ import annotations

from pathlib import Path

from tools.rules import tree

# Split in two parts, so that this file does not find itself.
PARTS = (("/wo", "rk/"), ("../sha", "red"), ("shared/", "contract"), ("/tmp/", "probe"), ("/tmp/", "brief"))
WORDS = tuple(first + second for first, second in PARTS)


def word_faults(root: Path) -> list[str]:
    """Return the files of the tree that contain one of the words."""
    faults = []
    for path in tree.files(root):
        text = (root / path).read_text(encoding="utf-8", errors="replace")
        faults += [f"{path}: holds {word!r}" for word in WORDS if word in text]
    return faults
