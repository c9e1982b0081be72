# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import datetime
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import WaiverOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._report import waiver
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, UNPROVEN, Check, overall

TODAY = datetime.date(2026, 11, 25)
GOOD = WaiverOptions(check="sandbox.isolation", reason="kernel, OPS-4711", expires="2026-11-25")


def test_a_waiver_counts_through_its_last_day() -> None:
    parsed = waiver.parse([GOOD], TODAY)
    assert [one.to_result() for one in parsed] == [GOOD.flat()]


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reason": " "}, "without a reason"),
        ({"expires": "2026-11-24"}, "expired on 2026-11-24"),
        ({"expires": ""}, "an empty date"),
        ({"expires": "never"}, "until never"),
        ({"check": ""}, "names no check"),
    ],
)
def test_a_waiver_without_reason_or_end_is_refused(change: dict[str, t.Any], words: str) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        waiver.parse([GOOD, dataclasses.replace(GOOD, **change)], TODAY)
    assert caught.value.msg.startswith("waivers[2]") and "\n" not in caught.value.msg


@pytest.mark.parametrize("verdict", [FAIL, UNPROVEN])
def test_a_waived_check_keeps_its_verdict_and_is_not_required(verdict: str) -> None:
    checks = [Check("set.objects", PASS, "whole"), Check("sandbox.isolation", verdict, "none")]
    assert overall(checks) == verdict
    applied = waiver.apply(checks, waiver.parse([GOOD], TODAY))
    assert overall(applied) == PASS and applied[1].verdict == verdict


def test_waiving_everything_proves_nothing() -> None:
    checks = [Check("sandbox.isolation", FAIL, "none")]
    assert overall(waiver.apply(checks, waiver.parse([GOOD], TODAY))) == UNPROVEN


def test_a_waiver_of_another_check_waives_nothing() -> None:
    checks = [Check("sandbox.isolation.network", FAIL, "none"), Check("set.objects", PASS, "whole")]
    assert overall(waiver.apply(checks, waiver.parse([GOOD], TODAY))) == FAIL
