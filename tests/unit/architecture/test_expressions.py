# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from tools.rules import expressions, tree


def test_expressions_of_roles_and_playbooks_are_short() -> None:
    assert expressions.faults(tree.ROOT) == []


@pytest.mark.mutation
def test_a_long_expression_is_found(plant) -> None:
    files = {"roles/x/vars/main.yml": f"a: 1\nb: >-\n  {{{{ {'c + ' * 30}\n  {'d + ' * 30} e }}}}\n", "playbooks/y.yml": "a: '{{ b }}'\n"}
    (fault,) = expressions.faults(plant(files))
    assert fault.startswith("roles/x/vars/main.yml:3: ")
