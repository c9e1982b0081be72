# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors are attributed to the set or only to the host that reads it."""

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils import _errors, _reasons
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import blame

RESTORED = "/var/tmp/drill/secrets"
COMPARED = {"TamperedData", "KeyProblem", "ObjectMissing", "NoObject", "VerificationFailed"}
FAMILY = [
    one
    for one in vars(_errors).values()
    if isinstance(one, type) and issubclass(one, _errors.BackupError) and one not in (_errors.BackupError, _errors.StageFailed)
]


@pytest.mark.parametrize("kind", FAMILY, ids=lambda one: str(one.__name__))
def test_only_what_was_compared_is_the_sets(kind: type[_errors.BackupError]) -> None:
    assert blame.of_set(kind("x"), RESTORED) == (kind.__name__ in COMPARED - {"NoObject"})


@pytest.mark.parametrize(
    ("message", "details", "of_set"),
    [
        ("x", {"sqlstate": "23505"}, True),
        ("x", {"sqlstate": "42703"}, True),
        ("x", {"sqlstate": "53100"}, False),
        ("x", {"sqlstate": "57P01"}, False),
        ("x", {"sqlstate": "08006"}, False),
        ("x", {"stderr": "pg_restore: error: could not execute query: ERROR:  duplicate key value"}, True),
        ("x", {"stderr": ["pg_restore: error: ERROR:  could not extend file: No space left on device"]}, False),
        ("pg_restore failed (exit 1): pg_restore: error: input file does not appear to be a valid archive", {}, True),
        ("pg_restore failed (exit 1): pg_restore: error: server closed the connection unexpectedly", {}, False),
        ("pg_restore failed (killed by signal 9)", {}, False),
        ("no process could be started", {}, False),
    ],
)
def test_a_stage_that_failed(message: str, details: dict[str, object], of_set: bool) -> None:
    assert blame.of_set(_errors.StageFailed(message, **details), RESTORED) == of_set


def test_an_option_that_names_what_was_restored_is_the_sets() -> None:
    words = "{}/secretStoreKek: no"
    assert blame.of_set(_errors.OptionError(words.format(RESTORED)), RESTORED)
    assert not blame.of_set(_errors.OptionError(words.format("/etc")), RESTORED)


@pytest.mark.parametrize(
    ("given", "fails", "reason"),
    [
        (_reasons.MISSING_SECRET, True, _reasons.MISSING_SECRET),
        (_reasons.MISSING_SECRET, False, _reasons.HOST_FAILED),
        (_reasons.NO_ROOM, False, _reasons.NO_ROOM),
        (None, True, None),
        (None, False, _reasons.HOST_FAILED),
    ],
)
def test_reason_of_a_step_that_failed(given: _reasons.Reason | None, fails: bool, reason: _reasons.Reason | None) -> None:
    assert blame.reason(_errors.BackupError("x", reason=given), fails) == reason


def test_a_missing_column_is_its_own_reason() -> None:
    assert blame.reason(_errors.StageFailed("x", sqlstate="42703"), True) == _reasons.UNKNOWN_RELATION
