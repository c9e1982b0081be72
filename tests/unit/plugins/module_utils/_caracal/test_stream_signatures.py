# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import stream_signatures
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, UNPROVEN, WARN
from twin.services.common import streams

KEY, OTHER = bytes(range(32)), bytes(range(32, 64))
STREAM = "caracal.sessions.revoke"


def entry(key: bytes | None, number: int = 0) -> stream_signatures.Entry:
    fields = streams.signed(key, STREAM, {"zone_id": "z", "session_id": f"s{number}", "reason": "a=b\nc", "note": "ä"})
    return STREAM, {name.encode(): value.encode() for name, value in fields.items()}


@pytest.mark.no_false_alarm
def test_entries_of_the_restored_key() -> None:
    check = stream_signatures.judge([entry(KEY, 1), entry(KEY, 2), entry(None)], KEY)
    assert (check.verdict, check.details) == (PASS, {"signed": {STREAM: 2}, "other_key": {}})


@pytest.mark.mutation
def test_entries_of_another_key() -> None:
    assert stream_signatures.judge([entry(OTHER, 1), entry(OTHER, 2)], KEY).verdict == FAIL
    some = stream_signatures.judge([entry(OTHER, 1), entry(KEY, 2)], KEY)
    assert some.verdict == WARN and some.details["other_key"] == {STREAM: 1}
    stream, fields = entry(KEY)
    assert stream_signatures.judge([(stream, {**fields, b"session_id": b"s2"})], KEY).verdict == FAIL
    assert stream_signatures.judge([("caracal.policy.invalidate", fields)], KEY).verdict == FAIL


def test_without_a_signed_entry_nothing_is_proved_and_nothing_required() -> None:
    for nothing in ([], [entry(None)]):
        check = stream_signatures.judge(nothing, KEY)
        assert check.verdict == UNPROVEN and not check.required


def test_the_product_signs_so() -> None:
    """An entry and the key of a real run."""
    fixture = json.loads((Path(__file__).parents[4] / "data" / "signed_entry.json").read_text(encoding="utf-8"))
    fields = {name.encode(): value.encode() for name, value in fixture["fields"].items()}
    assert stream_signatures.judge([(fixture["stream"], fields)], bytes.fromhex(fixture["key"])).verdict == PASS
