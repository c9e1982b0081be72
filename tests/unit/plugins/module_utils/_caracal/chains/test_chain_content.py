# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hashed bytes of a row, from its COPY text, equal the bytes of the product, the vectors and the twin."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import typing as t

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import chain_content, copy_text
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_chains import ADMIN, AUDIT
from twin import chain, copytext
from unit.plugins.module_utils._caracal.chains import chain_rows
from unit.plugins.module_utils._caracal.chains.chain_rows import EPOCH, FIXTURE, when

RELEASES = sorted(FIXTURE["admin"])
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12) | st.text(
    "\\ntbN\n\t\r\b\f\v\x1f", max_size=8
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=5
)
# The product supports four-digit years.
MICROSECONDS = st.integers(0, 253402300799_999999)


def fields(values: t.Iterable[str | None]) -> list[bytes]:
    """Return the fields as in a line of COPY."""
    return copytext.line(values).encode()[:-1].split(b"\t")


def digest(text: bytes | None) -> str:
    assert text is not None
    return hashlib.sha256(text).hexdigest()


@given(TEXT)
@example("\\N")
@example("\\\\N\\")
def test_copy_text_is_decoded_unchanged(text: str) -> None:
    assert copy_text.plain(copytext.escape(text).encode()) == text.encode()


@given(st.lists(st.none() | TEXT, min_size=1), st.sampled_from([b"", b"null"]))
def test_decodes_several_joined_values(texts: list[str | None], null: bytes) -> None:
    joined = b"\x1e".join(fields([text])[0] for text in texts)
    assert copy_text.plain(joined, null) == b"\x1e".join(null if text is None else text.encode() for text in texts)


def test_event_matches_the_vector_of_the_product() -> None:
    vector = FIXTURE["event"]
    # In the vector, an absent value is already replaced by the text that is hashed for it.
    values = [text if text not in ("", "null") else None for text in vector["texts"]]
    assert when(vector["occurred_at_unix_nano"] // 1000) == vector["occurred_at"]
    assert digest(chain_content.event()(fields([*values, vector["occurred_at"]]))) == vector["content_sha256"]


@given(
    st.lists(st.none() | TEXT, min_size=9, max_size=9), st.lists(st.none() | JSON.map(copytext.jsonb), min_size=3, max_size=3), MICROSECONDS
)
@example(texts=[None] * 9, documents=[None] * 3, us=0)
@settings(max_examples=150)
def test_content_of_any_event_equals_the_twins(texts: list[str | None], documents: list[str | None], us: int) -> None:
    hashed = chain_content.event()
    assert digest(hashed(fields([*texts, *documents, when(us)]))) == chain.event_hash(texts, documents, us * 1000)


def test_json_null_and_a_missing_value_have_the_same_hash() -> None:
    texts = ["x"] * 9
    assert chain_content.event()(fields([*texts, None, "null", None, when(0)])) == chain_content.event()(
        fields([*texts, *["null"] * 3, when(0)])
    )


@given(st.lists(MICROSECONDS | st.integers(0, 10**8), min_size=1))
@example([253402300799_999999, 0, 1, 10, 1_000_000, 999_999, 3_600_000_000, 100_000])
def test_parses_any_time(drawn: list[int]) -> None:
    clock = chain_content.clock()
    assert [clock(when(us).encode()) for us in drawn] == drawn


def test_hours_removed_from_the_cache_are_parsed_again() -> None:
    clock = chain_content.clock()
    for hour in (*range(chain_content._HOURS_KEPT + 10), 3, 7):
        us = hour * 3_600_000_000 + 1_000_001
        assert clock(when(us).encode()) == us


@pytest.mark.mutation
@pytest.mark.parametrize("text", ["infinity", "-infinity", "10000-01-01 00:00:00+00", "soon", ""])
def test_invalid_time_gives_no_content(text: str) -> None:
    assert chain_content.event()(fields([*["x"] * 12, text])) is None
    assert chain_content.admin()(fields([*["x"] * 12, None, text])) is None


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("release", RELEASES)
def test_the_rows_of_the_product_have_their_content(release: str) -> None:
    hashed = chain_content.admin()
    rows = chain_rows.product_rows(release)
    assert len(rows) == {"v1.0.0": 32, "v2026.06.21": 22}[release]
    for row in rows:
        assert digest(hashed(fields(row[name] for name in ADMIN.content))) == row["content_sha256"]


@pytest.mark.mutation
@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("column", ADMIN.content)
def test_each_row_of_the_product_with_one_changed_column_has_another_content(release: str, column: str) -> None:
    hashed = chain_content.admin()
    for row in chain_rows.product_rows(release):
        changed = {
            **row,
            column: {"occurred_at": "2026-11-24 23:55:42.001+00", "payload_json": '{"rls_mode": "off"}'}.get(column, "forged"),
        }
        assert digest(hashed(fields(changed[name] for name in ADMIN.content))) != row["content_sha256"]


PAYLOADS = st.sampled_from(chain.PAYLOAD_ORDERS).flatmap(lambda order: st.dictionaries(st.sampled_from(order), JSON, max_size=7))
FLAT = PAYLOADS.filter(lambda payload: "{" not in copytext.jsonb(payload)[1:])
ADMIN_TEXTS = st.lists(st.none() | TEXT, min_size=12, max_size=12)


@given(ADMIN_TEXTS, st.none() | FLAT, st.integers(0, 253402300799_999))
@settings(max_examples=150)
def test_content_of_any_admin_row_equals_the_twins(texts: list[str | None], payload: dict[str, t.Any] | None, ms: int) -> None:
    instant = EPOCH + dt.timedelta(milliseconds=ms)
    row = dict(zip(chain.ADMIN_FIELDS, texts, strict=True))
    stored = None if payload is None else copytext.jsonb(payload)
    found = chain_content.admin()(fields([*texts, stored, when(ms * 1000)]))
    assert digest(found) == chain.admin_hash(row, chain.written_payload(payload), instant)


@pytest.mark.mutation
@pytest.mark.parametrize(
    "payload",
    [
        {"new_key": 1},
        {"rls_mode": "x", "new_key": 1},
        {"rls_mode": "x", "reason": "y"},
        {"changed_fields": {"a": 1, "b": 2}},
        ["rls_mode"],
        "rls_mode",
        None,
    ],
)
def test_payload_of_an_unknown_writer_gives_no_content(payload: t.Any) -> None:
    assert chain_content.admin()(fields([*["x"] * 12, json.dumps(payload), when(0)])) is None


def test_columns_match_the_twin() -> None:
    assert ADMIN.content == (*chain.ADMIN_FIELDS, "payload_json", "occurred_at")
    assert AUDIT.content[9:] == ("determining_policies_json", "diagnostics_json", "metadata_json", "occurred_at")
    assert chain_content.PAYLOADS == chain.PAYLOAD_ORDERS
