# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Results of a pass as verdicts: each check fails for its reason, names the position, and passes valid chains."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import chain_verdict
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_chains import ADMIN, AUDIT
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.chain_examiner import Seen, merge
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.chain_keys import AuditKey
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, WARN, Check
from twin import chain
from unit.plugins.module_utils._caracal.chains.chain_rows import (
    KEY,
    OTHER_KEY,
    Row,
    events,
    examine,
    examine_admin,
    product_key,
    product_rows,
)

THIRD = AuditKey(b"3" * 32)
HASH = "f" * 64
MINUTES = 1_200_000_000  # 20 minutes, in microseconds
NO_NUMBERS = {name: None for name in ("chain_seq", "content_sha256", "prev_content_sha256", "chain_hmac")}


def edit(rows: list[Row], number: int, **values: str | None) -> list[Row]:
    return [{**row, **values} if row["chain_seq"] == str(number) else row for row in rows]


def places(check: Check) -> list[tuple[str, str, int, int]]:
    return [(one["kind"], one["zone"], one["low"], one["high"]) for one in check.details["positions"]]


def hmacs(rows: list[Row], *keys: AuditKey, sound: bool = True) -> dict[str, Check]:
    return {check.id: check for check in chain_verdict.hmacs(AUDIT, examine(rows, keys), keys, sound)}


def verdicts(checks: dict[str, Check]) -> dict[str, str]:
    return {name: check.verdict for name, check in checks.items()}


@pytest.mark.no_false_alarm
def test_clean_chains_pass() -> None:
    seen = examine([*events(5, "a"), *events(3, "b")], [OTHER_KEY, KEY])
    rows = chain_verdict.rows(AUDIT, seen)
    assert (rows.id, rows.verdict, rows.message) == ("audit.rows", PASS, "8 rows of 2 zone(s) read")
    assert rows.details["heads"] == {"a": 5, "b": 3}
    for check in (chain_verdict.content(AUDIT, seen, True, "v1.0.0"), chain_verdict.links(AUDIT, seen)):
        assert (check.verdict, check.required, check.details["rows"], places(check)) == (PASS, True, 8, [])
    key, hmac = chain_verdict.hmacs(AUDIT, seen, [OTHER_KEY, KEY], True)
    assert (key.verdict, key.message, key.details["rotations"]) == (PASS, f"rows are signed with {KEY.id}", [])
    assert (hmac.verdict, hmac.details["rows"]) == (PASS, 8)


EMPTY = "the deployment has not recorded an event yet, or its events were deleted"


@pytest.mark.mutation
@pytest.mark.parametrize("chain", [AUDIT, ADMIN], ids=lambda chain: chain.name)
@pytest.mark.parametrize("rows", [[], [{**row, **NO_NUMBERS} for row in events(4)]], ids=["no row", "rows from before the chain"])
def test_unverified_rows_are_unproven(chain: t.Any, rows: list[Row]) -> None:
    seen = examine(rows)
    checks = [
        chain_verdict.content(chain, seen, True, "v1.0.0"),
        chain_verdict.content(chain, seen, None, "?"),
        chain_verdict.links(chain, seen),
        *chain_verdict.hmacs(chain, seen, [KEY], True),
        *([chain_verdict.rows(chain, seen)] if not rows else []),
    ]
    assert {check.verdict for check in checks} == {UNPROVEN}
    if not rows:
        assert {check.message for check in checks} == {f"{chain.table} is empty: {EMPTY}"}


@pytest.mark.mutation
def test_an_edited_row_fails_and_is_named() -> None:
    rows = edit(edit(events(9), 4, decision="forged"), 5, manifest_sha=None)
    check = chain_verdict.content(AUDIT, examine(edit(rows, 8, id="x")), True, "v1.0.0")
    assert (check.id, check.verdict, places(check)) == ("audit.content", FAIL, [("edited", "a", 4, 5), ("edited", "a", 8, 8)])
    assert check.message.startswith("audit chain of zone a, sequence 4 to 5: ")
    assert check.message.endswith("(1 more)")


def test_content_of_hashed_wire_bytes_is_not_applicable() -> None:
    check = chain_verdict.content(AUDIT, examine(events(3), recompute=False), False, "2026-06-04")
    assert (check.verdict, check.required) == (NOT_APPLICABLE, False)
    assert check.message.startswith("2026-06-04 hashed the received bytes")


