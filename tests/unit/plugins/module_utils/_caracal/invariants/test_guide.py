# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guide lists every rule with its verdict, as the code has them."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.invariants import table
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.releases import SECRET_STORE, ZONE_KEK
from tools.rules import tree

GUIDE = tree.ROOT / "docs" / "docsite" / "rst" / "guide_state_checks.rst"
ROW = re.compile(r"   \* - ``state\.([\w.]+)``\n     - (.+)\n     - (.+)\n     - (.+)\n")
# The names of the databases are part of an id.
RELEASES = {SECRET_STORE: "v1.0.0", ZONE_KEK: "v2026.06.25-rc.1"}


def rows() -> dict[str, tuple[str, str, str]]:
    """Id → what is wrong, verdict, what to do; a verdict that differs in the older family is told after the newer one's."""
    by_family = [{one.id: one for one in table.rules(family, release)} for family, release in RELEASES.items()]
    found = {}
    for name in [*by_family[0], *(name for name in by_family[1] if name not in by_family[0])]:
        rules = [family[name] for family in by_family if name in family]
        verdicts = list(dict.fromkeys(one.severity for one in rules))
        verdict = verdicts[0] if len(verdicts) == 1 else f"{verdicts[0]}; {verdicts[1]} in the family ``zone_kek``"
        found[name] = (f"{rules[0].noun} {rules[0].wrong}", verdict, rules[0].remedy)
    return found


def said() -> dict[str, tuple[str, ...]]:
    return {found[0]: found[1:] for found in ROW.findall(GUIDE.read_text(encoding="utf-8"))}


def test_the_guide_lists_every_rule_as_it_is() -> None:
    assert said() == rows()


@pytest.mark.parametrize("family", sorted(RELEASES))
def test_a_rule_is_told_in_words_that_make_one_sentence(family: str) -> None:
    rules: list[t.Any] = list(table.rules(family, None))
    assert len({one.id for one in rules}) == len(rules)
    for one in rules:
        group, _dot, what = one.id.partition(".")
        assert group in table.GROUPS and re.fullmatch(r"[a-z_]+", what)
        assert not one.remedy.endswith(".") and not one.wrong.endswith(".")
