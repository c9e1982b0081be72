# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse the public keys that a host returns as untrusted input, and compare them with the operator's lists.

Hosts of one role share a name, and each host has its own key under that name. If a host returns a different key later,
this is either a rotation by the operator or an attack. So a new key is only accepted as the key of an additional host
if all listed keys were returned too.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import re
import typing as t

from .._crypto import age_keys, recipients, signer_lists, sshsig
from .._crypto.allowed_signers import Clock
from .._crypto.signer_lists import AllowedSigner
from .._errors import KeyProblem, OptionError
from .._repository import layout

# The namespaces in which each role signs. Its signatures are only trusted in these.
NAMESPACES = {
    layout.BACKUP: (layout.NAMESPACE_REPOSITORY, layout.NAMESPACE_JOURNAL, layout.NAMESPACE_SET),
    layout.DRILL: (layout.NAMESPACE_DRILL, layout.NAMESPACE_JOURNAL, layout.NAMESPACE_SET),
    layout.OPERATOR: (layout.NAMESPACE_JOURNAL,),
    layout.PRUNE: (layout.NAMESPACE_JOURNAL,),
}
T = t.TypeVar("T", bytes, str)
_KEY = re.compile(rf"{sshsig.KEY_TYPE} ([A-Za-z0-9+/]+={{0,2}})\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._-]{0,126}\Z")
_ROTATION = "if you replaced the key, rotate it as in the guide on key custody. Otherwise find out which host sent this key"


def public_key(text: str, where: str) -> bytes:
    """Parse one line `ssh-ed25519 AAAA…` without other text. Raises KeyProblem."""
    found = _KEY.match(text)
    try:
        blob = base64.b64decode(found[1], validate=True) if found else b""
    except binascii.Error:
        blob = b""
    if not found or base64.b64encode(blob).decode() != found[1]:
        raise KeyProblem(f"{where} returned no public key; expected {sshsig.KEY_TYPE} and the key, alone, on one line")
    sshsig.ed25519_point(blob, f"the key of {where}")
    return blob


def apart(given: t.Sequence[T], name: str, fingerprint: t.Callable[[T], str]) -> t.Sequence[T]:
    """Return the keys of hosts with the same name. Raises KeyProblem if two hosts returned the same key."""
    for one in given:
        if given.count(one) > 1:
            raise KeyProblem(
                f"{given.count(one)} hosts returned the same key {fingerprint(one)} for {name}; create a separate key on each host"
            )
    return given


def signer_lines(
    known: t.Sequence[AllowedSigner], path: str, role: str, principal: str, keys: t.Sequence[bytes], now: Clock
) -> dict[bytes, str]:
    """Return the lines for that role's hosts that `allowed_signers` lacks, by key. Raises KeyProblem if a key would replace another one."""
    found = {}
    theirs = [one for one in known if signer_lists.matches(principal, one.principals)]
    valid = {one.key for one in theirs if one.is_valid(now())}
    for key in apart(keys, principal, sshsig.fingerprint):
        if key in valid:
            continue
        claim = f"{principal} has the key {sshsig.fingerprint(key)}"
        if any(one.key == key for one in theirs):
            raise KeyProblem(f"{claim}, which is not valid now according to {path}; create a new key")
        if theirs and not (valid and valid <= set(keys)):
            listed = ", ".join(sshsig.fingerprint(one.key) for one in theirs if one.key not in keys)
            raise KeyProblem(f"{claim}, but {path} lists {listed}; {_ROTATION}")
        others = [one.principals for one in known if one.key == key]
        if others:
            raise KeyProblem(
                f"{principal} returned the key {sshsig.fingerprint(key)}, which {path} lists for {others[0]}; create separate keys"
            )
        found[key] = f'{principal} namespaces="{",".join(NAMESPACES[role])}" {sshsig.KEY_TYPE} {base64.b64encode(key).decode()}'
    return found


def recipient_lines(lines: t.Sequence[str], path: str, name: str, given: t.Sequence[str]) -> dict[str, list[str]]:
    """Return the lines for these recipients that a list lacks, by recipient. The first line is the name.

    Raises KeyProblem if a recipient would replace another one.
    """
    if not _NAME.match(name):
        raise OptionError(f"{name[:80]!a} is not a valid name; use letters, digits, '@', '.', '_' and '-'")
    mark = f"# {name}"
    for one in given:
        age_keys.check_recipient(one, f"the recipient of {name}")
    theirs = [line.strip() for before, line in itertools.pairwise(lines) if before.strip() == mark]
    found = {}
    for one in apart(given, name, recipients.fingerprint):
        if one in theirs:
            continue
        exchanged = [line for line in theirs if line not in given]
        if exchanged:
            listed = ", ".join(_described(line) for line in exchanged)
            raise KeyProblem(f"{name} has the recipient {recipients.fingerprint(one)}, but {path} lists {listed}; {_ROTATION}")
        if one not in (line.strip() for line in lines):
            found[one] = [mark, one]
    return found


def _described(listed: str) -> str:
    return recipients.fingerprint(listed) if listed.startswith("age1") else "something else"
