# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shutil

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import ObjectExists, TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout, parts

SET = "20261125T020000Z-k3f9"
OTHER = "20261125T020000Z-aaaa"


def test_parts_are_kept_until_they_are_deleted(world) -> None:
    assert parts.read(world.store, SET, world.signer()) == {}
    parts.write(world.store, SET, "postgres", {"artifacts": [1]}, world.signer())
    parts.write(world.store, SET, "redis", {}, world.signer())
    assert parts.read(world.store, SET, world.signer()) == {"postgres": {"artifacts": [1]}, "redis": {}}
    assert parts.delete(world.store, SET) == 2
    assert parts.read(world.store, SET, world.signer()) == {} and parts.delete(world.store, SET) == 0


@pytest.mark.mutation
def test_a_part_is_written_once(world) -> None:
    parts.write(world.store, SET, "postgres", {"a": 1}, world.signer())
    with pytest.raises(ObjectExists, match=f"set {SET} already has the part postgres"):
        parts.write(world.store, SET, "postgres", {"a": 1}, world.signer())


@pytest.mark.mutation
def test_a_part_of_another_set_or_name_is_refused(world) -> None:
    parts.write(world.store, OTHER, "postgres", {}, world.signer())
    world.path(layout.parts_folder(SET)).mkdir(parents=True)
    for target in (layout.part_key(SET, "postgres"), layout.part_key(OTHER, "redis")):
        shutil.copy(world.path(layout.part_key(OTHER, "postgres")), world.path(target))
    for set_id in (SET, OTHER):
        with pytest.raises(TamperedData, match="does not match its path"):
            parts.read(world.store, set_id, world.signer())


@pytest.mark.mutation
def test_a_part_with_duplicate_keys_is_refused(world) -> None:
    world.store.put(layout.part_key(SET, "x"), b'{"type":"set-part","type":"set-part"}')
    with pytest.raises(TamperedData, match="duplicate key 'type'"):
        parts.read(world.store, SET, world.signer())
