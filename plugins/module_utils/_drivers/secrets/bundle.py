# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The secrets of a deployment as one tar archive.

It contains `secrets/`, `environment/`, `extra/`, `retired/`, `previous/`, and `index.json` as its last member. The index lists
each member with length, mode and a fingerprint. The fingerprint is an HMAC-SHA256 under a random key that is stored only in the
index. So without decrypting the bundle, an attacker cannot verify guesses of a weak secret.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import io
import os
import re
import typing as t

from ..._crypto import strict_json
from ..._errors import TamperedData
from ..._repository.fields import Fields
from ..._repository.layout import FORMAT
from ..._stream import pipes, tar
from ..._stream.tar import Member
from .files import FILE_LIMIT, FILES, File

SECRETS, EXTRA = "secrets", "extra"
# A member without content represents a directory of the secrets without files. The archive contains only files, so that older
# versions can read it.
FOLDERS = "folders"
ENVIRONMENT, PREVIOUS = "environment/caracal.env", "previous/kek"
RETIRED_FOLDER = "retired/"
RETIRED = RETIRED_FOLDER + "{number:03d}.audit_hmac_key"
INDEX, TYPE = "index.json", "secrets-bundle"
INDEX_MODE = 0o600
_INDEX_LIMIT = 1 << 20
_LIMIT = 64 << 20
_HEX = re.compile(r"[0-9a-f]{64}\Z")


@dataclasses.dataclass(frozen=True)
class Bundle:
    """The content of an archive, verified against its index."""

    family: str
    files: tuple[File, ...]


def write(sink: pipes.Sink, family: str, files: t.Sequence[File]) -> None:
    """Write `files` in their order.

    Times are omitted: they are not part of the secrets' state, and the bundle does not need to reveal them.
    """
    key = os.urandom(32)
    writer = tar.Writer(sink)
    for one in files:
        writer.add(Member(one.name, len(one.content), 0, one.mode, 0, 0), io.BytesIO(one.content))
    index = {
        "type": TYPE,
        "format": FORMAT,
        "family": family,
        "fingerprint_key": key.hex(),
        "members": [
            {"name": one.name, "length": len(one.content), "mode": one.mode, "fingerprint": _fingerprint(key, one.content)} for one in files
        ],
    }
    data = strict_json.dumps(index)
    writer.add(Member(INDEX, len(data), 0, INDEX_MODE, 0, 0), io.BytesIO(data))
    writer.finish()


def read(source: pipes.Reader, name: str) -> Bundle:
    """Return the bundle, read into memory. Nothing is trusted until it was verified against the index. Raises TamperedData."""
    found: dict[str, File] = {}
    total = 0
    for member, data in tar.members(source, name):
        limit = _INDEX_LIMIT if member.name == INDEX else FILE_LIMIT
        total += member.size
        if member.size > limit or total > _LIMIT or len(found) > FILES * 2:
            raise TamperedData(
                f"{name} contains a file that is not a secret ({member.name!a}), so it is not from this collection; use another set"
            )
        found[member.name] = File(member.name, name, member.mode, data.read(member.size))
    index = found.pop(INDEX, None)
    if index is None:
        raise TamperedData(f"{name} has no {INDEX}; use another copy of the set")
    return _proved(Fields(strict_json.loads(index.content, f"{INDEX} of {name}"), f"{INDEX} of {name}"), found)


def _proved(index: Fields, found: dict[str, File]) -> Bundle:
    index.head(TYPE)
    family, key = index.text("family"), bytes.fromhex(index.text("fingerprint_key", _HEX))
    names = set()
    for member in index.inners("members"):
        name, length, mode = member.text("name"), member.integer("length"), member.integer("mode")
        fingerprint = member.text("fingerprint", _HEX)
        member.end()
        one = found.get(name)
        if one is None or (len(one.content), one.mode) != (length, mode) or fingerprint != _fingerprint(key, one.content):
            raise index.fault(f"does not match the file {name[:200]!a}")
        names.add(name)
    index.end()
    if names != set(found):
        raise index.fault("does not list every file of the archive")
    return Bundle(family, tuple(found[name] for name in sorted(found)))


def _fingerprint(key: bytes, content: bytes) -> str:
    return hmac.new(key, content, hashlib.sha256).hexdigest()


def state_key(kek: bytes, audit: bytes) -> bytes:
    """Return the key for the names of secrets' states that appear in public.

    Without the KEK, an attacker cannot verify guesses against a name.
    """
    return hashlib.sha256(b"caracal-ops secrets state v1\0" + kek + b"\0" + audit).digest()


def states(key: bytes, files: t.Sequence[File]) -> dict[str, str]:
    """Return a name for the state of each file, from its mode and content but not its times."""
    return {one.name: hmac.new(key, b"%o\0%b" % (one.mode, one.content), hashlib.sha256).hexdigest()[:16] for one in files}


def key_set(key: bytes, files: t.Sequence[File]) -> str:
    """Return a name for the state of all files, 16 hex digits. It is equal only for equal names, contents and modes."""
    whole = hmac.new(key, b"set", hashlib.sha256)
    for one in files:
        name = one.name.encode()
        whole.update(b"%d\0%b%o\0%d\0%b" % (len(name), name, one.mode, len(one.content), one.content))
    return whole.hexdigest()[:16]
