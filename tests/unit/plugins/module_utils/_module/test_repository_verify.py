# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._backupset import decisions, layout, parts
from ansible_collections.caracal_ops.backup.plugins.module_utils._backupset import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem, OptionError
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage import s3_prepare
from unit.plugins.module_utils._module.old_repository import HOUR, OldRepository
from unit.plugins.module_utils._module.scene import Result, tree


def verify(old: OldRepository, **own: t.Any) -> Result:
    return old.call("repository_verify", "drill", **{"identity_files": [str(old.identity)], "signing_key": None, **own})


def failed(result: Result) -> list[str]:
    return [one["id"] for one in result["checks"] if one["verdict"] == "fail"]


@pytest.mark.no_false_alarm
def test_a_whole_repository_passes_also_when_it_was_pruned(old: OldRepository) -> None:
    old.see("drill")
    before = tree(Path(old.store.location))
    for _pruned in (False, True):
        result = verify(old)
        assert result["verdict"] == "pass" and not result["changed"] and result["sets"] == len(old.sets())
        verdicts = {one["id"]: one["verdict"] for one in result["checks"] if one["verdict"] != "not_applicable"}
        assert verdicts == dict.fromkeys(
            (
                *("journal.chain", "journal.freshness", "repository.manifests", "set.objects", "repository.evidence"),
                *("repository.decryptable", "repository.orphans", "repository.coverage"),
            ),
            "pass",
        )
        named = {one.path for set_id in old.sets() for one in old.manifest_of(set_id).artifacts}
        assert result["objects"] == len(named), "a shared object is read once"
        old.prune()
    assert tree(Path(old.store.location)) != before


@pytest.mark.mutation
def test_every_object_that_is_altered_is_found_and_its_sets_are_named(old: OldRepository) -> None:
    old.prune()
    for one in old.store.list(""):
        if one.key.startswith("journal/") or one.key.startswith("repository.json"):
            continue
        path = old.path(one.key)
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        result = verify(old, identity_files=[])
        path.write_bytes(data)
        # A signature is told by what it signs.
        told = one.key.replace("signatures/backup.sig", "manifest.json")
        assert result["failed"] and told in str(result["checks"]), one.key
        users = {name for name in old.sets() if one.key in {artifact.path for artifact in old.manifest_of(name).artifacts}}
        own = {name for name in old.sets() if one.key.startswith(f"{layout.set_folder(name)}/")}
        assert set(result["failed_sets"]) == users | own, one.key
    assert verify(old)["verdict"] == "pass"


@pytest.mark.mutation
def test_what_is_gone_is_found(old: OldRepository) -> None:
    for key, check in (
        (layout.inventory_key(old.made[0]), "set.objects"),
        (layout.manifest_key(old.made[1]), "repository.manifests"),
        (layout.recovery_key(old.made[2]), "repository.manifests"),
    ):
        path = old.path(key)
        data = path.read_bytes()
        path.unlink()
        assert check in failed(verify(old, parts=5, part=1)), "sizes and manifests are looked at in every part"
        path.write_bytes(data)


@pytest.mark.mutation
def test_an_identity_that_does_not_open_all_fails(old: OldRepository) -> None:
    other = old.folder / "other"
    old.new_identity(other)
    result = verify(old, identity_files=[str(other)])
    assert set(failed(result)) == {"repository.decryptable"} and result["failed_sets"] == []
    assert verify(old, identity_files=[str(other), str(old.identity)])["verdict"] == "pass"
    unproven = [one for one in verify(old, identity_files=[])["checks"] if one["id"] == "repository.decryptable"]
    assert [one["verdict"] for one in unproven] == ["unproven"]


