# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decrypt sealed values: the reader of rows, and the result for each. The ciphers are passed in."""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from .kek import ID_BYTES, Keyring
from .sealed_columns import CSS1, DETACHED, Column

SHOWN = 50
NONCE, TAG = 12, 16
_MAGIC = b"CSS1"
_DEK_AAD = b"caracal.css1.dek"
# Offsets in an envelope: ID of the KEK, nonce of the data key, data key, nonce of the value, value.
_ID, _DEK_NONCE, _DEK, _VALUE_NONCE, _VALUE = 4, 12, 24, 72, 84


class Decrypt(t.Protocol):
    """ChaCha20-Poly1305. Returns the plaintext, or None if the tag does not match."""

    def __call__(self, key: bytes, nonce: bytes, sealed: bytes, aad: bytes, /) -> bytes | None: ...


class Inspect(t.Protocol):
    """Return the fault of a plaintext as text that does not reveal it, or None."""

    def __call__(self, row: Row, plaintext: bytes, /) -> str | None: ...


@dataclasses.dataclass(frozen=True)
class Row:
    """One sealed value and its row. `spared` is True if a KEK rotation may skip this row."""

    id: str
    zone: str
    version: int
    spared: bool
    nonce: bytes
    value: bytes

    @classmethod
    def from_line(cls, line: bytes) -> Row:
        """Parse a line of `Column.copy`."""
        row_id, zone, version, spared, nonce, value = (bytes.fromhex(field.decode("ascii")) for field in line.rstrip(b"\n").split(b"\t"))
        return cls(row_id.decode(), zone.decode(), int(version), spared == b"true", nonce, value)


@dataclasses.dataclass(frozen=True)
class Opened:
    """A decrypted value. `plaintext` is never shown. `key_id` is the key that decrypted it."""

    key_id: str
    plaintext: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Refused:
    """The reason why a value was not decrypted. `key_id` is the missing key, or `unknown` if the value names none."""

    reason: str
    key_id: str = ""


NO_KEY = "unknown"


def unseal(column: Column, row: Row, keyring: Keyring, decrypt: Decrypt) -> Opened | Refused:
    """Decrypt one value as the product does. A refusal with a key ID means a missing key; without one it means damage."""
    if column.layout == CSS1:
        return _envelope(row.value, (column.location or row.id).encode(), keyring, decrypt)
    nonce, sealed = (row.nonce, row.value) if column.layout == DETACHED else (row.value[:NONCE], row.value[NONCE:])
    if len(nonce) != NONCE:
        return Refused(f"the nonce has {len(nonce)} bytes instead of {NONCE}")
    if len(sealed) < TAG:
        return Refused(f"the ciphertext has {len(sealed)} bytes, less than its tag")
    for key in keyring.keys:
        plaintext = decrypt(key.secret, nonce, sealed, b"")
        if plaintext is not None:
            return Opened(key.id, plaintext)
    return Refused("damaged, or sealed under another KEK", NO_KEY)


def _envelope(value: bytes, location: bytes, keyring: Keyring, decrypt: Decrypt) -> Opened | Refused:
    if value[:_ID] != _MAGIC:
        return Refused("is not an envelope: the magic bytes are wrong")
    if len(value) < _VALUE + TAG:
        return Refused(f"the envelope has {len(value)} bytes, less than the minimum of {_VALUE + TAG}")
    key_id = value[_ID : _ID + ID_BYTES].hex()
    key = keyring.find(key_id)
    if key is None:
        return Refused(f"sealed under KEK {key_id}", key_id)
    data_key = decrypt(key.secret, value[_DEK_NONCE:_DEK], value[_DEK:_VALUE_NONCE], _DEK_AAD)
    if data_key is None:
        return Refused(f"names KEK {key_id}, but its data key is damaged")
    plaintext = decrypt(data_key, value[_VALUE_NONCE:_VALUE], value[_VALUE:], location)
    if plaintext is None:
        return Refused(f"names KEK {key_id}, but its value is damaged or was sealed for another location")
    return Opened(key_id, plaintext)


class Reading:
    """A sink for the COPY lines of one column. It decrypts each value, counts it, and discards it.

    `opened` and `foreign` count by key ID. `spared` counts the values in `foreign` that a rotation skips. `inspect`
    receives each plaintext and returns its fault. `positions` are the first 50 rows that were not decrypted.
    """

    def __init__(self, column: Column, keyring: Keyring, decrypt: Decrypt, inspect: Inspect | None = None) -> None:
        self.column = column
        self.rows = self.damaged = self.spared = 0
        self.opened: collections.Counter[str] = collections.Counter()
        self.foreign: collections.Counter[str] = collections.Counter()
        self.positions: list[dict[str, str]] = []
        self._keyring = keyring
        self._decrypt = decrypt
        self._inspect = inspect

    def write(self, line: bytes) -> None:
        row = Row.from_line(line)
        self.rows += 1
        found = unseal(self.column, row, self._keyring, self._decrypt)
        if isinstance(found, Refused):
            self._refused(row, found)
            return
        wrong = self._inspect(row, found.plaintext) if self._inspect else None
        if wrong:
            self._refused(row, Refused(wrong))
        else:
            self.opened[found.key_id] += 1

    def _refused(self, row: Row, found: Refused) -> None:
        if found.key_id:
            self.foreign[found.key_id] += 1
            self.spared += row.spared
        else:
            self.damaged += 1
        if len(self.positions) < SHOWN:
            self.positions.append({"id": row.id, "zone": row.zone, "says": found.reason})
