# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import decisions, layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.decisions import Escrow, Hold, Prune, Verification
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.entry import Entry
from unit.plugins.module_utils._repository.conftest import NOW

SET = "20261125T020000Z-aaaa"
MANIFEST = {layout.manifest_key(SET): "11" * 32}
WHOLE: dict[str, t.Any] = {
    entries.PRUNE: Prune({SET: "no rule keeps it"}, ("a/b", "c/d"), 20),
    entries.HOLD: Hold(SET, "case-1", decisions.HELD, "evidence"),
    entries.ESCROW: Escrow(SET, ("SHA256:abc",), 5),
    entries.VERIFICATION: Verification(7, 3, 61, (SET,)),
}
READ: dict[str, t.Callable[[Entry], t.Any]] = {
    entries.PRUNE: decisions.prune,
    entries.HOLD: decisions.hold,
    entries.ESCROW: decisions.escrow,
    entries.VERIFICATION: decisions.verification,
}


def an_entry(kind: str, body: dict[str, t.Any], subjects: dict[str, str] | None = None) -> Entry:
    return Entry(7, "00" * 32, None, kind, MANIFEST if subjects is None else subjects, {}, "x@prod", "host", body, NOW)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("kind", WHOLE)
def test_decision_is_read_as_written(kind: str) -> None:
    assert READ[kind](an_entry(kind, WHOLE[kind].to_body())) == WHOLE[kind]


@pytest.mark.mutation
@pytest.mark.parametrize("kind", WHOLE)
def test_a_field_that_is_missing_unknown_or_of_another_type_is_refused(kind: str) -> None:
    body = WHOLE[kind].to_body()
    changed = [{**body, "more": 1}, *({**body, field: {"x": []}} for field in body)]
    changed += [{name: value for name, value in body.items() if name != field} for field in body]
    for one in changed:
        with pytest.raises(TamperedData, match="entry 7 of the journal"):
            READ[kind](an_entry(kind, one))


@pytest.mark.mutation
@pytest.mark.parametrize("kind", [entries.PRUNE, entries.HOLD, entries.ESCROW])
@pytest.mark.parametrize("subjects", [{}, {"repository.json": "22" * 32}, {layout.manifest_key("20261125T020000Z-bbbb"): "11" * 32}])
def test_an_entry_that_does_not_name_the_manifest_of_its_set_is_refused(kind: str, subjects: dict[str, str]) -> None:
    with pytest.raises(TamperedData, match="manifest"):
        READ[kind](an_entry(kind, WHOLE[kind].to_body(), subjects))


@pytest.mark.mutation
@pytest.mark.parametrize(("part", "parts"), [(0, 3), (4, 3), (1, 0)])
def test_a_part_that_there_is_not_is_refused(part: int, parts: int) -> None:
    with pytest.raises(TamperedData, match="a part that does not exist"):
        decisions.verification(an_entry(entries.VERIFICATION, Verification(parts, part, 1, ()).to_body()))


def test_the_newest_proof_of_an_identity_counts() -> None:
    first, second = (an_entry(entries.ESCROW, Escrow(SET, names, 5).to_body()) for names in (("a", "b"), ("b",)))
    assert decisions.escrows([first, second]) == {"a": first, "b": second}
