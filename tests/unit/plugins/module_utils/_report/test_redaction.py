# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._report.redaction import Redactor

ZONE = "019a326a-0400-781c-8083-2b051a8ef0ae"


def test_identifier_gets_same_short_hash_everywhere() -> None:
    redactor = Redactor(b"salt")
    (one,) = {redactor.text(ZONE), redactor.text(ZONE.upper())}
    assert one.startswith("id:") and len(one) == 11 and redactor.text(f"a:{ZONE},{ZONE}") == f"a:{one},{one}"
    assert redactor.known == {one: ZONE} and Redactor(b"other").text(ZONE) != one


@pytest.mark.parametrize(
    "text",
    [
        "set 20261125T020000Z-k3f9, entry 42-9f86d081884c7d65 of df6482d1fe7bed45a9f0d8034c58e89e",
        "2026-11-25T02:16:44.237444Z",
        "set made on pg-1 by backup@prod",
        "caracal@7711926877081726986",
        "SHA256:CtGOLdZFOImGx1 and " + "0123456789abcdef" * 4,
        f"x{ZONE}",
    ],
)
@pytest.mark.no_false_alarm
def test_text_that_identifies_no_row_is_unchanged(text: str) -> None:
    redactor = Redactor(b"salt")
    assert redactor.text(text) == text and not redactor.known
