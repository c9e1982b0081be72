# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import strict_json
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import TamperedData

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"a":1,"a":1}', "duplicate key 'a'"),
        (b'{"b":{"a":1,"a":2}}', "duplicate key 'a'"),
        (b'{"a":NaN}', "NaN is not a number"),
        (b'{"a":-Infinity}', "-Infinity is not a number"),
        (b'{"a":1e999}', "too large"),
        (b'{"a":' + b"9" * 30 + b"}", "too long"),
        (b'\xef\xbb\xbf{"a":1}', "byte order mark"),
        (b'{"a":"\xff"}', "not UTF-8"),
        ('{"a":1}'.encode("utf-16"), "not UTF-8"),
        (b'{"a":"\\ud800"}', "not UTF-8"),
        (b'{"\\udfff":1}', "not UTF-8"),
        (nested(17), "nested deeper than 16"),
        (b'{"a":' + b"[" * 16 + b"]" * 16 + b"}", "nested deeper than 16"),
        (nested(100_000), "nested deeper than 16"),
        (b'{"a":1} x', "Extra data"),
        (b'{"a":1}{"a":1}', "Extra data"),
        (b"[]", "not an object"),
        (b'"a"', "not an object"),
        (b"", "Expecting value"),
        (b"{" + b" " * (16 << 20) + b"}", "more than 16 MiB"),
    ],
)
def test_ambiguous_or_invalid_json_is_refused_in_one_line(data: bytes, words: str) -> None:
    with pytest.raises(TamperedData, match=words) as caught:
        strict_json.loads(data, "x/manifest.json")
    assert caught.value.msg.startswith("x/manifest.json is not strict JSON")
    assert "\n" not in caught.value.msg


@pytest.mark.no_false_alarm
def test_the_deepest_allowed_document_is_read() -> None:
    assert strict_json.loads(nested(16)) == json.loads(nested(16))


@pytest.mark.no_false_alarm
@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_written_values_are_read_unchanged(value: dict[str, object]) -> None:
    assert strict_json.loads(strict_json.dumps(value)) == value


def test_the_same_content_has_the_same_bytes() -> None:
    assert (
        strict_json.dumps({"b": [1], "a": "é"})
        == strict_json.dumps({"a": "é", "b": [1]})
        == '{\n "a": "é",\n "b": [\n  1\n ]\n}\n'.encode()
    )


def test_does_not_write_invalid_json() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        strict_json.dumps({"a": float("nan")})


@pytest.mark.mutation
def test_duplicate_key_among_many_is_found_quickly() -> None:
    """Counting each of 200,000 names would take hours."""
    names = "".join(f'"{number}": 0, ' for number in range(200_000))
    with pytest.raises(TamperedData, match="duplicate key '199999'"):
        strict_json.loads(f'{{{names}"199999": 1}}'.encode())


@pytest.mark.mutation
def test_small_values_that_take_much_memory_are_refused() -> None:
    data = b'{"a": [' + b"[]," * (4 << 20) + b"[]]}"
    tracemalloc.start()
    with pytest.raises(TamperedData, match="more than 2097152 values"):
        strict_json.loads(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
