# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The product's sealed values are decrypted, and any change to one is detected and named."""

from __future__ import annotations

import hashlib
import json
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.keys import envelopes, kek
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.keys.envelopes import (
    NO_KEY,
    Opened,
    Reading,
    Refused,
    Row,
    unseal,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.keys.kek import Keyring
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.keys.sealed_columns import COLUMNS, DETACHED, PACKED, Column
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.envelope_ciphers import decrypt, public_point
from twin import envelopes as sealing
from twin.dice import Dice

FIXTURE = json.loads((Path(__file__).parents[5] / "data" / "sealed_values.json").read_text(encoding="utf-8"))
VALUES: dict[str, dict[str, t.Any]] = {one["name"]: one for one in FIXTURE["values"]}
WRONG = kek.parse(FIXTURE["wrong_kek"], "kek")
BY_NAME = {column.name: column for columns in COLUMNS.values() for column in columns}

ONE, TWO = kek.parse(hashlib.sha256(b"one").hexdigest(), "kek"), kek.parse(hashlib.sha256(b"two").hexdigest(), "kek")
PLAIN = b'{"api_key":"sk-\xc3\xbc"}'
PLACE = Column("t", "envelope", location="a/place")


def row_of(value: dict[str, t.Any]) -> Row:
    return Row(value["id"], value["zone"], 1, False, bytes.fromhex(value["nonce"]), bytes.fromhex(value["value"]))


def column_of(value: dict[str, t.Any]) -> Column:
    table, _dot, name = value["column"].partition(".")
    return Column(table, name, location=value["location"]) if "location" in value else BY_NAME[value["column"]]


def row(value: bytes, nonce: bytes = b"", row_id: str = "r") -> Row:
    return Row(row_id, "z", 1, False, nonce, value)


def envelope(location: str = "a/place", plaintext: bytes = PLAIN) -> bytes:
    return sealing.seal(ONE.secret, location, plaintext, Dice("test", "envelopes"))


def line(one: Row) -> bytes:
    texts = (one.id.encode(), one.zone.encode(), str(one.version).encode(), str(one.spared).lower().encode())
    return b"\t".join(field.hex().encode() for field in (*texts, one.nonce, one.value)) + b"\n"


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("name", VALUES)
def test_decrypts_values_sealed_by_the_product(name: str) -> None:
    value = VALUES[name]
    key = kek.parse(value["kek"], "kek")
    opened = unseal(column_of(value), row_of(value), Keyring(WRONG, key), decrypt)
    assert isinstance(opened, Opened) and opened.plaintext
    assert opened.key_id == key.id == value.get("key_id", key.id)
    if "plaintext" in value:
        assert opened.plaintext.decode() == value["plaintext"]
    if "sha256" in value:
        assert hashlib.sha256(opened.plaintext).hexdigest() == value["sha256"]
    if "x" in value:
        point = public_point(opened.plaintext)
        assert point and (point.x, point.y) == (value["x"], value["y"])


@pytest.mark.mutation
@pytest.mark.parametrize("name", VALUES)
def test_does_not_decrypt_values_with_another_key(name: str) -> None:
    value = VALUES[name]
    refused = unseal(column_of(value), row_of(value), Keyring(WRONG), decrypt)
    assert isinstance(refused, Refused)
    named = NO_KEY if value["column"].startswith(("providers.", "provider_grants.", "secrets.ciphertext")) else None
    assert refused.key_id == (named or kek.parse(value["kek"], "kek").id)


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("at", "reason", "names_key"),
    [
        (0, "is not an envelope", False),
        (3, "is not an envelope", False),
        (4, "sealed under KEK", True),
        (11, "sealed under KEK", True),
        (12, "data key is damaged", False),
        (23, "data key is damaged", False),
        (24, "data key is damaged", False),
        (71, "data key is damaged", False),
        (72, "value is damaged", False),
        (83, "value is damaged", False),
        (84, "value is damaged", False),
        (-1, "value is damaged", False),
    ],
)
def test_a_flipped_bit_in_each_part_of_an_envelope_is_named(at: int, reason: str, names_key: bool) -> None:
    damaged = bytearray(envelope())
    damaged[at] ^= 1
    refused = unseal(PLACE, row(bytes(damaged)), Keyring(ONE), decrypt)
    assert isinstance(refused, Refused) and reason in refused.reason and bool(refused.key_id) == names_key


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("length", "reason"),
    [(0, "is not an envelope"), (3, "is not an envelope"), (4, "has 4 bytes"), (99, "has 99 bytes"), (100, "value is damaged")],
)
def test_a_truncated_envelope_is_named(length: int, reason: str) -> None:
    refused = unseal(PLACE, row(envelope()[:length]), Keyring(ONE), decrypt)
    assert isinstance(refused, Refused) and reason in refused.reason and not refused.key_id


