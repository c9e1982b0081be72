# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signing with `ssh-keygen -Y sign`, which supports agents and hardware keys. It never prompts and never reads a secret key itself."""

from __future__ import annotations

import base64
import binascii
import os
import stat

from .._errors import KeyProblem, StageFailed, TamperedData
from .._files import trusted
from .._stream import process
from . import sshsig

TIMEOUT = 60.0
_SIZE_LIMIT = 1 << 16
_MAGIC = b"openssh-key-v1\0"
_BEGIN = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_END = b"-----END OPENSSH PRIVATE KEY-----"


class Signer:
    """An Ed25519 key and its principal: a private key file, or a `.pub` file with the key in an agent.

    Raises KeyProblem if the file is not such a key, or if other users may read it.
    """

    def __init__(self, key_file: str, principal: str) -> None:
        self.principal = principal
        self._file = key_file
        self._blob = _public_blob(key_file)
        sshsig.ed25519_point(self._blob, f"signing key {key_file}")

    @property
    def fingerprint(self) -> str:
        return sshsig.fingerprint(self._blob)

    @property
    def public_key_line(self) -> str:
        """The key as `ssh-ed25519 AAAA…`, without a comment."""
        return f"{sshsig.KEY_TYPE} {base64.b64encode(self._blob).decode()}"

    def has_signed(self, data: bytes, signature: bytes, namespace: str) -> bool:
        """Return whether exactly this key made the signature, for exactly this namespace."""
        try:
            found = sshsig.parse(signature, "the signature")
        except (KeyProblem, TamperedData):
            return False
        return (found.key, found.namespace) == (self._blob, namespace.encode()) and found.covers(data)

    def sign(self, data: bytes, namespace: str) -> bytes:
        """Return the armored signature of `data`, after verifying it. Raises KeyProblem if the key cannot be used without a prompt."""
        # A prompt for a passphrase would run this program, which gives no answer.
        quiet = {**os.environ, "LC_ALL": "C", "SSH_ASKPASS": "/bin/false", "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": "none"}
        try:
            armored = process.run(["ssh-keygen", "-Y", "sign", "-f", self._file, "-n", namespace], data=data, env=quiet, timeout=TIMEOUT)
        except StageFailed as exc:
            raise KeyProblem.caused_by(
                exc, f"signing key {self._file} cannot sign ({exc.msg}); if it has a passphrase, add it to an agent and set SSH_AUTH_SOCK"
            ) from exc
        signature = sshsig.parse(armored, f"the output of ssh-keygen with {self._file}")
        if signature.key != self._blob or signature.namespace != namespace.encode() or not signature.covers(data):
            raise KeyProblem(f"signing key {self._file}: ssh-keygen signed with another key; remove a stale {self._file}.pub or agent key")
        return armored


def _public_blob(path: str) -> bytes:
    """Return the public key in a key file. It is in plain text, even if the private key has a passphrase."""
    try:
        with trusted.reading(path) as stream:
            mode = os.fstat(stream.fileno()).st_mode
            data = stream.read(_SIZE_LIMIT)
    except OSError as exc:
        raise KeyProblem(f"signing key {path} cannot be read: {exc.strerror}; check the path and its owner") from exc
    try:
        if not data.startswith(_BEGIN):
            return base64.b64decode(data.split()[1], validate=True)
        if stat.S_IMODE(mode) & 0o077:
            raise KeyProblem(
                f"signing key {path} has mode {stat.S_IMODE(mode):04o}, so other users can read it; chmod 600 and consider it leaked"
            )
        body = data[len(_BEGIN) : data.index(_END)]
        reader = sshsig.WireReader(base64.b64decode(b"".join(body.split()), validate=True))
        if reader.take(len(_MAGIC)) != _MAGIC:
            raise sshsig.WireError("another format")
        for _skipped in ("cipher", "key derivation", "its options"):
            reader.string()
        if reader.number() != 1:
            raise sshsig.WireError("more than one key")
        return reader.string()
    except (binascii.Error, IndexError, ValueError) as exc:
        raise KeyProblem(f"signing key {path} is not an OpenSSH key; create one with ssh-keygen -t ed25519") from exc
