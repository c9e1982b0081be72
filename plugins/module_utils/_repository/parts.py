# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parts: the results of each module that adds to an open set, until the commit signs them.

Anyone with write access to the store could write parts, and the commit would sign their content. Therefore the signing
key of the set also signs each part, together with the digests of all earlier parts. No other key is accepted. Only
parts on a stage are unsigned.
"""

from __future__ import annotations

import hashlib
import typing as t

from .._crypto import strict_json
from .._crypto.signing import Signer
from .._errors import ObjectExists, TamperedData
from .._storage.base import Store
from . import layout
from .fields import SHA256, Fields

TYPE = "set-part"
SIGNED = "signed-set-part"
Content = dict[str, t.Any]


def write(store: Store, set_id: str, name: str, content: t.Mapping[str, object], signer: Signer | None) -> None:
    """Add the part `name` to an open set, or to a stage if there is no signer. Raises ObjectExists if the name is in use."""
    document: Content = {"type": TYPE, "format": layout.FORMAT, "set": set_id, "name": name, "content": dict(content)}
    if signer:
        document["earlier"] = {key: hashlib.sha256(data).hexdigest() for key, data in _stored(store, set_id).items()}
    data = strict_json.dumps(document)
    if signer:
        signature = signer.sign(data, layout.NAMESPACE_PART).decode("ascii")
        wrapped = {"type": SIGNED, "format": layout.FORMAT, "part": data.decode("utf-8"), "signature": signature}
        data = strict_json.dumps(wrapped)
    try:
        store.put(layout.part_key(set_id, name), data)
    except ObjectExists as exc:
        raise ObjectExists(f"set {set_id} already has the part {name}; commit it, or open a new set") from exc


def read(store: Store, set_id: str, signer: Signer) -> dict[str, Content]:
    """Return the content of every part by name, empty if there are none. Raises TamperedData for parts not signed by `signer`."""
    found, stored = {}, _stored(store, set_id)
    for key, raw in stored.items():
        where = f"{store.location}/{key}"
        data, signature = _unwrapped(raw, where)
        if signature is None or not signer.has_signed(data, signature, layout.NAMESPACE_PART):
            raise TamperedData(
                f"{where} is not signed by {signer.fingerprint}; give the signing_key that began the set. Otherwise find out who wrote it, "
                f"then run backup_set state=aborted set_id={set_id} and open a new set"
            )
        name, content, earlier = _parsed(data, key, set_id)
        found[name] = content
        gone = [one for one, digest in earlier.items() if one not in stored or hashlib.sha256(stored[one]).hexdigest() != digest]
        if gone:
            raise TamperedData(
                f"{store.location}/{gone[0]} was removed or exchanged after {name} was written; find out who did it, "
                f"then run backup_set state=aborted set_id={set_id} and open a new set"
            )
    return found


def read_unsigned(store: Store, set_id: str) -> dict[str, Content]:
    """Like `read`, without verifying signatures. Used for a stage, and to find the objects that open sets need."""
    parsed = (_parsed(_unwrapped(raw, key)[0], key, set_id) for key, raw in _stored(store, set_id).items())
    return {name: content for name, content, _earlier in parsed}


def delete(store: Store, set_id: str) -> int:
    """Remove all parts and return their number."""
    found = store.list(layout.parts_folder(set_id))
    for one in found:
        store.delete(one.key)
    return len(found)


def _stored(store: Store, set_id: str) -> dict[str, bytes]:
    return {one.key: store.read(one.key) for one in store.list(layout.parts_folder(set_id))}


def _unwrapped(raw: bytes, name: str) -> tuple[bytes, bytes | None]:
    """Return the part itself, and its signature if it has one."""
    found = strict_json.loads(raw, name)
    if found.get("type") != SIGNED:
        return raw, None
    fields = Fields(found, name)
    fields.head(SIGNED)
    part, signature = fields.take("part"), fields.text("signature")
    fields.end()
    if not isinstance(part, str):
        raise fields.fault("has an invalid part")
    return part.encode("utf-8"), signature.encode("utf-8")


def _parsed(data: bytes, key: str, set_id: str) -> tuple[str, Content, dict[str, str]]:
    """Return the name, the content, and the digests of earlier parts by key."""
    found = strict_json.loads(data, key)
    fields = Fields({"earlier": {}, **found}, key)
    fields.head(TYPE)
    name, owner = fields.text("name"), fields.text("set")
    if (key, set_id) != (layout.part_key(set_id, name), owner):
        raise fields.fault("does not match its path")
    content, earlier = fields.dictionary("content"), fields.table("earlier")
    fields.end()
    if not all(SHA256.match(one) for one in earlier.values()):
        raise fields.fault("has an invalid earlier")
    return name, content, earlier
