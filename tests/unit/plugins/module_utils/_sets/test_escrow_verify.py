# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pyrage
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import recipients as age
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem, ObjectMissing
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import decisions, layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from scenes import scene as scenes
from scenes.old_repository import OldRepository
from scenes.scene import Result, tree


def verify(old: OldRepository, **own: t.Any) -> Result:
    return old.call("escrow_verify", "operator", **own)


@pytest.mark.no_false_alarm
def test_an_identity_that_opens_everything_is_entered(old: OldRepository) -> None:
    before = tree(Path(old.store.location))
    predicted = verify(old, check_mode=True)
    assert tree(Path(old.store.location)) == before and predicted["changed"] and predicted["proved"] == [old.recipient.fingerprint]
    done = verify(old)
    assert {**done, "journal_head": "", "checks": []} == {**predicted, "journal_head": "", "checks": []}
    assert {one["id"]: one["verdict"] for one in done["checks"] if one["required"]} == {
        "escrow.databases": "pass",
        "escrow.identities": "pass",
        "escrow.secrets": "pass",
    }
    (entry,) = old.journal().of_kind(entries.ESCROW)
    assert decisions.escrow(entry) == decisions.Escrow(old.made[-1], (old.recipient.fingerprint,), done["objects"])
    assert done["objects"] == 5 and decisions.escrows(old.journal().entries) == {old.recipient.fingerprint: entry}


def test_without_a_signing_key_nothing_is_entered(old: OldRepository) -> None:
    before = tree(Path(old.store.location))
    result = verify(old, signing_key=None)
    assert result["verdict"] == "pass" and not result["changed"] and tree(Path(old.store.location)) == before


def test_only_the_headers_are_read(old: OldRepository) -> None:
    """Other checks find a damaged body."""
    path = old.path(layout.dump_key(old.made[-1], "caracal"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert verify(old)["verdict"] == "pass"


@pytest.mark.mutation
def test_an_identity_that_does_not_open_it_fails(old: OldRepository) -> None:
    other = old.new_identity(old.folder / "other")
    result = verify(old, identity_files=[str(old.identity), str(old.folder / "other")])
    assert result["failed"] and other.fingerprint in result["msg"] and "is encrypted for" in result["msg"]
    assert result["proved"] == [old.recipient.fingerprint], "the other one is proved all the same"
    (entry,) = old.journal().of_kind(entries.ESCROW)
    assert decisions.escrow(entry).recipients == (old.recipient.fingerprint,)
    alone = verify(old, identity_files=[str(old.folder / "other")], require_valid=False)
    assert "failed" not in alone and alone["verdict"] == "fail" and alone["proved"] == []
    assert f"give the identity of {old.recipient.fingerprint}" in next(
        one["message"] for one in alone["checks"] if one["id"] == "escrow.secrets"
    )
    assert len(old.journal().of_kind(entries.ESCROW)) == 1


def classes(old: OldRepository) -> Path:
    """Create another set with secrets sealed to a separate identity, and return the identity's file."""
    path, common = old.folder / "secrets_identity", old.recipient
    own = old.new_identity(path)
    plain = old.sealed

    def sealed(key: str, kind: str, data: bytes, **more: t.Any) -> t.Any:
        old.recipient = own if kind == "secrets" else common
        return plain(key, kind, data, **more)

    old.sealed = sealed  # type: ignore[method-assign]
    old.add(0.1, share=False)
    old.recipient = common
    return path


@pytest.mark.no_false_alarm
def test_identities_of_two_classes_open_a_set_together(old: OldRepository) -> None:
    path = classes(old)
    result = verify(old, identity_files=[str(old.identity), str(path)])
    assert result["verdict"] == "pass" and len(result["proved"]) == 2, result["checks"]
    assert len(decisions.escrows(old.journal().entries)) == 2


@pytest.mark.mutation
def test_the_identity_of_one_class_alone_does_not_open_a_set(old: OldRepository) -> None:
    classes(old)
    result = verify(old)
    assert result["failed"] and result["proved"] == [old.recipient.fingerprint], "it opens what is sealed to it"
    assert {one["id"]: one["verdict"] for one in result["checks"] if one["required"]} == {
        "escrow.databases": "pass",
        "escrow.identities": "pass",
        "escrow.secrets": "fail",
    }


@pytest.mark.mutation
def test_object_sealed_to_another_recipient_fails(old: OldRepository) -> None:
    """It has the right size, but the manifest names another recipient."""
    key = layout.secrets_key("0" * 16, old.made[-1])
    path = old.path(key)
    unknown = pyrage.x25519.Identity.generate().to_public()
    size = path.stat().st_size
    # A header has a random part, also in its length.
    swapped = next(data for data in (pyrage.encrypt(b"", [unknown]) for _attempt in range(10_000)) if len(data) <= size)
    path.write_bytes(swapped.ljust(size, b"\0"))
    result = verify(old)
    assert result["failed"] and not result["proved"] and key in result["msg"] and "but cannot decrypt it" in result["msg"]
    assert old.journal().of_kind(entries.ESCROW) == []


@pytest.mark.mutation
@pytest.mark.parametrize("data", [b"", b"no age file at all, but long enough to be one for sure"])
def test_object_without_age_header_fails(old: OldRepository, data: bytes) -> None:
    path = old.path(layout.inventory_key(old.made[-1]))
    path.write_bytes(data.ljust(path.stat().st_size, b"\0"))
    result = verify(old)
    assert result["failed"] and "does not begin with an age header" in result["msg"] and not result["proved"]


def test_ssh_identity_is_identified_by_its_public_key(old: OldRepository) -> None:
    key = old.folder / "ssh_identity"
    scenes.new_ssh_key(key)
    old.recipient = age.parse(key.with_suffix(".pub").read_text(), "test")
    old.add(0.1, share=False)
    result = verify(old, identity_files=[str(key)])
    assert result["proved"] == [old.recipient.fingerprint]


def test_missing_identity_key_or_object_is_refused(old: OldRepository) -> None:
    old.see("operator")
    absent = str(old.folder / "absent")
    old.refused(KeyProblem, absent, call=lambda check_mode: verify(old, check_mode=check_mode, identity_files=[absent]))
    key = str(old.keys / "drill")
    old.refused(KeyProblem, key, call=lambda check_mode: verify(old, check_mode=check_mode, signing_key=key))
    old.path(layout.inventory_key(old.made[-1])).unlink()
    old.refused(ObjectMissing, "inventory", call=lambda check_mode: verify(old, check_mode=check_mode))
