# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import chain_keys
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.chain_keys import AuditKey
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError
from unit.plugins.module_utils._caracal.chains.chain_rows import FIXTURE

TEXT = FIXTURE["hmac"]["key"]


@pytest.mark.parametrize("vector", FIXTURE["hmac"]["chains"], ids=["first", "next"])
def test_hmac_matches_the_vectors_of_the_product(vector: dict[str, str]) -> None:
    made = chain_keys.parse(TEXT, "key").hmac()
    assert made(vector["content_sha256"].encode(), vector["prev"].encode()) == vector["chain_hmac"]


@given(st.binary(min_size=32, max_size=150), st.binary(max_size=80), st.binary(max_size=80))
def test_hmac_equals_the_standard_library(secret: bytes, content: bytes, previous: bytes) -> None:
    made = AuditKey(secret).hmac()
    expected = hmac.digest(secret, content + b"|" + previous, "sha256").hex()
    assert made(content, previous) == made(content, previous) == expected


@pytest.mark.parametrize("end", ["", "\n", "\r\n", " \n\n"])
@pytest.mark.parametrize("text", [TEXT, TEXT.upper(), TEXT * 2])
def test_a_key_is_read_as_the_product_reads_it(text: str, end: str) -> None:
    key = chain_keys.parse_file(text + end, "key")
    assert key.secret.hex() == text.lower()
    assert key.id == hashlib.sha256(bytes.fromhex(text)).hexdigest()[:16]


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (TEXT[:-1], "is not hexadecimal"),
        (TEXT[:-1] + "g", "is not hexadecimal"),
        ("\n", "has blanks or a newline"),
        (" " + TEXT, "has blanks or a newline"),
        (TEXT + "\n", "has blanks or a newline"),
        (TEXT + " ", "has blanks or a newline"),
        (TEXT[:8] + " " + TEXT[8:], "is not hexadecimal"),
        ("٣" * 64, "is not hexadecimal"),
        (TEXT[:-2], "has 31 bytes"),
    ],
)
def test_invalid_key_is_refused_and_not_printed(text: str, words: str) -> None:
    with pytest.raises(OptionError, match=rf"^here {words}") as caught:
        chain_keys.parse(text, "here")
    assert TEXT[:16] not in caught.value.msg


def test_key_is_not_in_its_repr() -> None:
    assert TEXT not in repr(chain_keys.parse(TEXT, "key"))
    assert str(bytes.fromhex(TEXT)) not in repr(chain_keys.parse(TEXT, "key"))


def test_each_key_is_kept_once_in_its_order() -> None:
    one, two = AuditKey(b"1" * 32), AuditKey(b"2" * 32)
    assert chain_keys.distinct([two, one, AuditKey(b"2" * 32), one]) == (two, one)