@pytest.mark.mutation
@pytest.mark.parametrize(("edited", "verdict"), [(range(1, 5), UNPROVEN), (range(1, 4), FAIL), ((), PASS)])
def test_content_verdict_of_an_unknown_release(edited: t.Iterable[int], verdict: str) -> None:
    rows = events(4)
    for number in edited:
        rows = edit(rows, number, decision="forged")
    # A row without a number has no known hash.
    check = chain_verdict.content(AUDIT, examine([*rows, {**rows[0], **NO_NUMBERS}]), None, "an unknown release")
    assert check.verdict == verdict


@pytest.mark.mutation
def test_unknown_content_is_unproven_unless_a_row_was_edited() -> None:
    rows = product_rows("v1.0.0")
    rows[4]["payload_json"] = '{"new_key": 1}'
    assert chain_verdict.content(ADMIN, examine_admin(rows, []), True, "v1.0.0").verdict == UNPROVEN
    rows[5]["action"] = "forged"
    check = chain_verdict.content(ADMIN, examine_admin(rows, []), True, "v1.0.0")
    assert (check.verdict, {place[0] for place in places(check)}) == (FAIL, {"edited", "not_recomputable"})


@pytest.mark.mutation
def test_a_broken_link_fails_and_is_named() -> None:
    check = chain_verdict.links(AUDIT, examine(edit(events(9), 4, prev_content_sha256=HASH)))
    assert (check.id, check.verdict, places(check)) == ("audit.links", FAIL, [("broken_link", "a", 4, 4)])


@pytest.mark.mutation
@pytest.mark.parametrize("nothing", [None, ""])
def test_only_the_first_row_may_have_no_previous_hash(nothing: str | None) -> None:
    rows = events(9)
    first = chain_verdict.links(AUDIT, examine(edit(rows, 1, prev_content_sha256=HASH)))
    assert (first.verdict, places(first)) == (FAIL, [("genesis", "a", 1, 1)])
    # The chain starts again after rows that were deleted.
    later = chain_verdict.links(AUDIT, examine(edit(rows[4:], 5, prev_content_sha256=nothing)))
    assert (later.verdict, places(later)) == (FAIL, [("genesis", "a", 5, 5)])
    assert chain_verdict.links(AUDIT, examine(edit(rows, 1, prev_content_sha256=nothing))).verdict == PASS


@pytest.mark.no_false_alarm
def test_links_pass_if_the_chain_starts_late() -> None:
    assert chain_verdict.links(AUDIT, examine(events(9)[4:])).verdict == PASS


@pytest.mark.mutation
def test_hmacs_are_unproven_without_a_key() -> None:
    checks = hmacs(events(5))
    assert verdicts(checks) == {"audit.hmac": UNPROVEN}
    assert checks["audit.hmac"].message.startswith("no AUDIT_HMAC_KEY was given")


@pytest.mark.mutation
def test_rows_that_were_all_written_without_a_key_are_unproven() -> None:
    checks = hmacs(events(5, keys=[None]), KEY)
    assert verdicts(checks) == {"audit.hmac": UNPROVEN}
    assert checks["audit.hmac"].details["unkeyed"] == 5


@pytest.mark.mutation
@pytest.mark.parametrize(("sound", "words"), [(True, "so the given key is wrong"), (False, "contents or links are wrong too")])
def test_distinguishes_a_wrong_key_from_tampering(sound: bool, words: str) -> None:
    checks = hmacs(events(5), OTHER_KEY, THIRD, sound=sound)
    assert verdicts(checks) == {"audit.hmac_key": FAIL, "audit.hmac": UNPROVEN}
    message = checks["audit.hmac_key"].message
    assert message.startswith(f"wrong AUDIT_HMAC_KEY: none of 5 rows was signed with {OTHER_KEY.id}, {THIRD.id}; ")
    assert words in message
    assert all(key.secret.hex() not in str(check) for check in checks.values() for key in (OTHER_KEY, THIRD))


@pytest.mark.mutation
def test_an_hmac_that_no_key_made_fails_and_is_named() -> None:
    for number in (1, 4, 9):
        checks = hmacs(edit(events(9), number, chain_hmac=HASH), KEY)
        assert verdicts(checks) == {"audit.hmac_key": PASS, "audit.hmac": FAIL}
        assert places(checks["audit.hmac"]) == [("hmac", "a", number, number)]


