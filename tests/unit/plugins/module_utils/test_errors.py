# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils import _errors
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, NoRoom
from ansible_collections.caracal_ops.backup.plugins.module_utils._reasons import NO_IDENTITY, NO_ROOM

FAMILY = [one for one in vars(_errors).values() if isinstance(one, type) and issubclass(one, BackupError)]


@pytest.mark.parametrize("error", FAMILY)
def test_an_error_that_quotes_another_keeps_its_reason_and_details(error: type[BackupError]) -> None:
    made = error.caused_by(NoRoom("no room", free=3), "set 1 is committed, but no room", set_id="1")
    assert type(made) is error and made.reason == NO_ROOM and made.details == {"free": 3, "set_id": "1"}


@pytest.mark.parametrize("error", FAMILY)
def test_a_reworded_error_keeps_its_class_reason_and_details(error: type[BackupError]) -> None:
    made = error("a", reason=NO_IDENTITY, path="x").reworded("b")
    assert (type(made), made.msg, made.reason, made.details) == (error, "b", NO_IDENTITY, {"path": "x"})


def test_a_result_has_the_reason() -> None:
    assert NoRoom("no room", free=3).to_result() == {"msg": "no room", "error": "NoRoom", "reason": "no_room", "free": 3}


def test_a_result_without_a_reason_has_none() -> None:
    assert _errors.Busy("wait").to_result() == {"msg": "wait", "error": "Busy"}
