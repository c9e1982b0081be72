# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signatures of entries: a wrong key, a rotation and forged entries are distinguished for both kinds of signatures."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import stream_signatures
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.stream_signatures import (
    AUDIT_KEY,
    CHECK_ID,
    FORGED,
    STREAMS_KEY,
    Frame,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, PASS, UNPROVEN, WARN, Check
from twin.services.common import streams

KEY, OTHER = bytes(range(32)), bytes(range(32, 64))
STREAM = "caracal.sessions.revoke"
START, MINUTE = 1_795_564_600_000, 60_000


def entry(key: bytes | None, minute: float = 0, **changed: str) -> Frame:
    given = {"zone_id": "z", "session_id": f"s{minute}", "reason": "a=b\nc", "note": "ä"}
    fields = {**streams.signed(key, STREAM, given), **changed}
    return Frame(STREAM, entry_id(minute), {name.encode(): value.encode() for name, value in fields.items()})


def event(key: bytes, minute: float = 0, **changed: str) -> Frame:
    data = json.dumps({"id": f"e{minute}"})
    fields = {"id": f"e{minute}", "data": data, "sig": streams.audit_signature(key, data), **changed}
    return Frame(streams.AUDIT, entry_id(minute), {name.encode(): value.encode() for name, value in fields.items()})


def entry_id(minute: float) -> str:
    return f"{START + int(minute * MINUTE)}-0"


def judge(frames: t.Iterable[Frame], audit_key: bytes | None = KEY) -> dict[str, Check]:
    return {check.id: check for check in stream_signatures.judge(frames, KEY, audit_key)}


def verdicts(frames: t.Iterable[Frame]) -> tuple[str, str]:
    found = judge(frames)
    return found[CHECK_ID].verdict, found[FORGED].verdict


# By kind of signature: the function that creates an entry, and the key's name.
MAKERS: dict[str, tuple[t.Callable[..., Frame], str]] = {"streams": (entry, STREAMS_KEY), "audit": (event, AUDIT_KEY)}


@pytest.mark.no_false_alarm
def test_entries_signed_with_the_restored_keys_pass() -> None:
    found = judge([entry(KEY, 2), entry(KEY, 1), entry(None), event(KEY, 9), event(KEY, 1)])
    assert (found[CHECK_ID].verdict, found[CHECK_ID].details) == (PASS, {"signed": {STREAM: 2}, "other_key": {}})
    assert (found[FORGED].verdict, found[FORGED].details["verified"]) == (PASS, {STREAMS_KEY: 2, AUDIT_KEY: 2})


@pytest.mark.mutation
def test_wrong_key_is_not_reported_as_forged_entries() -> None:
    assert verdicts([entry(OTHER, 1), entry(OTHER, 90)]) == (FAIL, UNPROVEN)
    assert verdicts([entry(OTHER, 1), entry(OTHER, 90), event(KEY, 1), event(KEY, 90)]) == (FAIL, PASS)
    found = judge([entry(KEY, 1), event(OTHER, 1), event(OTHER, 90)])
    assert (found[CHECK_ID].verdict, found[FORGED].verdict, found[FORGED].details["unproved"]) == (PASS, PASS, [AUDIT_KEY])


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("minutes", [(0,), (0, 30, 59), (0, 61, 74)], ids=["one", "before", "replicas take turns"])
def test_entries_from_before_a_rotation_are_a_warning(minutes: tuple[int, ...]) -> None:
    found = judge([*(entry(OTHER, minute) for minute in minutes), entry(KEY, 60), entry(KEY, 90)])
    assert (found[CHECK_ID].verdict, found[CHECK_ID].details["other_key"]) == (WARN, {STREAM: len(minutes)})
    assert found[FORGED].verdict == PASS


@pytest.mark.mutation
@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("how", ["another key", "a changed field", "no hex"])
def test_entries_among_right_ones_are_forged(kind: str, how: str) -> None:
    make, secret = MAKERS[kind]
    changed = {"streams": {"session_id": "s2"}, "audit": {"data": "{}"}}[kind]
    unreadable = {"streams": {"_sig": "é"}, "audit": {"sig": "é"}}[kind]
    bad = {"another key": make(OTHER, 30), "a changed field": make(KEY, 30, **changed), "no hex": make(KEY, 30, **unreadable)}[how]
    found = judge([make(KEY, 60), bad, make(KEY, 0)])
    assert (found[CHECK_ID].verdict in (PASS, UNPROVEN), found[FORGED].verdict) == (True, FAIL)
    assert found[FORGED].details["entries"] == [{"stream": bad.stream, "entry": bad.entry, "secret": secret}]


@pytest.mark.mutation
def test_an_entry_that_was_copied_into_another_stream_is_forged() -> None:
    copied = entry(KEY, 30)._replace(stream="caracal.policy.invalidate")
    found = judge([entry(KEY, 0), copied])
    assert [one["stream"] for one in found[FORGED].details["entries"]] == ["caracal.policy.invalidate"]


def test_unproven_and_optional_without_a_signed_entry() -> None:
    for nothing in ([], [entry(None)]):
        for check in judge(nothing).values():
            assert check.verdict == UNPROVEN and not check.required


def test_audit_signatures_are_unproven_without_a_key() -> None:
    assert judge([event(KEY, 0), event(OTHER, 30)], None)[FORGED].verdict == UNPROVEN


def test_entry_signed_by_the_product_passes() -> None:
    """An entry and the key of a real run."""
    fixture = json.loads((Path(__file__).parents[4] / "data" / "signed_entry.json").read_text(encoding="utf-8"))
    frame = Frame(fixture["stream"], "1-0", {name.encode(): value.encode() for name, value in fixture["fields"].items()})
    key = bytes.fromhex(fixture["key"])
    assert [check.verdict for check in stream_signatures.judge([frame], key, None)] == [PASS, PASS]
