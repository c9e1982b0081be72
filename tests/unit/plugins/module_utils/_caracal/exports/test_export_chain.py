# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.chain_keys import AuditKey
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.exports.export_chain import Chains, Zone
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.exports.export_files import Archived
from twin import chain

KEYS = (AuditKey(b"1" * 32), AuditKey(b"2" * 32))


def rows(count: int, *, first: int = 1, before: str | None = None, salt: str = "") -> list[Archived]:
    """Return a valid chain that continues `before`. The second key signs up to number 5, the first key signs the rest."""
    made = []
    for number in range(first, first + count):
        content = hashlib.sha256(f"{number}{salt}".encode()).hexdigest()
        mac = chain.link(KEYS[number <= 5].secret, content, before)
        made.append(Archived("z", number, *([""] * 11), number, 1, 1, content, mac))  # type: ignore[arg-type]
        before = content
    return made


def zone(found: list[Archived], keys: tuple[AuditKey, ...] = KEYS) -> Zone:
    made = Chains(keys)
    for hour, row in enumerate(found):
        made.take(hour, [row])
    return made.finish()["z"]


@pytest.mark.no_false_alarm
@settings(max_examples=200, deadline=None)
@given(st.integers(1, 25), st.sets(st.integers(1, 25)), st.randoms(use_true_random=False), st.booleans())
def test_verifies_rows_in_any_order_with_gaps(count: int, gone: set[int], dice: random.Random, keyed: bool) -> None:
    """Missing rows are a hole or beyond the ends. Every row with a previous row is verified, in any order of arrival."""
    kept = [row for row in rows(count) if row.chain_seq not in gone]
    numbers = {row.chain_seq for row in kept}
    dice.shuffle(kept)
    if not kept:
        return
    found = zone(kept, KEYS if keyed else ())
    holes = {number for hole in found.holes for number in range(hole.low, hole.high + 1)}
    linked = {number for number in numbers if number - 1 in numbers or number == 1}
    assert holes == set(range(min(numbers), max(numbers))) - numbers
    assert found.high == max(numbers)
    assert not found.twice
    assert not found.seen.unmatched
    assert found.unlinked.count == len(numbers - linked)
    assert sum(positions.count for positions in found.seen.keys.values()) == (len(linked) if keyed else 0)


@pytest.mark.no_false_alarm
@settings(max_examples=100, deadline=None)
@given(st.integers(2, 10), st.integers(1, 10), st.integers(1, 20))
def test_two_branches_are_verified_each_by_itself(head: int, cut_off: int, after: int) -> None:
    """After a restore to `head`, numbers occur twice. The new branch may be shorter or longer than the old one."""
    old = rows(head + cut_off)
    new = rows(after, first=head + 1, before=old[head - 1].content_sha256, salt="'")
    found = zone([*old, *new])
    assert not found.seen.unmatched
    assert not found.holes
    assert found.twice.ranges() == [(head + 1, head + min(cut_off, after))]
    assert found.unlinked.ranges() == [(head + 1, head + 1)]


@pytest.mark.mutation
@settings(max_examples=100, deadline=None)
@given(st.integers(2, 20), st.randoms(use_true_random=False), st.sampled_from(["content_sha256", "chain_hmac"]))
def test_an_edited_row_is_found_in_any_order(number: int, dice: random.Random, column: str) -> None:
    made = rows(20)
    made[number - 1] = made[number - 1]._replace(**{column: "0" * 64})
    dice.shuffle(made)
    expected = {number} if column == "chain_hmac" else {number, min(number + 1, 20)}
    assert {n for low, high in zone(made).seen.unmatched.ranges() for n in range(low, high + 1)} == expected
