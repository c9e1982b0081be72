# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import upgrade
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, OptionError, TargetRefused
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import PASS, UNPROVEN, WARN


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("wanted", [None, "v1.0.0"])
def test_release_of_the_set_passes(wanted: str | None) -> None:
    assert upgrade.judge("v1.0.0", "secret_store", wanted).verdict == PASS


@pytest.mark.parametrize(
    ("recorded", "family", "wanted", "words"),
    [
        ("v0.1.0", "secret_store", "v1.0.0", "runs 2 migration(s): 0002_approval_hardening, 0003_operator_run_token_usage"),
        ("v0.2.1", "secret_store", "v1.0.0", "runs 1 migration(s): 0003_operator_run_token_usage"),
        ("2026-06-04", "zone_kek", "v2026.06.21", "recomputes every audit hash"),
    ],
)
def test_later_release_is_a_warning_with_its_migrations(recorded: str, family: str, wanted: str, words: str) -> None:
    check = upgrade.judge(recorded, family, wanted)
    assert check.verdict == WARN and words in check.message


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("recorded", "family", "wanted", "kind", "words"),
    [
        ("v2026.06.25-rc.1", "zone_kek", "v0.1.0", TargetRefused, "no migration converts the set"),
        ("v2026.06.21", "zone_kek", "v2026.06.25-rc.1", TargetRefused, "starts with other migrations"),
        ("v1.0.0", "secret_store", "v0.2.1", TargetRefused, "is older than the set"),
        (None, "zone_kek", "v1.0.0", TargetRefused, "family zone_kek"),
        ("v1.0.0", "secret_store", "v9", OptionError, "unknown release 'v9'"),
    ],
)
def test_refuses_an_impossible_upgrade(recorded: str | None, family: str, wanted: str, kind: type[BackupError], words: str) -> None:
    with pytest.raises(kind) as raised:
        upgrade.judge(recorded, family, wanted)
    assert words in raised.value.msg


@pytest.mark.mutation
def test_unknown_release_is_unproven() -> None:
    assert upgrade.judge(None, "secret_store", "v1.0.0").verdict == UNPROVEN
