# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import datetime
import json
import shutil
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupError,
    Busy,
    KeyProblem,
    ObjectExists,
    StorageError,
    TamperedData,
    VersionMismatch,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import journal as journals
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.fields import timestamp
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.base import ObjectStat
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore


def refused(world, kind: type[BackupError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        world.journal()
    assert "\n" not in caught.value.msg and world.store.location in caught.value.msg


def forge(world, sequence: int, change: t.Callable[[dict[str, t.Any]], None], role: str = "backup") -> None:
    """Replace an entry by a changed entry with a valid signature of `role`."""
    path = world.path(layout.entry_key(sequence))
    statement = json.loads(path.read_bytes())
    change(statement)
    data = json.dumps(statement).encode()
    path.write_bytes(data)
    signature = world.signer(role).sign(data, layout.NAMESPACE_JOURNAL)
    world.path(layout.entry_signature_key(sequence, entries.sha256(data))).write_bytes(signature)


@pytest.mark.no_false_alarm
def test_appended_entries_are_read_in_order(world) -> None:
    journal = world.journal()
    made = [
        world.append(journal=journal),
        world.append("drill", "drill", journal=journal),
        world.append("restore", "operator", journal=journal),
    ]
    assert [one.sequence for one in made] == [2, 3, 4]
    again = world.journal()
    assert again.entries == journal.entries and again.entries[1:] == tuple(made)
    assert str(again.head) == f"4-{made[-1].sha256[:16]}"
    assert again.of_kind("drill") == [made[1]]


def test_an_entry_has_the_layout_of_an_in_toto_statement(world) -> None:
    made = world.append(body={"zones": 3}, subjects=[entries.subject("x.json", "ab" * 32)])
    found = json.loads(world.path("journal/0000000002.json").read_bytes())
    assert (found["_type"], found["subject"]) == ("https://in-toto.io/Statement/v1", [{"name": "x.json", "digest": {"sha256": "ab" * 32}}])
    predicate = found["predicate"]
    assert predicate["previous"] == entries.sha256(world.path("journal/0000000001.json").read_bytes())
    assert predicate["time"] == world.time() and predicate["writer"] == {"principal": "backup@prod", "machine": "host-1"}
    assert made.body == predicate["body"] == {"zones": 3} and made.subjects == {"x.json": "ab" * 32}


@pytest.mark.mutation
def test_a_gap_is_found(world) -> None:
    for _count in range(2):
        world.append()
    world.store.delete(layout.entry_key(2))
    refused(world, TamperedData, "journal/0000000002.json is missing, but the journal goes up to 3")


@pytest.mark.mutation
def test_an_entry_without_its_own_signature_is_refused(world) -> None:
    made = world.append()
    world.append()
    world.store.delete(layout.entry_signature_key(2, made.sha256))
    refused(world, TamperedData, "0000000002.json has no matching signature")


@pytest.mark.mutation
def test_altered_bytes_are_found(world) -> None:
    made = world.append()
    world.append()
    path = world.path(layout.entry_key(2))
    data = path.read_bytes().replace(b"host-1", b"host-2")
    path.write_bytes(data)
    refused(world, TamperedData, "has no matching signature")
    signature = world.path(layout.entry_signature_key(2, made.sha256))
    signature.rename(world.path(layout.entry_signature_key(2, entries.sha256(data))))
    refused(world, TamperedData, "0000000002.json does not match its signature by SHA256:")


@pytest.mark.mutation
def test_exchanged_entries_are_found(world) -> None:
    for _count in range(2):
        world.append()
    one, other = world.path(layout.entry_key(2)), world.path(layout.entry_key(3))
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    for sequence, data in ((2, second), (3, first)):
        world.path(layout.entry_signature_key(sequence, entries.sha256(data))).write_bytes(
            world.signer().sign(data, layout.NAMESPACE_JOURNAL)
        )
    assert len(world.journal().entries) == 1 and world.journal().unsigned == (layout.entry_key(2), layout.entry_key(3))


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("where", "value", "kind", "words"),
    [
        ("previous", "0" * 64, TamperedData, "does not follow entry 1-"),
        ("previous", None, TamperedData, "does not follow entry 1-"),
        ("deployment", "test", TamperedData, "belongs to deployment 'test', not to prod"),
        ("format", 3, VersionMismatch, "has format 3"),
        ("kind", "party", TamperedData, "unknown kind 'party'"),
        ("kind", "genesis", TamperedData, "only the first entry is of kind genesis"),
        ("kind", "drill", KeyProblem, "is an entry of kind drill signed as 'backup@prod'; only drill@prod may sign this kind"),
        ("writer", {"principal": "drill@prod", "machine": "x"}, KeyProblem, "signed as 'drill@prod'; only backup@prod"),
        ("writer", {"principal": "backup@prod"}, TamperedData, "has no machine"),
        ("time", {"host": None, "database": None, "store": None}, TamperedData, "invalid host"),
        ("body", [], TamperedData, "invalid body"),
        ("more", 1, TamperedData, "unknown field 'more'"),
    ],
)
def test_signed_content_that_does_not_fit_is_refused(world, where: str, value: t.Any, kind: type[BackupError], words: str) -> None:
    world.append()
    forge(world, 2, lambda statement: statement["predicate"].update({where: value}))
    refused(world, kind, words)


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        ("_type", "x", "is not a journal entry"),
        ("predicateType", "x", "is not a journal entry"),
        ("subject", [], "has no subject"),
        ("subject", [entries.subject("x", "0" * 64)] * 2, "names a subject twice"),
        ("subject", [{"name": "x", "digest": {"sha512": "0"}}], "has no sha256"),
        ("more", 1, "unknown field 'more'"),
    ],
)
def test_a_statement_of_another_layout_is_refused(world, where: str, value: t.Any, words: str) -> None:
    world.append()
    forge(world, 2, lambda statement: statement.update({where: value}))
    refused(world, TamperedData, words)


