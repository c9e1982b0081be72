# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a host says of its keys, read as a stranger's, and what the lists of the operator say of that host already.

A host names its own key under its own name, once. Another one later is a rotation, which the operator makes, or somebody in between.
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

# What each signs; only this is believed of it.
NAMESPACES = {
    layout.BACKUP: (layout.NAMESPACE_REPOSITORY, layout.NAMESPACE_JOURNAL, layout.NAMESPACE_SET),
    layout.DRILL: (layout.NAMESPACE_DRILL, layout.NAMESPACE_JOURNAL, layout.NAMESPACE_SET),
    layout.OPERATOR: (layout.NAMESPACE_JOURNAL,),
    layout.PRUNE: (layout.NAMESPACE_JOURNAL,),
}
_KEY = re.compile(rf"{sshsig.KEY_TYPE} ([A-Za-z0-9+/]+={{0,2}})\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._-]{0,126}\Z")
_ROTATION = "if its key was changed on purpose, rotate it as the guide on key custody says, else find out who answers in its name"


def public_key(text: str, where: str) -> bytes:
    """The key of one line `ssh-ed25519 AAAA…` with nothing around it. Raises KeyProblem."""
    found = _KEY.match(text)
    try:
        blob = base64.b64decode(found[1], validate=True) if found else b""
    except binascii.Error:
        blob = b""
    if not found or base64.b64encode(blob).decode() != found[1]:
        raise KeyProblem(f"{where} gave no public key; expected {sshsig.KEY_TYPE} and the key, alone, in one line")
    sshsig.ed25519_point(blob, f"the key of {where}")
    return blob


def signer_line(known: t.Sequence[AllowedSigner], path: str, role: str, principal: str, key: bytes, now: Clock) -> str | None:
    """The line that `allowed_signers` lacks of this signer; None when it has one. Raises KeyProblem for a key that differs."""
    theirs = [one for one in known if signer_lists.matches(principal, one.principals)]
    if any(one.key == key and one.is_valid(now()) for one in theirs):
        return None
    if any(one.key == key for one in theirs):
        raise KeyProblem(f"{principal} has the key {sshsig.fingerprint(key)}, which {path} says is not valid now; make it a new one")
    if theirs:
        listed = ", ".join(sshsig.fingerprint(one.key) for one in theirs)
        raise KeyProblem(f"{principal} has the key {sshsig.fingerprint(key)}, and {path} lists {listed}; {_ROTATION}")
    others = [one for one in known if one.key == key]
    if others:
        owner = others[0].principals
        raise KeyProblem(f"{principal} gave the key {sshsig.fingerprint(key)}, which is {owner}'s in {path}; make each a key of its own")
    return f'{principal} namespaces="{",".join(NAMESPACES[role])}" {sshsig.KEY_TYPE} {base64.b64encode(key).decode()}'


def recipient_lines(lines: t.Sequence[str], path: str, name: str, recipient: str) -> list[str]:
    """The lines that a list of recipients lacks of this one, the first of which names it. Raises KeyProblem when it lists another."""
    if not _NAME.match(name):
        raise OptionError(f"{name[:80]!a} names nobody; give letters, digits, '@', '.', '_' and '-'")
    mark = f"# {name}"
    age_keys.check_recipient(recipient, f"the recipient of {name}")
    for before, line in itertools.pairwise(lines):
        if before.strip() == mark and line.strip() != recipient:
            raise KeyProblem(
                f"{name} has the recipient {recipients.fingerprint(recipient)}, and {path} lists {_told(line.strip())}; {_ROTATION}"
            )
    return [] if recipient in (line.strip() for line in lines) else [mark, recipient]


def _told(listed: str) -> str:
    return recipients.fingerprint(listed) if listed.startswith("age1") else "something else"
