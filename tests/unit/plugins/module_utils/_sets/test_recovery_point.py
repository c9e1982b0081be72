# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recovery point of a set is its earliest snapshot, in every report."""

from __future__ import annotations

import ast
import typing as t

import pytest

from tools.rules import tree

# Only these modules choose among snapshot times: the recovery point, and the latest time of the database's clock.
CHOOSERS = {"plugins/module_utils/_repository/manifest.py": "min", "plugins/module_utils/_evidence/access.py": "max"}


def choices(source: str) -> t.Iterator[str]:
    """Yield `min` or `max` for each call over `snapshot_time`."""
    for node in ast.walk(ast.parse(source)):
        called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        if called in ("min", "max") and any(isinstance(one, ast.Attribute) and one.attr == "snapshot_time" for one in ast.walk(node)):
            yield called


def test_only_the_manifest_chooses_the_recovery_point() -> None:
    found = {path: list(choices((tree.ROOT / path).read_text(encoding="utf-8"))) for path in tree.python(tree.ROOT, "plugins")}
    assert {path: calls for path, calls in found.items() if calls} == {path: [call] for path, call in CHOOSERS.items()}


@pytest.mark.mutation
def test_another_choice_is_found() -> None:
    assert list(choices("x = max(one.snapshot_time for one in sources)")) == ["max"]