@pytest.mark.mutation
def test_first_entry_that_is_not_genesis_is_refused(world) -> None:
    forge(world, 1, lambda statement: statement["predicate"].update({"kind": "checkpoint"}))
    refused(world, TamperedData, "only the first entry is of kind genesis")


@pytest.mark.mutation
def test_duplicate_keys_are_refused_although_signed(world) -> None:
    world.append()
    path = world.path(layout.entry_key(2))
    data = path.read_bytes().replace(b'"kind": "checkpoint"', b'"kind": "checkpoint", "kind": "set"')
    path.write_bytes(data)
    world.path(layout.entry_signature_key(2, entries.sha256(data))).write_bytes(world.signer().sign(data, layout.NAMESPACE_JOURNAL))
    refused(world, TamperedData, "duplicate key 'kind'")


@pytest.mark.mutation
def test_an_entry_of_another_repository_is_refused(world, keys: Path, tmp_path: Path) -> None:
    other = type(world)(tmp_path, keys)
    other.store = LocalStore(str(tmp_path / "other"))
    other.create()
    made = other.append()
    for key in (layout.entry_key(2), layout.entry_signature_key(2, made.sha256)):
        shutil.copy(other.path(key), world.path(key))
    assert len(world.journal().entries) == 1 and world.journal().unsigned == (layout.entry_key(2),)


@pytest.mark.mutation
def test_a_signature_for_another_namespace_is_refused(world) -> None:
    made = world.append()
    world.append()
    path = world.path(layout.entry_key(2))
    world.path(layout.entry_signature_key(2, made.sha256)).write_bytes(world.signer().sign(path.read_bytes(), layout.NAMESPACE_SET))
    refused(world, TamperedData, "for 'set@caracal-ops', not for journal@caracal-ops")


@pytest.mark.mutation
def test_an_unknown_a_revoked_and_an_expired_signer_are_refused(world) -> None:
    world.append()
    good = world.allowed.read_text()
    world.allowed.write_text(good.replace(world.public("backup"), world.public("stranger")))
    refused_words(world, "which is not in")
    world.allowed.write_text(good.replace("backup@prod ", 'backup@prod valid-before="20260101Z"'))
    refused_words(world, "not valid at 2026-11-25T02:00:00Z")
    world.allowed.write_text(good)
    world.revoked.write_text(world.public("backup") + "\n")
    refused_words(world, "is revoked")


def refused_words(world, words: str) -> None:
    with pytest.raises(KeyProblem, match=words):
        world.journal()


@pytest.mark.no_false_alarm
def test_entry_by_retired_signer_within_its_validity_is_trusted(world) -> None:
    world.append()
    world.clock.add(days=365)
    world.allowed.write_text(world.allowed.read_text().replace("backup@prod ", 'backup@prod valid-before="20261231Z"'))
    assert len(world.journal().entries) == 2


