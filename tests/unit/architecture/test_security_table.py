# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SECURITY.md names an existing test for each attempt of each party."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.rules import tree

NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
HEADING = "## What each party can do at worst"
HEADS = ("| attempt | ", "| party | ")


def missing(root: Path, text: str) -> list[str]:
    """Return named tests that do not exist, and table rows without a test."""
    rows = [line for line in text.partition(HEADING)[2].splitlines() if line.startswith("| ") and not line.startswith(HEADS)]
    found = [row for row in rows if not NAMED.search(row) and not row.startswith("| key |")]
    for path, name in NAMED.findall(text):
        file = root / "tests" / path
        if not file.is_file() or f"\ndef {name}(" not in file.read_text(encoding="utf-8"):
            found.append(f"{path}::{name}")
    return found


def test_each_attempt_has_its_test() -> None:
    text = (tree.ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert len(NAMED.findall(text)) > 30
    assert missing(tree.ROOT, text) == []


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("row", "named"),
    [
        ("| a | b | `a/test_x.py::test_gone` |", ["a/test_x.py::test_gone"]),
        ("| a | b | `a/test_y.py::test_there` |", ["a/test_y.py::test_there"]),
        ("| a | b | none |", ["| a | b | none |"]),
        ("| a | b | `a/test_x.py::test_there` |", []),
    ],
)
def test_reports_missing_tests(tmp_path: Path, row: str, named: list[str]) -> None:
    file = tmp_path / "tests" / "a" / "test_x.py"
    file.parent.mkdir(parents=True)
    file.write_text("\ndef test_there() -> None:\n    pass\n", encoding="utf-8")
    assert missing(tmp_path, f"{HEADING}\n\n{row}\n") == named
