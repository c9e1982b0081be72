# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A KEK is accepted in the product's formats. A refusal is one line that does not contain the key."""

from __future__ import annotations

import base64
import hashlib

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.keys import kek
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError

GOOD = hashlib.sha256(b"a key").hexdigest()


def test_the_id_is_the_beginning_of_the_digest() -> None:
    assert kek.parse("a75ee5edc50065e927c91d111324392142b8136f15206352d49fb3121f7bafc1", "kek").id == "4870629f7486c86f"


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("end", ["", "\n", "\r\n", " \t\n\n"])
def test_blanks_at_the_end_of_a_file_do_not_matter(end: str) -> None:
    assert kek.parse_file(GOOD + end, "file") == kek.parse(GOOD, "value") == kek.parse(GOOD.upper(), "value")


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (f"{GOOD}\n", "blanks or a newline"),
        (f"{GOOD}\r\n", "blanks or a newline"),
        (f" {GOOD}", "blanks or a newline"),
        (GOOD[:-1], "not hexadecimal"),
        (f"0x{GOOD[2:]}", "not hexadecimal"),
        (f"{GOOD[:32]}\n{GOOD[32:]}", "not hexadecimal"),
        (GOOD[:-1] + "\uff10", "not hexadecimal"),
        (base64.b64encode(bytes.fromhex(GOOD)).decode(), "not hexadecimal"),
        (GOOD[:-2], "has 31 bytes"),
        (GOOD + "00", "has 33 bytes"),
        ("00" * 32, "all zeros"),
        ("7f" * 32, "one repeated byte"),
        (bytes(range(9, 41)).hex(), "ascending or descending bytes"),
        (bytes(range(240, 256)).hex() + bytes(range(16)).hex(), "ascending or descending bytes"),
        (bytes(range(200, 168, -1)).hex(), "ascending or descending bytes"),
        ("a55b" * 16, "two repeated bytes"),
    ],
)
def test_refuses_keys_that_the_product_refuses(text: str, words: str) -> None:
    with pytest.raises(OptionError) as raised:
        kek.parse(text, "kek_file /x")
    message = raised.value.msg
    assert message.startswith("kek_file /x ") and words in message and "\n" not in message
    assert not text.strip() or text.strip() not in message


@pytest.mark.mutation
@pytest.mark.parametrize("text", ["\n", f"\n{GOOD}", f"\ufeff{GOOD}"])
def test_refuses_a_file_with_an_invalid_start(text: str) -> None:
    with pytest.raises(OptionError):
        kek.parse_file(text, "kek_file /x")


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("text", [GOOD, "00" * 31 + "01", bytes([*range(31), 99]).hex(), "a55b" * 15 + "a55c"])
def test_accepts_keys_that_are_almost_a_pattern(text: str) -> None:
    assert kek.parse(text, "kek").secret == bytes.fromhex(text)


def test_a_keyring_finds_each_key_once_and_shows_none() -> None:
    one, other = kek.parse(GOOD, "kek"), kek.parse(GOOD[::-1], "kek")
    assert kek.Keyring(one, one).keys == (one,) and kek.Keyring(one).keys == (one,)
    both = kek.Keyring(one, other)
    assert both.keys == (one, other) and both.find(other.id) is other and both.find("0" * 16) is None
    assert GOOD not in repr(both) and str(bytes.fromhex(GOOD)) not in repr(both)