@pytest.mark.mutation
def test_first_rows_of_an_unknown_key_fail() -> None:
    checks = hmacs(events(9, keys=[OTHER_KEY, KEY, KEY]), KEY)
    assert verdicts(checks) == {"audit.hmac_key": PASS, "audit.hmac": FAIL}
    assert places(checks["audit.hmac"]) == [("unknown_key", "a", 1, 3)]


@pytest.mark.no_false_alarm
def test_key_rotation_passes_and_is_listed() -> None:
    checks = hmacs(events(9, keys=[OTHER_KEY, KEY, THIRD]), KEY, THIRD, OTHER_KEY)
    assert verdicts(checks) == {"audit.hmac_key": PASS, "audit.hmac": PASS}
    expected = [{"zone": "a", "from": 4, "key": KEY.id}, {"zone": "a", "from": 7, "key": THIRD.id}]
    assert checks["audit.hmac_key"].details["rotations"] == expected


@pytest.mark.mutation
@pytest.mark.parametrize("late", [OTHER_KEY, KEY])
def test_a_row_signed_with_a_key_that_had_been_replaced_fails(late: AuditKey) -> None:
    rows = [*events(9, keys=[OTHER_KEY, KEY, THIRD], step=MINUTES)]
    forged = events(12, keys=[OTHER_KEY, KEY, THIRD, late], step=MINUTES)[9:]
    chained = examine([*rows, *forged], [KEY, OTHER_KEY, THIRD])
    _key, check = chain_verdict.hmacs(AUDIT, chained, [KEY, OTHER_KEY, THIRD], True)
    assert (check.verdict, {place for place in places(check) if place[2] >= 10}) == (FAIL, {("retired_key", "a", 10, 12)})
    assert places(check) == [("retired_key", "a", 10, 12)]


@pytest.mark.mutation
def test_number_signed_by_two_keys_starts_the_newer_key() -> None:
    again = events(9, keys=[OTHER_KEY], step=MINUTES)[4]
    _key, check = chain_verdict.hmacs(AUDIT, examine([*events(9, step=MINUTES), again], [KEY, OTHER_KEY]), [KEY, OTHER_KEY], True)
    assert (check.verdict, places(check)) == (FAIL, [("retired_key", "a", 5, 9)])


# The signers of rows 30 seconds apart, `o` with the old key and `n` with the new key: two replicas, one restarts later.
TURNS = ["oooonononnoonnnnnnnn", "oooono", "o" + "n" * 30 + "o" + "n" * 9]


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("turns", TURNS)
def test_two_replicas_take_turns_for_minutes_when_the_key_changes(turns: str) -> None:
    seen = examine(signed(turns, 30_000_000), [KEY, OTHER_KEY])
    _key, check = chain_verdict.hmacs(AUDIT, seen, [KEY, OTHER_KEY], True)
    old = {number for number, key in enumerate(turns, 1) if key == "o" and number > turns.index("n")}
    assert check.verdict == WARN
    assert {(kind, number) for kind, _zone, low, high in places(check) for number in range(low, high + 1)} == {
        ("key_switch", number) for number in old
    }


@pytest.mark.mutation
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_row_of_the_old_key_after_the_key_switch_fails(parts: int) -> None:
    turns = "oonono" + "n" * 40 + "o" + "nnn"
    rows = signed(turns, 30_000_000)
    seen = merge([examine(rows[index::parts], [KEY, OTHER_KEY]) for index in range(parts)])
    _key, check = chain_verdict.hmacs(AUDIT, seen, [KEY, OTHER_KEY], True)
    assert (check.verdict, places(check)) == (
        FAIL,
        [("retired_key", "a", 47, 47), ("key_switch", "a", 4, 4), ("key_switch", "a", 6, 6)],
    )


@pytest.mark.mutation
def test_row_with_forged_time_does_not_extend_the_minutes() -> None:
    rows = signed("oonono" + "n" * 40 + "oo" + "nnn", 30_000_000)
    rows[47]["ingested_at"] = rows[3]["ingested_at"]
    seen = examine(rows, [KEY, OTHER_KEY])
    _key, check = chain_verdict.hmacs(AUDIT, seen, [KEY, OTHER_KEY], True)
    assert ("retired_key", "a", 47, 48) in places(check)


