# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    KeyProblem,
    ObjectExists,
    ObjectMissing,
    OptionError,
    StorageError,
    TamperedData,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import commit as commits
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout, parts
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.base import ObjectStat
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore

# RECOVERY.md, signature, manifest, journal signature, entry
PUTS = 5


class WritingStore(LocalStore):
    """Records the keys of all puts, in order."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.keys: list[str] = []

    def put(self, key: str, data: bytes) -> ObjectStat:
        self.keys.append(key)
        return super().put(key, data)


@pytest.mark.no_false_alarm
def test_a_set_is_written_in_the_order_that_makes_it_whole_or_nothing(world) -> None:
    store = WritingStore(world.store.location)
    parts.write(world.store, world.set_id(), "postgres", {}, None)
    made = world.commit(store=store)
    set_id = world.set_id()
    assert store.keys == [
        layout.recovery_key(set_id),
        layout.backup_signature_key(set_id),
        layout.manifest_key(set_id),
        layout.entry_signature_key(2, made.sha256),
        layout.entry_key(2),
    ]
    assert made.kind == "set" and made.body["set"] == set_id
    assert parts.read_unsigned(world.store, set_id) == {}
    assert world.catalog().open(set_id).record.entry == made


@pytest.mark.no_false_alarm
def test_the_same_again_changes_nothing(world) -> None:
    made = world.commit()
    before = world.store.list("")
    world.clock.add(hours=1)
    journal = world.journal()
    parts.write(world.store, world.set_id(), "late", {}, None)
    assert world.commit(journal=journal) == made
    assert journal.head == world.journal().head and world.store.list("") == before


@pytest.mark.mutation
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("dies_at", range(1, PUTS + 1))
def test_killed_commit_leaves_no_partial_set_and_retry_commits_it(world, dying, dies_at: int, after: bool) -> None:
    world.manifest()
    parts.write(world.store, world.set_id(), "postgres", {"a": 1}, None)
    with pytest.raises(StorageError, match="killed"):
        world.commit(store=dying(world.store.location, dies_at, after))
    committed = (dies_at, after) == (PUTS, True)
    assert [one.set_id for one in world.catalog().sets()] == ([world.set_id()] if committed else [])
    if not committed:
        with pytest.raises(ObjectMissing, match="it was not committed"):
            world.catalog().open(world.set_id())
    assert parts.read_unsigned(world.store, world.set_id()) == {"postgres": {"a": 1}}
    world.clock.add(minutes=10)
    world.commit()
    assert world.catalog().open(world.set_id()).manifest.set_id == world.set_id()
    assert len(world.journal().entries) == 2 and parts.read_unsigned(world.store, world.set_id()) == {}


@pytest.mark.mutation
@pytest.mark.parametrize("dies_at", [1, 2, 3, 4, 5])
def test_after_a_kill_nothing_else_takes_the_id(world, dying, dies_at: int) -> None:
    with pytest.raises(StorageError, match="killed"):
        world.commit(store=dying(world.store.location, dies_at, True))
    if dies_at == 1:
        manifest, recovery = world.manifest()
        other = recovery + b"more"
        changed = dataclasses.replace(manifest, artifacts=(*manifest.artifacts[:-1], commits.artifacts.recovery(world.set_id(), other)))
        with pytest.raises(ObjectExists, match=r"RECOVERY.md exists with other content"):
            commits.commit(
                world.load(), world.journal(), world.signer(), changed, other, body={"source": []}, time=world.time(), machine="m"
            )
        return
    with pytest.raises(ObjectExists, match=r"other content"):
        world.commit(release="v1.0.1")


@pytest.mark.mutation
def test_a_committed_id_never_changes(world) -> None:
    world.commit()
    before = world.store.list("")
    with pytest.raises(ObjectExists, match="is committed with other content and cannot be changed"):
        world.commit(release="v1.0.1")
    assert world.store.list("") == before


@pytest.mark.mutation
def test_an_artifact_that_is_missing_or_short_ends_the_commit_before_it_begins(world) -> None:
    manifest, _recovery = world.manifest()
    dump = world.path(manifest.artifacts[0].path)
    short = dump.read_bytes()[:-1]
    dump.write_bytes(short)
    with pytest.raises(TamperedData, match=f"{dump} has {len(short)} bytes instead of"):
        world.commit(artifacts=manifest.artifacts)
    dump.unlink()
    repository, journal = world.load(), world.journal()
    with pytest.raises(ObjectMissing, match=f"{dump} is missing"):
        commits.commit(repository, journal, world.signer(), manifest, _recovery, body={}, time=world.time(), machine="m")
    assert world.store.stat(layout.recovery_key(world.set_id())) is None and len(world.journal().entries) == 1


@pytest.mark.mutation
def test_mismatched_signer_recovery_file_or_repository_is_not_signed(world) -> None:
    manifest, recovery = world.manifest()
    before = world.store.list("")

    def commit(role: str = "backup", content: bytes = recovery, **changes: str) -> None:
        changed = dataclasses.replace(manifest, **changes)
        signer = world.signer(role)
        commits.commit(world.load(), world.journal(), signer, changed, content, body={}, time=world.time(), machine="m")

    with pytest.raises(KeyProblem, match="a set must be signed by backup@prod, not by drill@prod"):
        commit("drill")
    with pytest.raises(TamperedData, match=r"RECOVERY.md of set .* does not match its manifest"):
        commit(content=recovery + b" ")
    for changes in ({"repository": "0" * 32}, {"deployment": "test"}):
        with pytest.raises(OptionError, match="belongs to another repository"):
            commit(**changes)
    assert world.store.list("") == before


@pytest.mark.mutation
def test_signer_untrusted_by_readers_commits_nothing(world) -> None:
    journal = world.journal()
    world.manifest()
    before = world.store.list("")
    journal.verifier = type(journal.verifier).load(str(world.allowed), str(world.revoked), world.clock)
    repository, (manifest, recovery) = world.load(), world.manifest()
    unknown = world.signer("stranger", "backup@prod")
    with pytest.raises(KeyProblem, match="which is not in"):
        commits.commit(repository, journal, unknown, manifest, recovery, body={}, time=world.time(), machine="m")
    assert world.store.list("") == before
