# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Causes that look for words find such words in a message: a check whose wording changes must not lose its cause."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.causes import diagnosis, symptoms
from tools.rules import asserted, tree

# Words with a number or a name in them, and the part of a message that is always the same.
FILLED = {
    r"wrong AUDIT_HMAC_KEY.*contents and links are right": "contents and links are right",
    r"a KEK has exactly 32": "a KEK has exactly",
    r"\d+ (damaged|that no given KEK opens)": "that no given KEK opens",
    r"signing_keys differs": "differs",
    r"reason invalid_signature": "reason",
    r": 0 rows, recorded": "rows, recorded",
    r"first: public\.gateway_resource_bindings:": "(s) differ; first",
    r"^1 table\(s\) differ; first: public\.schema_migrations:": "(s) differ; first",
    r"SQLSTATE 42(P01|703)\b": "SQLSTATE",
    r"\bRedis \S+ (refuses the login|cannot be reached)": "refuses the login",
    r"\b0 of \d+ replay files are left": "replay files are left",
    rf"{symptoms.TAMPER}mismatch_total": f"{symptoms.TAMPER}mismatch_total",
    rf"{symptoms.TAMPER}hmac_failures_total": f"{symptoms.TAMPER}hmac_failures_total",
}
# Words of Caracal's services, of PostgreSQL, of the kernel, and answers with their status.
FOREIGN = {
    r"secret file empty: (ZONE|SECRET_STORE)_KEK",
    r"provider (api key|bearer token) missing",
    r"secret_backend_unavailable",
    r"provider_credential_unavailable",
    r"HMAC_KEY (is required|must be hex)",
    r"secret file empty: \w+_HMAC_KEY",
    r"sts_simulation_failed:access_denied",
    r"violates foreign key constraint",
    r"could not create unique index",
    r"is violated by some row",
    r"replay store unavailable",
    r"password authentication failed",
    r"role .* does not exist",
    r"\b500\b.*internal_error",
    r"\b429\b",
    r"No space left",
    symptoms.ANSWERED,
}


def found(signs: t.Iterable[object]) -> t.Iterator[str]:
    """The patterns of signs that look at checks."""
    for sign in signs:
        if isinstance(sign, symptoms.Found) and sign.says:
            yield sign.says
        elif isinstance(sign, symptoms.Together):
            yield from found(sign.signs)


def alternatives(pattern: str) -> list[str]:
    """The parts of a pattern between those `|` that stand in no group."""
    parts, depth = [""], 0
    for one in pattern:
        depth += (one == "(") - (one == ")")
        if one == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += one
    return parts


PATTERNS = sorted({one for cause in diagnosis.CAUSES for says in found(cause.signs) for one in alternatives(says)})


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """All strings of the product but those of the causes, and those of the services that stand in for Caracal's."""
    paths = [path for path in tree.python(tree.ROOT, "plugins/module_utils", "tests/twin") if "/causes/" not in path]
    return [text for path in paths for text in asserted.texts(tree.parse(tree.ROOT, path))]


def is_said(pattern: str, texts: t.Sequence[str]) -> bool:
    if pattern in FILLED:
        return any(FILLED[pattern] in text for text in texts)
    return pattern in FOREIGN or any(re.search(pattern, text, re.IGNORECASE) for text in texts)


def test_each_word_of_a_cause_is_in_a_message(texts: list[str]) -> None:
    assert [one for one in PATTERNS if not is_said(one, texts)] == []


@pytest.mark.mutation
def test_words_of_no_message_are_found(texts: list[str]) -> None:
    assert not is_said("exactly one row", texts)


def test_the_lists_name_what_is_looked_for() -> None:
    assert {*FILLED, *FOREIGN} <= set(PATTERNS)
