# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Causes are recognised by the reasons of checks and by words of other software, never by a message of this collection."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils import _reasons
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.causes import diagnosis, symptoms
from tools.rules import asserted, tree

REASONS = {name: value for name, value in vars(_reasons).items() if name.isupper()}
# Their checks show the result of a request, which has many causes. Other checks of the same drill name the cause.
WITHOUT_CAUSE = {
    _reasons.ACCEPTED,
    _reasons.BROKEN,
    _reasons.DENIED,
    _reasons.EVENTS_WAIT,
    _reasons.FIRST_KEY,
    _reasons.HELD,
    _reasons.ISSUED,
    _reasons.KEYS_NOT_SERVED,
    _reasons.NOT_LANDED,
    _reasons.OTHER_UPSTREAM,
    _reasons.POLICY_NOT_LOADED,
    _reasons.REFUSED,
    _reasons.SWEEP_CHAIN_BREAKS,
}
# Messages of Caracal's services that the twin does not have, of PostgreSQL, of the kernel, and HTTP status lines.
FOREIGN = {
    r"violates foreign key constraint",
    r"could not create unique index",
    r"is violated by some row",
    r"password authentication failed",
    r"role .* does not exist",
    r"no partition of relation",
    r"\b500\b.*internal_error",
    r"\b429\b",
    r"No space left\b",
    r"HMAC_KEY (is required|must be hex)",
    r"secret file empty: (ZONE|SECRET_STORE)_KEK",
    r"secret file empty: \w+_HMAC_KEY",
    r"provider (api key|bearer token) missing",
    r"provider_credential_unavailable",
    r"secret_backend_unavailable",
    r"sts_simulation_failed:access_denied",
    r"bindings_unavailable",
    r"draining",
    r"replay store unavailable",
}

Sign = t.TypeVar("Sign")


def signs(kind: type[Sign], given: t.Iterable[object]) -> t.Iterator[Sign]:
    for sign in given:
        if isinstance(sign, kind):
            yield sign
        elif isinstance(sign, symptoms.Together):
            yield from signs(kind, sign.signs)


def alternatives(pattern: str) -> list[str]:
    """Return the alternatives of a pattern, split at each `|` outside a group."""
    parts, depth = [""], 0
    for one in pattern:
        depth += (one == "(") - (one == ")")
        if one == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += one
    return parts


PATTERNS = sorted({one for cause in diagnosis.CAUSES for sign in signs(symptoms.Answered, cause.signs) for one in alternatives(sign.words)})


@pytest.fixture(scope="module")
def answers() -> list[str]:
    """Return all strings of the services that stand in for Caracal's."""
    return [text for path in tree.python(tree.ROOT, "tests/twin") for text in asserted.texts(tree.parse(tree.ROOT, path))]


def is_answered(pattern: str, texts: t.Sequence[str]) -> bool:
    return pattern in FOREIGN or any(re.search(pattern, text, re.IGNORECASE) for text in texts)


def test_patterns_of_causes_are_answers_of_other_software(answers: list[str]) -> None:
    assert [one for one in PATTERNS if not is_answered(one, answers)] == []


@pytest.mark.mutation
def test_finds_words_that_only_this_collection_uses(answers: list[str]) -> None:
    assert not is_answered("contents and links are right", answers)


def test_foreign_words_are_all_used_by_causes() -> None:
    assert set(PATTERNS) >= FOREIGN


def unused(sources: t.Iterable[str]) -> list[str]:
    """Return reasons that none of the sources names."""
    texts = list(sources)
    return [name for name in REASONS if not any(re.search(rf"\b{name}\b", text) for text in texts)]


def test_each_reason_is_given_by_a_check_or_an_error() -> None:
    paths = [
        path for path in tree.python(tree.ROOT, "plugins/module_utils") if "/causes/" not in path and not path.endswith("/_reasons.py")
    ]
    assert unused((tree.ROOT / path).read_text(encoding="utf-8") for path in paths) == []


def test_each_reason_is_a_sign_of_a_cause() -> None:
    found = [sign for cause in diagnosis.CAUSES for sign in signs(symptoms.Found, cause.signs)]
    assert {one for sign in found for one in (sign.reason, *sign.other_than)} - {""} == set(REASONS.values()) - WITHOUT_CAUSE


@pytest.mark.mutation
def test_finds_a_reason_without_a_check() -> None:
    assert unused(name for name in REASONS if name != "NO_ROOM") == ["NO_ROOM"]
