# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import ObjectMissing, OptionError
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import decisions
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from scenes.old_repository import OldRepository
from scenes.scene import Result, tree


def hold(old: OldRepository, **own: t.Any) -> Result:
    return old.call("backup_hold", "operator", **{"set_id": old.made[0], "hold": "case-1", "reason": "evidence", **own})


def test_a_hold_is_an_entry_and_a_second_run_makes_none(old: OldRepository) -> None:
    before = tree(old.folder)
    predicted = hold(old, check_mode=True)
    assert tree(old.folder) == before and predicted["changed"] and old.journal().of_kind(entries.HOLD) == []
    done = hold(old)
    assert {**done, "journal_head": ""} == {**predicted, "journal_head": ""}
    assert done["diff"] == {"before": "", "after": f"{old.made[0]} held: case-1: evidence\n"}
    (entry,) = old.journal().of_kind(entries.HOLD)
    assert entry.principal == "operator@prod" and decisions.hold(entry).state == "held"
    assert (done["objects"], done["enforced"]) == (0, False), "a directory can keep nobody from deleting"
    assert {one["set_id"]: one["holds"] for one in old.call("backup_set_info", "drill")["sets"] if one["holds"]} == {
        old.made[0]: done["holds"]
    }
    again = hold(old, reason="another")
    assert not again["changed"] and again["holds"] == [{"hold": "case-1", "reason": "evidence"}]
    assert len(old.journal().of_kind(entries.HOLD)) == 1


@pytest.mark.no_false_alarm
def test_a_directory_has_no_legal_holds_to_verify(old: OldRepository) -> None:
    for words in ("no set is on hold", "only the journal protects"):
        (found,) = [one for one in old.call("repository_verify", "drill", signing_key=None)["checks"] if one["id"] == "repository.holds"]
        assert found["verdict"] == "not_applicable" and words in found["message"] and not found["required"]
        hold(old)


def test_each_hold_ends_by_itself(old: OldRepository) -> None:
    hold(old)
    hold(old, hold="case-2")
    assert hold(old, set_id=old.made[1])["holds"] == [{"hold": "case-1", "reason": "evidence"}]
    released = hold(old, state="absent", reason="closed")
    assert released["changed"] and [one["hold"] for one in released["holds"]] == ["case-2"]
    assert not hold(old, state="absent", reason="closed")["changed"]
    assert {one: sorted(names) for one, names in decisions.holds(old.journal().entries).items()} == {
        old.made[0]: ["case-2"],
        old.made[1]: ["case-1"],
    }
    assert hold(old)["changed"], "it may stand again"


@pytest.mark.parametrize(
    ("own", "kind", "words"),
    [
        ({"set_id": "20200101T000000Z-aaaa"}, ObjectMissing, "is not in the journal"),
        ({"set_id": "x"}, OptionError, "'x'"),
        ({"hold": " "}, OptionError, "hold is empty"),
        ({"reason": "two\nlines"}, OptionError, "reason is empty"),
        ({"reason": "x" * 1001}, OptionError, "reason is empty"),
    ],
)
def test_invalid_hold_is_refused(old: OldRepository, own: dict[str, t.Any], kind: t.Any, words: str) -> None:
    old.refused(kind, words, call=lambda check_mode: hold(old, check_mode=check_mode, **own))


def test_a_pruned_set_cannot_be_held(old: OldRepository) -> None:
    (first, *_others) = old.prune()["pruned"]
    before = tree(Path(old.store.location))
    with pytest.raises(ObjectMissing, match="was pruned"):
        hold(old, set_id=first)
    assert tree(Path(old.store.location)) == before
