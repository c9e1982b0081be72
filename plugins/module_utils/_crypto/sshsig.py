# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""OpenSSH signatures (SSHSIG): parsing and verification, Ed25519 only.

The armor must be exactly what ssh-keygen writes. Then a signature has only one encoding, and changing any bit of it is
detected.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import struct
import textwrap

from .._deps import require_cryptography
from .._errors import KeyProblem, TamperedData

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    pass  # require_cryptography reports it

KEY_TYPE = "ssh-ed25519"
SIZE_LIMIT = 8192
_MAGIC = b"SSHSIG"
_BEGIN = "-----BEGIN SSH SIGNATURE-----"
_END = "-----END SSH SIGNATURE-----"
_COLUMNS = 70
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}


class WireError(ValueError):
    """The bytes violate SSH's encoding."""


class WireReader:
    """Reads strings and numbers in SSH's encoding from the start of `data`."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def take(self, count: int) -> bytes:
        if count > len(self._data):
            raise WireError("it ends too early")
        part, self._data = self._data[:count], self._data[count:]
        return part

    def number(self) -> int:
        return int(struct.unpack(">I", self.take(4))[0])

    def string(self) -> bytes:
        return self.take(self.number())

    def end(self) -> None:
        if self._data:
            raise WireError("it has trailing bytes")


def wire_string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def fingerprint(blob: bytes) -> str:
    """Return `SHA256:` and base64 without padding, as ssh-keygen prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def ed25519_point(blob: bytes, where: str) -> bytes:
    """Return the 32 bytes of a public key in SSH's encoding. Raises KeyProblem that names `where` for any other type."""
    try:
        reader = WireReader(blob)
        kind = reader.string()
        if kind != KEY_TYPE.encode():
            raise KeyProblem(f"{where} is of type {kind.decode('ascii', 'replace')!a}; use {KEY_TYPE} (ssh-keygen -t ed25519)")
        point = reader.string()
        reader.end()
        if len(point) != 32:
            raise WireError("invalid length")
    except WireError as exc:
        raise KeyProblem(f"{where} is not an SSH public key ({exc}); give a line of a .pub file that ssh-keygen wrote") from exc
    return point


@dataclasses.dataclass(frozen=True)
class Signature:
    """The content of an armored signature. `key` is the signer's public key in SSH's encoding."""

    key: bytes
    namespace: bytes
    reserved: bytes
    hash_name: bytes
    raw: bytes

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.key)

    def covers(self, data: bytes) -> bool:
        """Return True if the key really signed `data`."""
        require_cryptography()
        digest = _HASHES[self.hash_name](data).digest()
        signed = _MAGIC + b"".join(wire_string(part) for part in (self.namespace, self.reserved, self.hash_name, digest))
        try:
            Ed25519PublicKey.from_public_bytes(ed25519_point(self.key, "the signer's key")).verify(self.raw, signed)
        except InvalidSignature:
            return False
        return True


def parse(armored: bytes, name: str) -> Signature:
    """Parse an armored signature. Errors use `name`. Raises TamperedData, and KeyProblem for a key that is not Ed25519."""
    try:
        blob = _unarmor(armored)
        reader = WireReader(blob)
        if reader.take(len(_MAGIC)) != _MAGIC or reader.number() != 1:
            raise WireError("another format or version")
        key, namespace, reserved, hash_name = (reader.string() for _count in range(4))
        inner = WireReader(reader.string())
        reader.end()
        kind, raw = inner.string(), inner.string()
        inner.end()
        ed25519_point(key, f"the key of {name}")
        if kind != KEY_TYPE.encode() or len(raw) != 64 or hash_name not in _HASHES:
            raise WireError("its algorithm does not match its key")
    except WireError as exc:
        raise TamperedData(f"{name} is not a valid SSH signature ({exc}); use another copy of the repository") from exc
    return Signature(key, namespace, reserved, hash_name, raw)


def armor(blob: bytes) -> bytes:
    """Return the text form, exactly as ssh-keygen writes it."""
    lines = textwrap.wrap(base64.b64encode(blob).decode(), _COLUMNS)
    return "\n".join([_BEGIN, *lines, _END, ""]).encode()


def _unarmor(armored: bytes) -> bytes:
    if len(armored) > SIZE_LIMIT:
        raise WireError(f"more than {SIZE_LIMIT} bytes")
    lines = armored.split(b"\n")
    try:
        blob = base64.b64decode(b"".join(lines[1:-2]), validate=True)
    except binascii.Error as exc:
        raise WireError("not base64") from exc
    if armor(blob) != armored:
        raise WireError("not in the text format of ssh-keygen")
    return blob
