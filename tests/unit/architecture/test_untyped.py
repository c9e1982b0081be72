# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from tools.rules import tree, untyped

ABOVE = "plugins/module_utils/_drivers/above.py"
BELOW = "plugins/module_utils/_drivers/below.py"


def test_few_mappings_are_untyped() -> None:
    assert len(untyped.untyped(tree.ROOT)) <= untyped.MOST


@pytest.mark.mutation
@pytest.mark.parametrize(
    "files",
    [
        {ABOVE: "def f(x: t.Mapping[str, t.Any]) -> None: ..."},
        {ABOVE: "def f() -> list[dict[str, Any]]: ..."},
        {ABOVE: "class C:\n    def f(self, *, x: dict[str, dict[str, t.Any]] | None) -> None: ..."},
        {ABOVE: "Found = dict[str, t.Any]\ndef f(x: Found) -> None: ..."},
        {ABOVE: "Found = dict[str, t.Any]", BELOW: "from .above import Found as Seen\ndef f(x: t.Sequence[Seen]) -> None: ..."},
    ],
)
def test_an_untyped_mapping_is_found(plant, files: dict[str, str]) -> None:
    assert len(untyped.untyped(plant(files))) == 1


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    "source",
    [
        "def f(x: dict[str, object], y: t.Mapping[str, str]) -> list[t.Any]: ...",
        "class Found(t.TypedDict):\n    x: dict[str, t.Any]\ndef f(x: Found) -> None: ...",
        "Found = dict[bytes, Zone]\ndef f(x: Found) -> None: ...",
    ],
)
def test_a_typed_mapping_is_accepted(plant, source: str) -> None:
    assert untyped.untyped(plant({ABOVE: source})) == []
