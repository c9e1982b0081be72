# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An untrusted party without a key stores objects at the key of the journal's next entry, or over an entry."""

from __future__ import annotations

import os
import shutil
import typing as t
import uuid

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem, StorageError, TamperedData
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import BucketOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout, slots
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.base import Store
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.schemes import open_store
from scenes.fault_proxy import FaultProxy
from scenes.s3_server import S3Server
from unit.plugins.module_utils._repository.conftest import World

NEXT = layout.entry_key(3)


def junk(world: World) -> None:
    world.path(NEXT).write_bytes(b"junk")


def junk_that_is_large(world: World) -> None:
    world.path(NEXT).write_bytes(b"x" * (17 << 20))


def an_unknown_signer(world: World) -> None:
    """Store an entry signed by a key that the operator does not trust."""
    data = world.path(layout.entry_key(2)).read_bytes()
    world.path(NEXT).write_bytes(data)
    signature = world.signer("stranger").sign(data, layout.NAMESPACE_JOURNAL)
    world.path(layout.entry_signature_key(3, entries.sha256(data))).write_bytes(signature)


def an_older_entry(world: World) -> None:
    """Store an older entry with its valid signature."""
    data = world.path(layout.entry_key(2)).read_bytes()
    world.path(NEXT).write_bytes(data)
    digest = entries.sha256(data)
    shutil.copy(world.path(layout.entry_signature_key(2, digest)), world.path(layout.entry_signature_key(3, digest)))


def a_bad_signature(world: World) -> None:
    junk(world)
    world.path(layout.entry_signature_key(3, entries.sha256(b"junk"))).write_bytes(b"junk")


def a_link(world: World) -> None:
    world.path(NEXT).symlink_to("/etc/passwd")


def a_pipe(world: World) -> None:
    os.mkfifo(world.path(NEXT))


@pytest.mark.mutation
@pytest.mark.parametrize("put", [junk, junk_that_is_large, an_unknown_signer, an_older_entry, a_bad_signature, a_link, a_pipe])
def test_object_without_trusted_signature_at_next_number_keeps_journal_valid(world: World, put: t.Callable[[World], None]) -> None:
    made = world.append()
    put(world)
    journal = world.journal()
    assert [one.sequence for one in journal.entries] == [1, 2] and journal.entries[1] == made
    assert journal.unsigned == (NEXT,)
    with pytest.raises(
        StorageError, match=f"{NEXT} cannot be written: an object exists there that no key of allowed_signers signed; find out"
    ) as caught:
        world.append()
    assert "\n" not in caught.value.msg
    world.path(NEXT).unlink()
    assert world.append().sequence == 3 and world.journal().unsigned == ()


@pytest.mark.mutation
def test_a_number_far_away_ends_nothing(world: World) -> None:
    world.append()
    world.path("journal/9999999999.json").write_bytes(b"junk")
    assert world.journal().unsigned == ("journal/9999999999.json",)
    assert world.append().sequence == 3


@pytest.mark.mutation
def test_call_reads_few_of_many_objects_after_end_of_journal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.append()
    for number in range(3, 303):
        world.path(layout.entry_key(number)).write_bytes(b"junk")
    numbers, real = [], slots.first_signed

    def first_signed(store: Store, number: int, context: slots.Context) -> bytes | None:
        numbers.append(number)
        return real(store, number, context)

    monkeypatch.setattr(slots, "first_signed", first_signed)
    journal = world.journal()
    assert journal.head.sequence == 2 and len(journal.unsigned) == 300
    assert numbers == list(range(3, 3 + slots.SEARCH_LIMIT))


@pytest.mark.mutation
def test_an_altered_entry_with_a_signed_one_behind_it_is_damage(world: World) -> None:
    for _count in range(2):
        world.append()
    world.path(layout.entry_key(2)).write_bytes(b"junk")
    with pytest.raises(TamperedData, match=r"0000000002[.]json has no matching signature"):
        world.journal()
    world.path(layout.entry_key(2)).unlink()
    with pytest.raises(TamperedData, match=r"0000000002[.]json is missing, but the journal goes up to 3"):
        world.journal()


@pytest.fixture
def bucket(world: World, s3: S3Server) -> World:
    """Return the same repository in a bucket with versions."""
    world.store = open_store(f"s3://{s3.shared}/{uuid.uuid4().hex}", BucketOptions(**s3.options()))
    world.create()
    world.append()
    return world


def put(world: World, s3: S3Server, key: str, data: bytes) -> None:
    s3.client.put_object(**world.store.bucket.named(key), Body=data)  # type: ignore[attr-defined]


