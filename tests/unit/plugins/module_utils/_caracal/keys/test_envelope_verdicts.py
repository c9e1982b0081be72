# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The messages of the envelope checks. Another test covers the database queries."""

from __future__ import annotations

import collections
import hashlib
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.keys import envelope_verdicts, kek
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.keys.envelopes import NO_KEY, Reading
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.keys.sealed_columns import COLUMNS
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.releases import SECRET_STORE, ZONE_KEK, Detected
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, UNPROVEN, WARN

NEW, OLD = (kek.parse(hashlib.sha256(name).hexdigest(), "kek") for name in (b"new", b"old"))
FOREIGN = "1f2e3d4c5b6a7988"
NEEDED = frozenset().union(*(column.needs for column in COLUMNS[SECRET_STORE]))


def reading(opened: dict[str, int], foreign: dict[str, int]) -> Reading:
    made = Reading(COLUMNS[SECRET_STORE][0], kek.Keyring(NEW, OLD), lambda *_given: b"")
    made.opened, made.foreign = collections.Counter(opened), collections.Counter(foreign)
    made.rows = sum(opened.values()) + sum(foreign.values())
    return made


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("opened", "foreign", "family", "verdict", "words"),
    [
        ({NEW.id: 7}, {}, SECRET_STORE, PASS, f"correct KEK: {NEW.id} decrypts 7 sealed values"),
        ({}, {}, SECRET_STORE, UNPROVEN, "there is no intact sealed value in use, so the KEK cannot be verified"),
        ({}, {FOREIGN: 3}, SECRET_STORE, FAIL, f"{NEW.id} and {OLD.id}, which name KEK {FOREIGN} (3)"),
        ({}, {NO_KEY: 3}, ZONE_KEK, FAIL, f"wrong KEK: none of 3 sealed values can be decrypted with {NEW.id} and {OLD.id}"),
        (
            {NEW.id: 7},
            {FOREIGN: 3},
            SECRET_STORE,
            FAIL,
            "mixed keys: the given KEKs decrypt 7 sealed values, but not 3 others, which name",
        ),
        ({NEW.id: 7}, {NO_KEY: 3}, ZONE_KEK, FAIL, "mixed keys or damage: the given KEKs decrypt 7 sealed values"),
        ({OLD.id: 7}, {}, SECRET_STORE, WARN, f"a KEK rotation is not finished: 0 values under {NEW.id}, 7 under the previous KEK"),
        ({OLD.id: 7}, {}, ZONE_KEK, FAIL, "mixed keys: only the previous KEK decrypts 7 of 7 values, and this release cannot use it"),
    ],
)
def test_verdict_about_the_kek(opened: dict[str, int], foreign: dict[str, int], family: str, verdict: str, words: str) -> None:
    found = envelope_verdicts.judge_kek([reading(opened, foreign)], kek.Keyring(NEW, OLD), family)
    assert (found.id, found.verdict) == (envelope_verdicts.KEK_CHECK, verdict) and words in found.message, found.message


@pytest.mark.mutation
def test_unproven_without_a_readable_signing_key() -> None:
    found = envelope_verdicts.judge_signing_keys([], 0, 3, 3, ["a", "b", "c"])
    assert (found.verdict, found.message) == (UNPROVEN, "no signing key found; 3 zones with sessions would get new ones")
    assert envelope_verdicts.judge_signing_keys([], 2, 3, 3, ["a"]).message == "none of 2 signing keys could be read"


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("release", "missing", "strange", "others", "words"),
    [
        (None, "", "", 0, f"the release of family {SECRET_STORE} is unknown"),
        ("v1.0.0", min(NEEDED), "", 0, f"column {min(NEEDED)} is missing"),
        ("v1.0.0", "", "custody.x", 0, "column custody.x is unknown and was not read"),
        ("v1.0.0", "", "", 1, "1 rows of table secrets are not signing keys and were not read"),
    ],
)
def test_incomplete_coverage_is_unproven(release: str | None, missing: str, strange: str, others: int, words: str) -> None:
    there: t.Collection[str] = (NEEDED - {missing}) | ({strange} - {""})
    found = envelope_verdicts.judge_coverage(Detected(SECRET_STORE, release, ()), there, others)
    assert (found.verdict, found.message) == (UNPROVEN, words)
    whole = envelope_verdicts.judge_coverage(Detected(SECRET_STORE, "v1.0.0", ()), NEEDED, 0)
    assert (whole.verdict, whole.message) == (PASS, f"all {len(COLUMNS[SECRET_STORE])} sealed columns of release v1.0.0 were read")
