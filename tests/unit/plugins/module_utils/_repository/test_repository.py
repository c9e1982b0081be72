# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupError,
    KeyProblem,
    ObjectExists,
    ObjectMissing,
    OptionError,
    StorageError,
    TamperedData,
    VersionMismatch,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import repository as repositories


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("role", ["backup", "operator"])
def test_a_repository_is_made_once_and_loaded(empty_world, role: str) -> None:
    made = empty_world.create(role=role)
    assert made == empty_world.load()
    assert len(made.id) == 32 and made.deployment == "prod" and made.created == empty_world.clock.now
    journal = empty_world.journal()
    assert [(one.sequence, one.kind, one.principal, one.machine) for one in journal.entries] == [(1, "genesis", f"{role}@prod", "host-1")]
    assert str(journal.head) == f"1-{journal.head.sha256[:16]}"
    with pytest.raises(ObjectExists, match="already contains a repository"):
        empty_world.create(role=role)


@pytest.mark.mutation
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("dies_at", [1, 2, 3, 4])
def test_a_creation_that_was_interrupted_is_completed(empty_world, dying, dies_at: int, after: bool) -> None:
    whole = empty_world.store
    empty_world.store = dying(whole.location, dies_at, after)
    with pytest.raises(StorageError, match="killed"):
        empty_world.create()
    empty_world.store = whole
    if (dies_at, after) == (4, True):
        assert empty_world.load()
        return
    with pytest.raises(ObjectMissing, match="create"):
        empty_world.load()
    empty_world.clock.add(minutes=5)
    assert empty_world.create() == empty_world.load()
    assert len(empty_world.journal().entries) == 1


@pytest.mark.mutation
def test_a_creation_that_another_began_is_left_to_them(empty_world, dying) -> None:
    whole = empty_world.store
    empty_world.store = dying(whole.location, 1, True)
    with pytest.raises(StorageError):
        empty_world.create(role="operator")
    empty_world.store = whole
    with pytest.raises(KeyProblem, match="operator@prod began to create"):
        empty_world.create()
    assert empty_world.create(role="operator") == empty_world.load()


@pytest.mark.mutation
@pytest.mark.parametrize("role", ["drill", "prune"])
def test_role_not_allowed_to_create_repository_creates_nothing(empty_world, role: str) -> None:
    with pytest.raises(KeyProblem, match=f"{role}@prod may not create a repository"):
        empty_world.create(role=role)
    assert empty_world.store.list("") == []


@pytest.mark.mutation
def test_signer_untrusted_by_readers_creates_no_repository(empty_world) -> None:
    empty_world.allowed.write_text(empty_world.line("operator"))
    with pytest.raises(KeyProblem, match="is not in"):
        empty_world.create()
    assert empty_world.store.list("") == []


def refused(world, kind: type[BackupError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        world.load()
    assert "\n" not in caught.value.msg and world.store.location in caught.value.msg


@pytest.mark.mutation
def test_location_without_repository_is_reported(empty_world) -> None:
    refused(empty_world, ObjectMissing, r"contains no repository; check the path, or create one \(create_repository\)")


@pytest.mark.mutation
@pytest.mark.parametrize("key", ["repository.json.sig", "journal/0000000001.json"])
def test_a_repository_without_its_proof_is_refused(world, key: str) -> None:
    world.store.delete(key)
    refused(world, ObjectMissing, f"has no {key}")


@pytest.mark.mutation
def test_another_deployment_is_refused(world) -> None:
    with pytest.raises(OptionError, match="belongs to deployment prod, not to test"):
        repositories.load(world.store, world.verifier, "test")
    assert repositories.load(world.store, world.verifier).deployment == "prod"


def rewrite(world, role: str = "backup", **changes: t.Any) -> None:
    """Store a changed repository.json with a valid signature."""
    path = world.path(layout.REPOSITORY)
    data = json.dumps({**json.loads(path.read_bytes()), **changes}).encode()
    path.write_bytes(data)
    world.path(layout.REPOSITORY_SIGNATURE).write_bytes(world.signer(role).sign(data, layout.NAMESPACE_REPOSITORY))


@pytest.mark.mutation
def test_altered_bytes_are_found(world) -> None:
    path = world.path(layout.REPOSITORY)
    path.write_bytes(path.read_bytes().replace(b"prod", b"test"))
    refused(world, TamperedData, "does not match its signature")


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"format": 2}, VersionMismatch, "has format 2"),
        ({"type": "backup-set"}, TamperedData, "has type 'backup-set', not repository"),
        ({"repository": "x"}, TamperedData, "invalid repository"),
        ({"more": 1}, TamperedData, "unknown field 'more'"),
        ({"writer": {"principal": "drill@prod", "machine": "x"}}, KeyProblem, "signed as drill@prod, which may not create a repository"),
        ({"writer": {"principal": "operator@prod", "machine": "x"}}, KeyProblem, "not a key of operator@prod"),
    ],
)
def test_signed_content_that_does_not_fit_is_refused(world, changes: dict[str, t.Any], kind: type[BackupError], words: str) -> None:
    rewrite(world, **changes)
    refused(world, kind, words)


@pytest.mark.mutation
def test_an_exchanged_identity_does_not_fit_its_journal(world) -> None:
    rewrite(world, repository="0" * 32)
    with pytest.raises(TamperedData, match="has no entry"):
        world.journal()
    other = json.loads(world.path(layout.REPOSITORY).read_bytes())
    assert other["repository"] == "0" * 32


@pytest.mark.mutation
def test_the_journal_names_the_very_identity(world) -> None:
    rewrite(world, created="2026-11-25T02:00:00.000001Z")
    with pytest.raises(TamperedData, match=r"belongs to another repository.json"):
        world.journal()
