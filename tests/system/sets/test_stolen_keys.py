# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An attacker has one of the keys and signs entries with it that no module of ours would sign."""

from __future__ import annotations

import json
import typing as t
import uuid
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import strict_json
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, KeyProblem, StorageError
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from scenes.old_repository import OldRepository
from scenes.s3_server import S3Server

OF_KEYS = [(kind, role) for kind, roles in entries.MAY_SIGN.items() for role in roles if kind not in (entries.GENESIS, entries.CORRECTION)]


def readers(old: OldRepository) -> t.Iterator[t.Callable[[], t.Any]]:
    yield lambda: old.call("backup_set_verify", "operator", set_id=old.made[0], require_valid=False)
    yield lambda: old.call("backup_set_info", "operator")
    yield lambda: old.call("backup_prune", "prune", keep_last=2, check_mode=True)
    yield lambda: old.call("repository_verify", "drill", signing_key=None, require_valid=False)
    yield lambda: old.call("repository_copy", "drill", destination=str(old.folder / "copy"))


@pytest.mark.mutation
@pytest.mark.parametrize(("kind", "role"), OF_KEYS)
def test_an_invalid_entry_can_be_revoked_as_the_error_suggests(old: OldRepository, kind: str, role: str) -> None:
    for name in ("operator", "prune", "drill"):
        old.see(name)
    made = old.append(kind, role, body={"nonsense": 1})
    named = f"{made.sequence}-{made.sha256[:16]}"
    messages = [words for read in readers(old) if (words := wrong(read))]
    assert all(f"journal_correct (entries: {named}, what: everything)" in words for words in messages)
    old.call("journal_correct", "operator", entries=[named], what="everything", reason="a key was stolen")
    assert [wrong(read) for read in readers(old)] == [""] * 5


def wrong(read: t.Callable[[], t.Any]) -> str:
    try:
        read()
    except BackupError as exc:
        return exc.msg
    return ""


@pytest.fixture
def bucket(s3: S3Server, role_keys: Path, tmp_path: Path) -> OldRepository:
    made = OldRepository(tmp_path, role_keys, 4, f"s3://{s3.shared}/{uuid.uuid4().hex}", s3.options())
    made.add(1)
    return made


def signed_at_the_next_number(old: OldRepository, role: str, **predicate: t.Any) -> str:
    """Sign an entry with that key; return how a message names it."""
    journal = old.journal()
    number = journal.head.sequence + 1
    draft = entries.Draft("drill", [entries.subject("x", "0" * 64)], {}, old.time(), "host-1")
    made = json.loads(entries.to_bytes(draft, journal.repository_id, "prod", number, journal.head.sha256, "drill@prod"))
    made["predicate"].update(predicate)
    data = strict_json.dumps(made)
    old.store.put(layout.entry_signature_key(number, entries.sha256(data)), old.signer(role).sign(data, layout.NAMESPACE_JOURNAL))
    old.store.put(layout.entry_key(number), data)
    return f"{number}-{entries.sha256(data)[:16]}"


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("role", "predicate"),
    [
        ("drill", {"previous": "0" * 64}),
        ("drill", {"more": 1}),
        ("drill", {"kind": "set"}),
        ("prune", {"kind": "hold", "writer": {"principal": "operator@prod", "machine": "x"}}),
    ],
)
def test_operator_can_revoke_an_unacceptable_entry_in_a_bucket(bucket: OldRepository, role: str, predicate: t.Any) -> None:
    """In a bucket with Object Lock the entry cannot be removed, and no reader skips it."""
    named = signed_at_the_next_number(bucket, role, **predicate)
    for name in ("drill", "operator"):
        with pytest.raises(BackupError, match=rf"journal_correct \(entries: {named}"):
            bucket.call("backup_set_info", name)
    for changed in (True, False):
        own = {"entries": [named], "what": "everything", "reason": "a key was stolen"}
        assert bucket.call("journal_correct", "operator", **own)["changed"] == changed
    made = bucket.add(1)
    assert [one["set_id"] for one in bucket.call("backup_set_info", "drill")["sets"]][-1] == made
    assert bucket.call("repository_verify", "drill", signing_key=None, require_valid=False)["verdict"] != "fail"
    copy = bucket.call("repository_copy", "drill", destination=str(bucket.folder / "copy"))
    assert not copy["faults"]


@pytest.mark.mutation
def test_an_unacceptable_entry_in_a_directory_must_be_moved(old: OldRepository) -> None:
    named = signed_at_the_next_number(old, "drill", previous="0" * 64)
    with pytest.raises(StorageError, match=r"cannot be written: an object exists there .* move it away"):
        old.call("journal_correct", "operator", entries=[named], what="everything", reason="a key was stolen")
    old.path(layout.entry_key(int(named.partition("-")[0]))).unlink()
    assert old.call("backup_set_info", "drill")["sets"]


@pytest.mark.mutation
def test_message_names_how_to_revoke_an_entry_of_a_retired_key(old: OldRepository) -> None:
    old.append("drill", "drill", body={})
    old.allowed.write_text(old.allowed.read_text().replace("drill@prod ", 'drill@prod valid-before="20200101Z"'))
    with pytest.raises(KeyProblem, match=r"was not valid at .* journal_correct \(entries: [0-9]+-[0-9a-f]{16}, what: everything\)"):
        old.call("backup_set_info", "operator")