def test_as_many_runs_as_there_are_parts_read_everything_and_the_journal_remembers(old: OldRepository) -> None:
    key, total = str(old.keys / "drill"), 0
    for number in range(1, 5):
        predicted = verify(old, parts=3, signing_key=key, check_mode=True)
        result = verify(old, parts=3, signing_key=key)
        assert result["part"] == predicted["part"] == (number - 1) % 3 + 1 and result["changed"] and predicted["changed"]
        coverage = next(one for one in result["checks"] if one["id"] == "repository.coverage")
        assert coverage["verdict"] == ("pass" if number >= 3 else "unproven")
        total += result["objects"] if number <= 3 else 0
    assert total == verify(old)["objects"]
    said = decisions.verifications(old.journal().entries)
    assert [one.part for one in said] == [1, 2, 3, 1] and all(one.failed == () for one in said)
    assert verify(old, parts=3, part=2)["part"] == 2


@pytest.mark.mutation
def test_a_set_that_failed_stops_a_prune_until_it_was_found_right(old: OldRepository) -> None:
    key, path = str(old.keys / "drill"), old.path(layout.dump_key(old.made[-1], "caracal"))
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert verify(old, signing_key=key)["failed_sets"] == [old.made[-1]]
    stopped = old.prune(check_mode=True)
    assert stopped["failed"] and "failed a verification" in stopped["msg"]
    path.write_bytes(data)
    assert old.prune(check_mode=True)["failed"], "nobody has looked again"
    verify(old, signing_key=key)
    assert old.prune()["changed"]


def test_what_nothing_names_is_told(old: OldRepository) -> None:
    now = datetime.datetime.now(datetime.timezone.utc)
    killed, running = (layout.new_set_id(now - hours * HOUR, b"x" * 5) for hours in (9, 1))
    for set_id in (killed, running):
        old.store.put(layout.dump_key(set_id, "caracal"), b"x")
    parts.write(old.store, running, "postgres", {})
    result = verify(old)
    (orphans,) = [one for one in result["checks"] if one["id"] == "repository.orphans"]
    assert result["verdict"] == "pass" and orphans["verdict"] == "warn"
    assert orphans["details"]["paths"] == [layout.dump_key(killed, "caracal")]


@pytest.mark.no_false_alarm
def test_what_proved_the_lock_of_a_bucket_is_no_orphan(old: OldRepository) -> None:
    old.store.put(f"{s3_prepare.CANARIES}/2026/a", b"")
    (orphans,) = [one for one in old.call("repository_verify", "drill")["checks"] if one["id"] == "repository.orphans"]
    assert orphans["verdict"] == "pass"


def test_an_empty_repository_is_unproven(role_keys: Path, tmp_path: Path) -> None:
    result = verify(OldRepository(tmp_path, role_keys, 1))
    assert result["failed"] and result["verdict"] == "unproven"
    assert {"set.objects", "repository.decryptable"} <= {one["id"] for one in result["checks"] if one["verdict"] == "unproven"}


def test_what_cannot_be_meant_is_refused(old: OldRepository) -> None:
    old.see("drill")

    def refused(kind: t.Any, words: str, **own: t.Any) -> None:
        old.refused(kind, words, call=lambda check_mode: verify(old, check_mode=check_mode, **own))

    for own in ({"parts": 0}, {"parts": 3, "part": 4}, {"parts": 3, "part": 0}):
        refused(OptionError, "there is not", **own)
    refused(OptionError, "nobody would remember", parts=3)
    refused(KeyProblem, "drill@prod", signing_key=str(old.keys / "backup"))


def test_verifications_of_one_part_answer_for_that_part() -> None:
    def said(part: int, count: int, *wrong: str) -> t.Any:
        body = decisions.Verification(count, part, 1, wrong).to_body()
        now = datetime.datetime.now(datetime.timezone.utc)
        return entries.Entry(1, "", None, entries.VERIFICATION, {"repository.json": ""}, {}, "drill@prod", "m", body, now)

    history = [said(1, 2, "a", "b"), said(2, 2, "a")]
    assert decisions.failed(history) == {"a", "b"}
    assert decisions.failed([*history, said(1, 2)]) == {"a"}
    assert decisions.failed([*history, said(1, 1, "b")]) == {"b"}
    assert decisions.failed([*history, said(2, 2), said(1, 2)]) == set()