def signed(turns: str, step: int) -> list[Row]:
    rows = events(len(turns), step=step)
    for row, key in zip(rows, turns, strict=True):
        secret = (OTHER_KEY if key == "o" else KEY).secret
        row["chain_hmac"] = chain.link(secret, str(row["content_sha256"]), row["prev_content_sha256"])
    return rows


@pytest.mark.mutation
@pytest.mark.parametrize(("keys", "verdict", "place"), [([None, KEY], WARN, (1, 4)), ([KEY, None], FAIL, (5, 8))])
def test_rows_without_hmac_are_harmless_only_before_there_was_a_key(keys: list[t.Any], verdict: str, place: tuple[int, int]) -> None:
    check = hmacs(events(8, keys=keys), KEY)["audit.hmac"]
    assert (check.verdict, places(check)) == (verdict, [("unkeyed", "a", *place)])


def admin(rows: list[Row], release: str) -> tuple[Seen, dict[str, Check]]:
    keys = [product_key(release)]
    seen = examine_admin(rows, keys)
    made = [chain_verdict.content(ADMIN, seen, True, release), chain_verdict.links(ADMIN, seen)]
    made += [chain_verdict.rows(ADMIN, seen), *chain_verdict.hmacs(ADMIN, seen, keys, True)]
    return seen, {check.id: check for check in made}


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("release", ["v1.0.0", "v2026.06.21"])
def test_the_admin_rows_of_the_product_pass(release: str) -> None:
    _seen, checks = admin(product_rows(release), release)
    assert verdicts(checks) == dict.fromkeys(["admin.content", "admin.links", "admin.rows", "admin.hmac_key", "admin.hmac"], PASS)


@pytest.mark.mutation
@pytest.mark.parametrize("release", ["v1.0.0", "v2026.06.21"])
@pytest.mark.parametrize(("column", "check"), [("action", "content"), ("prev_content_sha256", "links"), ("chain_hmac", "hmac")])
def test_each_admin_row_of_the_product_fails_its_check(release: str, column: str, check: str) -> None:
    rows = product_rows(release)
    for index, row in enumerate(rows):
        damaged = [*rows[:index], {**row, column: HASH}, *rows[index + 1 :]]
        found = admin(damaged, release)[1][f"admin.{check}"]
        assert (found.verdict, {place[2] for place in places(found)}) == (FAIL, {int(row["chain_seq"] or 0)})


# A change of row 4 or of row 1, and another change of the same row.
DAMAGES: dict[str, tuple[int, str, str | None, str | None]] = {
    "content": (4, "decision", "forged", "forged again"),
    "content hash": (4, "content_sha256", "1" * 64, "2" * 64),
    "link": (4, "prev_content_sha256", "1" * 64, "2" * 64),
    "HMAC": (4, "chain_hmac", "1" * 64, "2" * 64),
    "emptied HMAC": (4, "chain_hmac", None, "1" * 64),
    "begin": (1, "prev_content_sha256", "1" * 64, "2" * 64),
}


def failed_ones(rows: list[Row], acknowledged: t.Collection[str] = ()) -> dict[str, set[str]]:
    """Return the digests of failed items, by check."""
    seen = examine(rows, [KEY])
    checks = [
        chain_verdict.content(AUDIT, seen, True, "v1.0.0", acknowledged),
        chain_verdict.links(AUDIT, seen, acknowledged),
        *chain_verdict.hmacs(AUDIT, seen, [KEY], False, acknowledged=acknowledged),
    ]
    return {check.id: {one["digest"] for one in check.details["recorded"]} for check in checks if check.verdict == FAIL}


@pytest.mark.mutation
@pytest.mark.parametrize("damage", DAMAGES)
def test_an_acknowledgement_covers_the_row_as_it_is_and_nothing_later(damage: str) -> None:
    number, column, value, other = DAMAGES[damage]
    rows = edit(events(9), number, **{column: value})
    failed = failed_ones(rows)
    known = set().union(*failed.values())
    assert failed and all(failed.values())
    assert failed_ones(rows[::-1]) == failed
    assert failed_ones(rows, known) == {}
    again = failed_ones(edit(rows, number, **{column: other}), known)
    assert again and not known & set().union(*again.values())
    elsewhere = failed_ones(edit(rows, 7, decision="forged too"), known)
    assert elsewhere and not known & set().union(*elsewhere.values())
