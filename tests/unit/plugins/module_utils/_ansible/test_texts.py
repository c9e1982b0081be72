# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible import texts


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", []),
        (" \n", []),
        ("a", ["a"]),
        ("a, b,,c ", ["a", "b", "c"]),
        ("a\r\n  b c\n", ["a", "b c"]),
        (' ["a,b", 1]\n', ["a,b", 1]),
        ("[a,b", ["[a", "b"]),
        (["a,b"], ["a,b"]),
        (7, 7),
        (None, None),
    ],
)
def test_text_becomes_a_list(given: t.Any, expected: t.Any) -> None:
    assert texts.as_list(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", {}),
        ("a=b", {"a": "b"}),
        ('a=b, c="d, e=f"', {"a": "b", "c": "d, e=f"}),
        ("a='b c'\n\nd=e\n", {"a": "b c", "d": "e"}),
        ('{"a":\n {"b": 1}}', {"a": {"b": 1}}),
        ({"a": "b=c"}, {"a": "b=c"}),
        (None, None),
    ],
)
def test_text_becomes_a_dictionary(given: t.Any, expected: t.Any) -> None:
    assert texts.as_dict(given) == expected


@pytest.mark.parametrize("text", ["a", "a=b c", "{a"])
def test_refuses_text_that_is_not_a_dictionary(text: str) -> None:
    with pytest.raises(TypeError):
        texts.as_dict(text)