@pytest.mark.mutation
def test_a_retired_signer_cannot_date_its_entry_back(world) -> None:
    world.clock.add(days=60)
    world.append("drill", "drill")
    before_retirement = timestamp(world.clock.now - datetime.timedelta(days=50))
    world.append(time={"host": before_retirement, "database": None, "store": None})
    world.allowed.write_text(world.allowed.read_text().replace("backup@prod ", 'backup@prod valid-before="20261231Z"'))
    refused_words(world, "journal/0000000003.json is signed by .* not valid at 2027-01-24")


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("kind", "role", "words"),
    [
        ("set", "drill", "only backup@prod may sign this kind"),
        ("drill", "backup", "only drill@prod may sign this kind"),
        ("restore", "drill", "only operator@prod may sign this kind"),
        ("prune", "backup", "only prune@prod may sign this kind"),
    ],
)
def test_signer_not_allowed_for_kind_writes_nothing(world, kind: str, role: str, words: str) -> None:
    before = world.store.list("")
    with pytest.raises(KeyProblem, match=words):
        world.append(kind, role)
    assert world.store.list("") == before


@pytest.mark.mutation
def test_signer_untrusted_by_readers_writes_nothing(world) -> None:
    before = world.store.list("")
    with pytest.raises(KeyProblem, match="which is not in"):
        world.append(role="stranger", principal="backup@prod")
    with pytest.raises(KeyProblem, match="which is not a key of backup@prod"):
        world.append(role="drill", principal="backup@prod")
    assert world.store.list("") == before


@pytest.mark.mutation
def test_the_loser_reads_again_and_appends_after_the_winner(world) -> None:
    mine, theirs = world.journal(), world.journal()
    world.append("drill", "drill", journal=theirs)
    made = world.append(journal=mine)
    assert made.sequence == 3 and [one.kind for one in mine.entries] == ["genesis", "drill", "checkpoint"]
    assert world.journal().entries == mine.entries


@pytest.mark.mutation
def test_many_appenders_at_once_make_one_chain(world) -> None:
    failed: list[BaseException] = []

    def work() -> None:
        try:
            journal = world.journal()
            for _count in range(3):
                world.append(journal=journal)
        except BaseException as exc:
            failed.append(exc)
            raise

    threads = [threading.Thread(target=work) for _count in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [one.sequence for one in world.journal().entries] == list(range(1, 17))


class TakenStore(LocalStore):
    """A store in which another writer is always faster."""

    def put(self, key: str, data: bytes) -> ObjectStat:
        if key.endswith(".json"):
            raise ObjectExists(f"{key} exists already")
        return super().put(key, data)


@pytest.mark.mutation
def test_writer_that_always_loses_gives_up(world) -> None:
    repository = dataclasses.replace(world.load(), store=TakenStore(world.store.location))
    journal = world.journal()
    with pytest.raises(Busy, match="20 times in a row; try again"):
        journals.append(
            repository, journal, world.signer(), "checkpoint", [entries.subject("x", "0" * 64)], {}, time=world.time(), machine="m"
        )
    assert len(journal.entries) == 1


@pytest.mark.mutation
def test_planted_signature_is_reported(world) -> None:
    data = entries.to_bytes(
        entries.Draft("checkpoint", [entries.subject("x", "0" * 64)], {}, world.time(), "host-1"),
        world.load().id,
        "prod",
        2,
        world.journal().head.sha256,
        "backup@prod",
    )
    world.store.put(layout.entry_signature_key(2, entries.sha256(data)), b"planted")
    with pytest.raises(StorageError, match="exists with other content"):
        world.append()


@pytest.mark.mutation
def test_an_empty_journal_is_refused(world) -> None:
    repository = world.load()
    world.store.delete(layout.entry_key(1))
    with pytest.raises(TamperedData, match="has no entry"):
        journals.read(repository, world.verifier)


@pytest.mark.mutation
def test_a_journal_that_shrinks_under_us_is_found(world) -> None:
    world.append()
    journal = world.journal()
    world.store.delete(layout.entry_key(2))
    with pytest.raises(TamperedData, match="was rolled back: it ends at entry 1, but had entry 2 before"):
        journals.refresh(world.load(), journal)


def test_the_source_clusters_are_known(world) -> None:
    world.commit(1)
    world.commit(2)
    assert world.journal().system_identifiers() == {"741", "742"}
