# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys of a set compared with the sealed values in its snapshot: every verdict, and messages without numbers."""

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import pairing
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.chain_keys import AuditKey
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem

OLD, NEW = AuditKey(b"old" * 11), AuditKey(b"new" * 11)
CONTENT = "ab" * 32


def row(key: AuditKey, chain: str = "audit", previous: str = "") -> list[str]:
    return [chain, CONTENT, previous, key.hmac()(CONTENT.encode(), previous.encode())]


def test_rows_are_signed_by_one_of_the_keys() -> None:
    rows = [row(OLD), row(NEW, "admin", CONTENT), row(NEW)]
    verdict, message = pairing.audit(rows, [NEW, OLD])
    assert verdict == "pass"
    assert message == ", ".join(sorted([f"audit key {NEW.id} signed rows of admin and audit", f"audit key {OLD.id} signed rows of audit"]))


@pytest.mark.mutation
@pytest.mark.parametrize("damaged", [0, 1, 2, 3])
def test_refuses_one_row_signed_with_another_key(damaged: int) -> None:
    bad = row(NEW, previous=CONTENT)
    if damaged:
        bad[damaged] = "00" * 32
    with pytest.raises(KeyProblem, match="none of the audit keys signed"):
        pairing.audit([row(NEW), bad], [OLD] if damaged == 0 else [NEW])


def test_unproven_without_rows_and_envelopes() -> None:
    assert pairing.audit([], [NEW])[0] == "unproven"
    assert pairing.envelopes({"secrets.envelope": []}, {"aa"})[0] == "unproven"
    assert pairing.envelopes({}, {"aa"})[0] == "unproven"
    assert pairing.trial([])[0] == "unproven"


def test_envelopes_name_keys_of_the_set() -> None:
    columns = {"secrets.envelope": ["aa", "bb"], "secret_store.envelope": ["aa"], "notification_sinks.secret_ct": []}
    assert pairing.envelopes(columns, {"aa", "bb", "cc"}) == (
        "pass",
        "every envelope of secret_store.envelope, secrets.envelope names KEK aa or bb",
    )
    with pytest.raises(KeyProblem, match=r"values in secrets\.envelope are sealed under KEK bb, but the secrets contain only aa:"):
        pairing.envelopes(columns, {"aa"})


@pytest.mark.parametrize(
    ("family", "backend", "sealed", "signed", "expected"),
    [
        ("secret_store", "builtin", "pass", "pass", "pass"),
        ("secret_store", "builtin", "unproven", "pass", "unproven"),
        ("secret_store", "builtin", "pass", "unproven", "unproven"),
        ("secret_store", "vault", "pass", "pass", "unproven"),
        ("zone_kek", "builtin", "pass", "pass", "pass"),
    ],
)
def test_pairing_passes_only_if_both_proofs_pass(family: str, backend: str, sealed: str, signed: str, expected: str) -> None:
    verdict, message = pairing.together(family, backend, (sealed, "one"), (signed, "two"))
    assert verdict == expected and message.startswith("one; two") and (backend in message or backend == "builtin")
