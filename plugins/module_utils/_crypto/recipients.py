# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""age recipients, for which artifacts are encrypted, and identities, which decrypt them: X25519 and SSH.

No error repeats a secret: errors name the file and the line number.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import typing as t

from .._deps import require_pyrage
from .._errors import KeyProblem, OptionError, UnsafePath, WrongIdentity
from .._files import paths, trusted
from . import header_proof

SECRET_MARKS = (b"AGE-SECRET-KEY-1", b"AGE-PLUGIN-")
PRIVATE_SSH = b"-----BEGIN OPENSSH PRIVATE KEY-----"
# Limit in bytes for a file of recipients or identities.
FILE_LIMIT = 1 << 20
# Bytes of a stanza in the header other than the wrapped key: markers, type and an ephemeral key.
_STANZA = 128


@dataclasses.dataclass(frozen=True)
class Recipient:
    """One public key: its text in the format of `age -r`, and its fingerprint for the manifest."""

    text: str
    fingerprint: str

    def to_age(self) -> t.Any:
        pyrage = require_pyrage()
        if self.text.startswith("age1"):
            return pyrage.x25519.Recipient.from_str(self.text)
        return pyrage.ssh.Recipient.from_str(self.text)


def fingerprint(text: str) -> str:
    """Return `SHA256:` and base64 without padding: of the key blob for SSH (as ssh-keygen prints it), of the text for age."""
    blob = base64.b64decode(text.split()[1]) if text.startswith("ssh-") else text.encode()
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def parse(text: str, where: str) -> Recipient:
    """Parse one recipient. Raises KeyProblem that names `where`, but not the text if it looks like a secret."""
    text = text.strip()
    if any(mark.decode() in text.upper() for mark in SECRET_MARKS):
        raise KeyProblem(
            f"{where} contains an age identity (a private key); give the public recipient, and move the identity off this host"
        )
    words = text.split()
    if words and words[0].startswith("ssh-"):
        text = " ".join(words[:2])
    recipient_error = getattr(require_pyrage(), "RecipientError", ValueError)
    try:
        recipient = Recipient(text, fingerprint(text))
        recipient.to_age()
    except (recipient_error, ValueError, IndexError) as exc:
        raise KeyProblem(f"{where} is not an age recipient; expected age1… (X25519), ssh-ed25519 … or ssh-rsa …") from exc
    return recipient


def load(texts: t.Sequence[str], files: t.Sequence[str]) -> list[Recipient]:
    """Return all recipients of the options, without duplicates, in order. Raises OptionError if there are none."""
    found: dict[str, Recipient] = {}
    for number, text in enumerate(texts, 1):
        recipient = parse(text, f"recipients[{number}]")
        found.setdefault(recipient.fingerprint, recipient)
    for path in files:
        for number, line in enumerate(_read(path).decode("utf-8", "replace").splitlines(), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                recipient = parse(line, f"{path} line {number}")
                found.setdefault(recipient.fingerprint, recipient)
    if not found:
        raise OptionError("no recipient is set; set recipients or recipients_files")
    if sum(_STANZA + len(one.text) for one in found.values()) > header_proof.LIMIT:
        raise OptionError(f"{len(found)} recipients do not fit into the header of an object; use fewer recipients")
    return list(found.values())


def refuse_signing_key(recipients: t.Iterable[Recipient], signer_fingerprint: str) -> None:
    """Raise KeyProblem if a recipient is the signing key: the host that signs must not be able to decrypt."""
    for recipient in recipients:
        if recipient.fingerprint == signer_fingerprint:
            raise KeyProblem(
                f"recipient {recipient.fingerprint} is the signing key, so this host could decrypt its own backups; use another key pair"
            )


def identities_on_host(recipients: t.Iterable[Recipient], folders: t.Iterable[str]) -> list[str]:
    """Return the paths of files in `folders` (not below) with an age identity, or with the private key of an SSH recipient."""
    publics = [base64.b64decode(recipient.text.split()[1]) for recipient in recipients if recipient.text.startswith("ssh-")]
    found: set[str] = set()
    for folder in folders:
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        found.update(path for path in (os.path.join(folder, name) for name in names) if _is_identity(path, publics))
    return sorted(found)


def load_identities(files: t.Sequence[str]) -> list[t.Any]:
    """Load identities for decryption, from age identity files and unencrypted SSH keys, mode 0600 or stricter."""
    if not files:
        raise OptionError("no identity is set to decrypt the set; set identity_files")
    identities: list[t.Any] = []
    for path in files:
        data = _read(path)
        if os.stat(path).st_mode & 0o077:
            raise WrongIdentity(f"identity file {path} can be read by others; chmod 600 {path}")
        identities.extend(_identities(path, data))
    return identities


def _identities(path: str, data: bytes) -> list[t.Any]:
    pyrage = require_pyrage()
    problem = WrongIdentity(f"{path} contains no age identity and no unencrypted SSH private key; give the identity file of a recipient")
    try:
        if data.startswith(b"-----BEGIN"):
            return [pyrage.ssh.Identity.from_buffer(data)]
        lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines()]
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except (pyrage.IdentityError, ValueError) as exc:
        raise problem from exc
    if not found:
        raise problem
    return found


def _read(path: str) -> bytes:
    try:
        with trusted.reading(path) as stream:
            data = stream.read(FILE_LIMIT + 1)
    except OSError as exc:
        raise KeyProblem(f"key file {path} cannot be read: {exc.strerror}; check the path and its owner") from exc
    if len(data) > FILE_LIMIT:
        raise KeyProblem(f"key file {path} is larger than {FILE_LIMIT >> 10} KiB, so it cannot be a list of keys; check the path")
    return data


def _is_identity(path: str, publics: t.Sequence[bytes]) -> bool:
    try:
        with paths.reading(path) as stream:
            if os.fstat(stream.fileno()).st_size > 1 << 20:
                return False
            head = stream.read(1 << 16)
    except (OSError, UnsafePath):
        return False
    if any(line.strip().startswith(SECRET_MARKS[0]) for line in head.splitlines()):
        return True
    # An OpenSSH private key contains its public key in plain text, even if it is encrypted.
    try:
        packed = base64.b64decode(head.partition(PRIVATE_SSH)[2].partition(b"-----END")[0])
    except ValueError:
        return False
    return any(public in packed for public in publics)
