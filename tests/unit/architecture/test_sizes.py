# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from tools.rules import sizes, tree

UTIL = "plugins/module_utils/_drivers/x.py"
MODULE = "plugins/modules/x.py"


def function(lines: int, docstring: str = "") -> str:
    return "def f():\n" + docstring + "    x = 1\n" * (lines - 1)


def test_files_functions_and_modules_are_small() -> None:
    assert tree.python(tree.ROOT, *sizes.SMALL)
    assert sizes.size_faults(tree.ROOT) == []


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("path", "source", "fault"),
    [
        (UTIL, "x = 1\n" * 401, "401 lines, at most 400"),
        (UTIL, function(41), "f has 41 lines, at most 40"),
        (UTIL, "class C:\n    def f(self):\n" + "        x = 1\n" * 40, "f has 41 lines, at most 40"),
        (MODULE, 'DOCUMENTATION = r"""\n' + "text\n" * 300 + '"""\n' + "x = 1\n" * 61, "61 lines of code, at most 60"),
    ],
)
def test_finds_files_and_functions_that_are_too_long(plant, path: str, source: str, fault: str) -> None:
    faults = sizes.size_faults(plant({path: source}))
    assert len(faults) == 1
    assert path in faults[0]
    assert fault in faults[0]


@pytest.mark.no_false_alarm
def test_accepts_files_and_functions_at_the_limit(plant) -> None:
    documented = function(40, '    """One.\n\n    Two.\n    """\n')
    module = '#!/usr/bin/python\n# comment\n\nDOCUMENTATION = r"""\n' + "text\n" * 300 + '"""\n\n' + "x = 1\n\n" * 60
    assert sizes.size_faults(plant({UTIL: documented, MODULE: module})) == []