@pytest.mark.mutation
def test_a_writer_goes_on_over_junk_where_versions_stay(bucket: World, s3: S3Server) -> None:
    put(bucket, s3, NEXT, b"junk")
    assert bucket.journal().unsigned == (NEXT,)
    made = bucket.append()
    assert made.sequence == 3 and bucket.journal().entries[-1] == made and bucket.journal().unsigned == ()
    assert bucket.append().sequence == 4
    put(bucket, s3, NEXT, b"junk again")
    assert [one.sequence for one in bucket.journal().entries] == [1, 2, 3, 4]


@pytest.mark.mutation
def test_first_of_two_writers_over_junk_gets_next_number(bucket: World, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    put(bucket, s3, NEXT, b"junk")
    real, others = type(bucket.store).put_over, []

    def late(store: t.Any, key: str, data: bytes) -> None:
        monkeypatch.setattr(type(bucket.store), "put_over", real)
        others.append(bucket.append("drill", "drill"))
        real(store, key, data)

    monkeypatch.setattr(type(bucket.store), "put_over", late)
    mine = bucket.append()
    assert (others[0].sequence, mine.sequence) == (3, 4)
    found = bucket.journal().entries
    assert [one.kind for one in found] == ["genesis", "checkpoint", "drill", "checkpoint"] and found[2:] == (others[0], mine)


@pytest.mark.mutation
@pytest.mark.parametrize("number", [2, 3])
def test_overwritten_entry_or_signature_does_not_harm_journal(bucket: World, s3: S3Server, number: int) -> None:
    entry = bucket.append()
    entry = bucket.journal().entries[number - 1]
    for key in (layout.entry_key(number), layout.entry_signature_key(number, entry.sha256)):
        put(bucket, s3, key, b"junk")
        s3.client.delete_object(**bucket.store.bucket.named(key))  # type: ignore[attr-defined]
    assert len(bucket.journal().entries) == 3 and bucket.append().sequence == 4


@pytest.mark.mutation
@pytest.mark.parametrize("what", ["entry", "signature"])
def test_object_refused_by_store_does_not_count_as_unsigned(bucket: World, s3: S3Server, s3_proxy: FaultProxy, what: str) -> None:
    """Otherwise a reader accepts a shorter journal as complete, and a writer forks it."""
    last = bucket.journal().entries[-1]
    key = layout.entry_key(2) if what == "entry" else layout.entry_signature_key(2, last.sha256)
    direct = bucket.store
    bucket.store = open_store(direct.location, BucketOptions(**s3.options(s3_endpoint=s3_proxy.endpoint)))
    s3_proxy.add(f"^GET .*{key}", status=400, code="InvalidRequest")
    s3_proxy.add(rf"^GET .*[?&]versions.*prefix=[^&]*{key.replace('/', '(/|%2F)')}", status=400, code="InvalidRequest")
    with pytest.raises(StorageError, match=f"{key}: the store refused"):
        bucket.journal()
    with pytest.raises(StorageError, match=f"{key}: the store refused"):
        bucket.append()
    bucket.store = direct
    assert bucket.journal().entries[-1] == last and len(direct.versions(layout.entry_key(2))) == 1


@pytest.mark.mutation
def test_a_host_that_does_not_know_a_new_key_forks_no_journal(bucket: World) -> None:
    """The backup host has a new key, and another host has the old signer list."""
    known = bucket.allowed.read_text()
    bucket.allowed.write_text(known + bucket.line("stranger").replace("stranger@", "backup@"))
    mine = bucket.append("checkpoint", "stranger", principal="backup@prod")
    newer = bucket.allowed.read_text()
    bucket.allowed.write_text(known)
    assert bucket.journal().unsigned == (NEXT,)
    with pytest.raises(KeyProblem, match=f"{NEXT} is signed by the unknown key SHA256:.*; if .* add it to allowed_signers"):
        bucket.append("drill", "drill")
    bucket.allowed.write_text(newer)
    assert bucket.journal().entries[-1] == mine
    assert bucket.append().sequence == 4


@pytest.mark.no_false_alarm
def test_entry_signed_with_revoked_key_is_overwritten(bucket: World) -> None:
    """The operator has revoked the key."""
    known = bucket.allowed.read_text()
    bucket.allowed.write_text(known + bucket.line("stranger").replace("stranger@", "backup@"))
    bucket.append("checkpoint", "stranger", principal="backup@prod")
    bucket.allowed.write_text(known)
    bucket.revoked.write_text(bucket.public("stranger") + "\n")
    bucket.clock.add(minutes=1)
    assert bucket.append().sequence == 3 and bucket.journal().unsigned == ()
