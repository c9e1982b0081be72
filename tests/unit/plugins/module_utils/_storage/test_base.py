# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage import base


@pytest.mark.mutation
@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "/", ".", "a/.b", ".x.partial", "a\0b", "a\nb", "a b", "a\\b", "é", "x" * 256],
)
def test_a_key_that_could_lead_elsewhere_is_refused(key: str) -> None:
    with pytest.raises(TamperedData, match="is not a valid path in a repository") as caught:
        base.check_key(key)
    assert "\n" not in caught.value.msg


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("key", ["repository.json", "sets/20261125T020000Z-k3f9/postgres/my~20db.dump.zst.age", "a/-b", "x" * 255])
def test_a_key_is_accepted(key: str) -> None:
    assert base.check_key(key) == key
