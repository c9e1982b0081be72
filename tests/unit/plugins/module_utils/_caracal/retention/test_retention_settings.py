# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.retention import settings
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import Check


@pytest.mark.parametrize(
    ("given", "known", "audit", "bucket"),
    [
        (None, False, 365, False),
        ({}, True, 365, False),
        ({"AUDIT_RETENTION_DAYS": None, "AUDIT_EXPORT_S3_BUCKET": ""}, True, 365, False),
        ({"AUDIT_RETENTION_DAYS": "730", "AUDIT_EXPORT_S3_BUCKET": "b"}, True, 730, True),
        ({"AUDIT_RETENTION_DAYS": 1}, True, 1, False),
    ],
)
def test_missing_settings_have_the_default_of_the_product(given: t.Any, known: bool, audit: int, bucket: bool) -> None:
    found = settings.effective(given)
    assert (found.known, found.days[settings.AUDIT], found.bucket) == (known, audit, bucket)
    assert found.days == {**settings.DEFAULTS, settings.AUDIT: audit}


@pytest.mark.mutation
@pytest.mark.parametrize("value", ["", " ", "a year", "1.5", "0", -3, 10**9])
def test_refuses_an_invalid_number_of_days(value: t.Any) -> None:
    if value == "":
        assert settings.effective({settings.OUTBOX: value}).days[settings.OUTBOX] == 7
        return
    with pytest.raises(OptionError, match=settings.OUTBOX):
        settings.effective({settings.OUTBOX: value})


@pytest.mark.parametrize("verdict", ["pass", "fail", "warn", "unproven", "not_applicable"])
def test_unknown_days_turn_a_pass_into_unproven(verdict: str) -> None:
    check = Check("x", verdict, "words")
    assert settings.effective({}).qualified(check) is check
    qualified = settings.effective(None).qualified(check)
    assert qualified.verdict == ("unproven" if verdict == "pass" else verdict) and qualified.message.startswith("words")
