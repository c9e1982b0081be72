# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.invariants import revocations, rule
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.invariants.rule import Invariant, Seen
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, WARN

HARD = Invariant("zones.named", "zones", "have no name", "name them", "public.zones", "SELECT id FROM public.zones, public.names")
SOFT = Invariant("zones.named", "zones", "have no name", "name them", "public.zones", "SELECT id FROM public.zones", severity=WARN)


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("one", "seen", "confirmed", "verdict", "required", "words"),
    [
        (HARD, Seen(3), False, PASS, True, "checked 3 zones: 0 have no name"),
        (SOFT, Seen(3), False, PASS, False, "checked 3 zones: 0 have no name"),
        (HARD, Seen(3, 2, ("a", "b")), True, FAIL, True, "2 of 3 zones have no name; first: a; name them"),
        (SOFT, Seen(3, 2, ("a", "b")), True, WARN, False, "2 of 3 zones have no name; first: a; name them"),
        (HARD, Seen(), False, UNPROVEN, True, "there are no zones in the copy, and its tables differ from the set; nothing was checked"),
        (HARD, Seen(), True, NOT_APPLICABLE, False, "there are no zones, and the set records none either"),
        (HARD, Seen(problem="table zones is missing"), True, UNPROVEN, True, "zones cannot be checked: table zones is missing"),
        # A broken rule fails, even if other rows could not be read.
        (HARD, Seen(0, 1, ("a",), "gone"), True, FAIL, True, "1 of 0 zones have no name; first: a; name them"),
    ],
)
def test_rule_result_becomes_one_verdict(one: Invariant, seen: Seen, confirmed: bool, verdict: str, required: bool, words: str) -> None:
    check = rule.judge(one, seen, confirmed)
    assert (check.id, check.verdict, check.required, check.message) == ("state.zones.named", verdict, required, words)


def test_a_rule_is_about_the_tables_that_its_queries_name() -> None:
    assert HARD.tables == {"zones", "names"}


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("019ed58e-1234-7abc-8def-0123456789ab", "019ed58e…89ab"),
        ("secrets.envelope 019ed58e-1234-7abc-8def-0123456789ab", "secrets.envelope 019ed58e…89ab"),
        ("provider-none-019ed58e-1234-7abc-8def-0123456789ab", "provider-none-019ed58e…89ab"),
        ("resource://r0", "resource://r0"),
        ("two\nlines", r"'two\nlines'"),
        ("\u202eabc", r"'\u202eabc'"),
        ("x" * 300, "'" + "x" * 100 + "'"),
        ("", ""),
    ],
)
def test_any_id_is_printed_short_and_on_one_line(text: str, short: str) -> None:
    assert rule.shortened(text) == short


STATE = {
    name: [["active", "4"], ["revoked", "3"], ["terminated", "2"], ["suspended", "1"]]
    for name in ("authority_records_by_status", "sessions_by_status", "delegation_edges_by_status", "delegated_grants_by_status")
} | {"admin_tokens_by_status": [["revoked", "1"], ["valid", "3"]]}


def test_revocations_are_counted_by_what_the_set_records() -> None:
    seen = {one.id: seen for one, seen in revocations.look("secret_store", STATE, STATE)}
    assert {name.removeprefix("revocations."): found.population for name, found in seen.items()} == {
        "subject_sessions": 3,
        "agents": 3,
        "delegations": 3,
        "grants": 3,
        "admin_tokens": 1,
    }
    assert all(not found.broken and not found.problem for found in seen.values())


@pytest.mark.mutation
@pytest.mark.parametrize(("now", "broken"), [([["revoked", "1"]], 2), ([], 3), ([["revoked", "3"]], 0), ([["revoked", "9"]], 0)])
def test_lost_revocations_are_counted_and_new_ones_are_not(now: list[list[str]], broken: int) -> None:
    found = {one.id: seen for one, seen in revocations.look("secret_store", STATE, {**STATE, "delegated_grants_by_status": now})}
    assert found["revocations.grants"].broken == broken


@pytest.mark.mutation
def test_set_without_revocation_counts_cannot_be_compared() -> None:
    problems = {one.id: seen.problem for one, seen in revocations.look("zone_kek", {}, STATE)}
    assert set(problems.values()) == {"the set does not record their number"}
    assert all(seen.problem for _one, seen in revocations.look("secret_store", STATE, {}))
