# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The texts of a rule form one sentence in messages and in the reference of checks."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.invariants import table
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.releases import SECRET_STORE, ZONE_KEK


@pytest.mark.parametrize("family", [SECRET_STORE, ZONE_KEK])
def test_words_of_a_rule_make_one_sentence(family: str) -> None:
    rules: list[t.Any] = list(table.rules(family, None))
    assert len({one.id for one in rules}) == len(rules)
    for one in rules:
        group, _dot, what = one.id.partition(".")
        assert group in table.GROUPS and re.fullmatch(r"[a-z_]+", what)
        assert not one.remedy.endswith(".") and not one.wrong.endswith(".")
