# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create the keys of a host on that host: a signing key and identities. Only public halves leave the host."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
import typing as t

from .._ansible.boundary import Invocation
from .._crypto import age_keys, recipients
from .._crypto.signing import Signer
from .._errors import KeyProblem, OptionError
from .._files import trusted
from .._options import declared
from .._options.declared import Path, Rules
from .._repository import layout
from .._stream import process
from . import whole_files

_TIMEOUT = 60.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    RULES = Rules(required_together=(("signing_key", "principal"),))

    signing_key: Path | None = None
    principal: str | None = None
    identity_files: tuple[Path, ...] = ()


class PublicIdentity(t.TypedDict):
    """The public half of an identity, or None if it does not exist yet."""

    file: str
    recipient: str | None
    fingerprint: str | None


class _Signing(t.TypedDict):
    public_key: str | None
    fingerprint: str | None


class KeysResult(_Signing):
    """`made` lists the paths of new private keys. The other values are public halves."""

    changed: bool
    made: list[str]
    recipients: list[PublicIdentity]
    diff: dict[str, str]


def run(invocation: Invocation[Options]) -> KeysResult:
    given, made = invocation.options, []
    result: _Signing = {"public_key": None, "fingerprint": None}
    if given.signing_key and given.principal:
        layout.check_deployment(given.principal.partition("@")[2])
        if _lacks(given.signing_key, invocation, _make_signing_key, given.principal):
            made.append(given.signing_key)
        if os.path.exists(given.signing_key):
            signer = Signer(given.signing_key, given.principal)
            result = {"public_key": signer.public_key_line, "fingerprint": signer.fingerprint}
    found = []
    for path in given.identity_files:
        if _lacks(path, invocation, _make_identity):
            made.append(path)
        found.append(_public(path))
    after = [*(f"{one} (new)\n" for one in made)]
    return {"changed": bool(made), "made": made, **result, "recipients": found, "diff": {"before": "", "after": "".join(after)}}


def _lacks(path: str, invocation: Invocation[Options], make: t.Callable[..., bool], *more: str) -> bool:
    """Create the key if it does not exist, except in check mode. Returns whether it was missing."""
    if os.path.exists(path):
        whole_files.refuse_shared_folder(path)
        return False
    return True if invocation.check_mode else make(path, *more)


def _make_signing_key(path: str, principal: str) -> bool:
    """Create a key with ssh-keygen in a separate folder, so that a file with the final name is always complete."""
    if path.endswith(".pub"):
        raise OptionError(f"{path} does not exist and is the name of a public key; set signing_key to the private key")
    whole_files.refuse_shared_folder(path)
    with tempfile.TemporaryDirectory(prefix=".new-key-", dir=os.path.dirname(os.path.abspath(path))) as folder:
        new = os.path.join(folder, "key")
        process.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", principal, "-f", new], timeout=_TIMEOUT)
        public = Signer(new, principal).public_key_line
        with trusted.reading(new) as file:
            key = file.read().decode("ascii")
    if not whole_files.write_new(path, key):
        return False
    whole_files.replace(f"{path}.pub", f"{public} {principal}\n", 0o644)
    return True


def _make_identity(path: str) -> bool:
    identity = age_keys.generate()
    return whole_files.write_new(path, f"# public key: {age_keys.recipient_of(identity, path)}\n{identity}\n")


def _public(path: str) -> PublicIdentity:
    """Return the public half of the identity in a file, or None if check mode has not created it."""
    recipient = None
    with contextlib.suppress(FileNotFoundError):
        recipient = _recipient(path)
    return {"file": path, "recipient": recipient, "fingerprint": recipient and recipients.fingerprint(recipient)}


def _recipient(path: str) -> str:
    try:
        with trusted.reading(path) as file:
            mode, text = os.fstat(file.fileno()).st_mode, file.read(recipients.FILE_LIMIT).decode("ascii")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as exc:
        raise KeyProblem(f"identity file {path} cannot be read; check the path and its owner") from exc
    if mode & 0o077:
        raise KeyProblem(f"identity file {path} can be read by other users; chmod 600 {path}, and consider it leaked")
    lines = [line for line in (one.strip() for one in text.split("\n")) if line and not line.startswith("#")]
    if len(lines) != 1:
        raise KeyProblem(f"{path} contains {len(lines)} identities; expected one, as age-keygen writes it")
    return age_keys.recipient_of(lines[0], path)