@pytest.mark.mutation
def test_does_not_decrypt_an_envelope_of_another_location() -> None:
    stored = Column("secret_store", "envelope")
    assert isinstance(unseal(stored, row(envelope("a/ref"), row_id="a/ref"), Keyring(ONE), decrypt), Opened)
    for column, row_id in ((stored, "another/ref"), (PLACE, "a/ref")):
        refused = unseal(column, row(envelope("a/ref"), row_id=row_id), Keyring(ONE), decrypt)
        assert isinstance(refused, Refused) and "sealed for another location" in refused.reason


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("column", "nonce", "value", "reason"),
    [
        (Column("t", "c", DETACHED, nonce="n"), b"", bytes(20), "the nonce has 0 bytes"),
        (Column("t", "c", DETACHED, nonce="n"), bytes(11), bytes(20), "the nonce has 11 bytes"),
        (Column("t", "c", DETACHED, nonce="n"), bytes(12), b"", "the ciphertext has 0 bytes"),
        (Column("t", "c", DETACHED, nonce="n"), bytes(12), bytes(15), "the ciphertext has 15 bytes"),
        (Column("t", "c", PACKED), b"", bytes(11), "the nonce has 11 bytes"),
        (Column("t", "c", PACKED), b"", bytes(27), "the ciphertext has 15 bytes"),
    ],
    ids=lambda value: value.layout if isinstance(value, Column) else str(len(value)) if isinstance(value, bytes) else None,
)
def test_a_bare_value_without_its_parts_is_damage(column: Column, nonce: bytes, value: bytes, reason: str) -> None:
    refused = unseal(column, row(value, nonce), Keyring(ONE), decrypt)
    assert isinstance(refused, Refused) and not refused.key_id and reason in refused.reason


@given(
    plaintext=st.binary(max_size=300),
    location=st.text(st.characters(exclude_categories=["Cs"])),
    which=st.integers(0),
    bit=st.integers(0, 7),
)
def test_decrypts_unchanged_values_and_refuses_changed_ones(plaintext: bytes, location: str, which: int, bit: int) -> None:
    dice = Dice("test", location)
    nonce = dice.randbytes(12)
    made = [
        (Column("t", "c"), row(sealing.seal(ONE.secret, location, plaintext, dice), row_id=location)),
        (Column("t", "c", PACKED), row(nonce + sealing.seal_bare(ONE.secret, nonce, plaintext))),
    ]
    for column, one in made:
        opened = unseal(column, one, Keyring(TWO, ONE), decrypt)
        assert opened == Opened(ONE.id, plaintext)
        damaged = bytearray(one.value)
        damaged[which % len(damaged)] ^= 1 << bit
        assert isinstance(unseal(column, row(bytes(damaged), row_id=one.id), Keyring(ONE, TWO), decrypt), Refused)


def test_reads_a_copy_line_with_any_characters() -> None:
    one = Row("a\tb\\n\n\x00ü", "", 7, True, b"\0\x01", b"\\x\t\n")
    assert Row.from_line(line(one)) == one


def test_pass_counts_values_and_keeps_fifty_positions() -> None:
    reading = Reading(PLACE, Keyring(ONE, TWO), decrypt, lambda one, plaintext: "odd" if one.id == "odd" else None)
    good, foreign = envelope(), sealing.seal(WRONG.secret, "a/place", PLAIN, Dice("test", "foreign"))
    reading.write(line(row(good)))
    reading.write(line(row(good, row_id="odd")))
    reading.write(line(Row("late", "z", 1, True, b"", foreign)))
    for number in range(60):
        reading.write(line(row(b"short", row_id=str(number))))
    assert (reading.rows, reading.damaged, reading.spared) == (63, 61, 1)
    assert reading.opened == {ONE.id: 1} and reading.foreign == {WRONG.id: 1}
    assert len(reading.positions) == envelopes.SHOWN
    assert reading.positions[:2] == [
        {"id": "odd", "zone": "z", "says": "odd"},
        {"id": "late", "zone": "z", "says": f"sealed under KEK {WRONG.id}"},
    ]


def test_decrypted_value_is_not_in_its_repr() -> None:
    opened = unseal(PLACE, row(envelope()), Keyring(ONE), decrypt)
    assert isinstance(opened, Opened) and opened.plaintext == PLAIN and "sk-" not in repr(opened)
