# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What each module of an open set has made, until the commit signs it. Unsigned, so nothing else may rely on it."""

from __future__ import annotations

import typing as t

from .._crypto import strict_json
from .._errors import ObjectExists
from .._storage.base import Store
from . import layout
from .fields import Fields

TYPE = "set-part"


def write(store: Store, set_id: str, name: str, content: t.Mapping[str, t.Any]) -> None:
    """Add the part `name` to an open set. Raises ObjectExists when the set has one of that name."""
    document = {"type": TYPE, "format": layout.FORMAT, "set": set_id, "name": name, "content": dict(content)}
    try:
        store.put(layout.part_key(set_id, name), strict_json.dumps(document))
    except ObjectExists as exc:
        raise ObjectExists(f"set {set_id} has the part {name} already; commit it, or open a new set") from exc


def read(store: Store, set_id: str) -> dict[str, dict[str, t.Any]]:
    """Content of every part by name; empty for a set that has none."""
    found = {}
    for one in store.list(layout.parts_folder(set_id)):
        fields = Fields(strict_json.loads(store.read(one.key), one.key), one.key)
        fields.head(TYPE)
        name, whose = fields.text("name"), fields.text("set")
        if (one.key, set_id) != (layout.part_key(set_id, name), whose):
            raise fields.fault("is another part than its path says")
        found[name] = fields.dictionary("content")
        fields.end()
    return found


def delete(store: Store, set_id: str) -> int:
    """Remove all parts; how many there were."""
    found = store.list(layout.parts_folder(set_id))
    for one in found:
        store.delete(one.key)
    return len(found)
