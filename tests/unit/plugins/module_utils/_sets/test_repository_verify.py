# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem, OptionError
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import decisions, layout, parts
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage import s3_prepare
from scenes.old_repository import HOUR, OldRepository
from scenes.scene import Result, tree


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
                *("journal.chain", "journal.freshness", "repository.manifests", "set.objects", "repository.evidence", "blocks.history"),
                *("repository.decryptable", "repository.orphans", "repository.coverage"),
                *("repository.reports", "journal.signatures"),
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
        # A signature is reported by the name of the file that it signs.
        manifest = one.key.replace("signatures/backup.sig", "manifest.json")
        assert result["failed"] and manifest in str(result["checks"]), one.key
        users = {name for name in old.sets() if one.key in {artifact.path for artifact in old.manifest_of(name).artifacts}}
        own = {name for name in old.sets() if one.key.startswith(f"{layout.set_folder(name)}/")}
        assert set(result["failed_sets"]) == users | own, one.key
    assert verify(old)["verdict"] == "pass"


@pytest.mark.mutation
def test_missing_object_or_manifest_is_found_in_partial_verification(old: OldRepository) -> None:
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
    parts = decisions.verifications(old.journal().entries)
    assert [one.part for one in parts] == [1, 2, 3, 1] and all(one.failed == () for one in parts)
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


def test_unreferenced_object_is_reported(old: OldRepository) -> None:
    now = datetime.datetime.now(datetime.timezone.utc)
    killed, running = (layout.new_set_id(now - hours * HOUR, b"x" * 5) for hours in (9, 1))
    for set_id in (killed, running):
        old.store.put(layout.dump_key(set_id, "caracal"), b"x")
    parts.write(old.store, running, "postgres", {}, None)
    result = verify(old)
    (orphans,) = [one for one in result["checks"] if one["id"] == "repository.orphans"]
    assert result["verdict"] == "pass" and orphans["verdict"] == "warn"
    assert orphans["details"]["paths"] == [layout.dump_key(killed, "caracal")]


@pytest.mark.no_false_alarm
def test_canary_that_proves_bucket_lock_is_not_an_orphan(old: OldRepository) -> None:
    old.store.put(f"{s3_prepare.CANARIES}/2026/a", b"")
    (orphans,) = [one for one in old.call("repository_verify", "drill")["checks"] if one["id"] == "repository.orphans"]
    assert orphans["verdict"] == "pass"


# ---- signatures


def check_of(result: Result, check: str) -> tuple[str, str]:
    return next((one["verdict"], one["message"]) for one in result["checks"] if one["id"] == check)


def report_signature(old: OldRepository) -> str:
    return next(one.key for one in old.store.list("drills") if one.key.endswith("report.json.sig"))


@pytest.mark.mutation
def test_missing_or_invalid_report_signature_is_found(old: OldRepository) -> None:
    key = report_signature(old)
    path, report = old.path(key), old.path(key.removesuffix(".sig")).read_bytes()
    for content, words in (
        (None, "does not exist"),
        (b"x", "not a valid SSH signature"),
        (old.signer("drill").sign(report + b" ", layout.NAMESPACE_DRILL), "does not match its signature"),
        (old.signer("drill").sign(report, layout.NAMESPACE_JOURNAL), "is another kind of document"),
        (old.signer("backup").sign(report, layout.NAMESPACE_DRILL), "is not a key of drill@prod"),
        (old.signer("stranger", "drill@prod").sign(report, layout.NAMESPACE_DRILL), "is not in"),
    ):
        path.unlink() if content is None else path.write_bytes(content)
        result = verify(old)
        verdict, message = check_of(result, "repository.reports")
        assert result["failed"] and verdict == "fail" and words in message and key in message, message
        assert result["failed_sets"] == []


def plant(old: OldRepository, number: int, data: bytes, role: str = "backup", principal: str | None = None) -> str:
    key = layout.entry_signature_key(number, entries.sha256(data))
    old.store.put(key, old.signer(role, principal).sign(data, layout.NAMESPACE_JOURNAL))
    return key


@pytest.mark.mutation
def test_a_signature_beyond_the_end_of_the_journal_shows_that_it_was_rolled_back(old: OldRepository) -> None:
    key = plant(old, old.journal().head.sequence + 2, b"an entry that was there")
    verdict, message = check_of(verify(old), "journal.signatures")
    assert verdict == "fail" and key in message and "rolled back" in message


@pytest.mark.mutation
def test_a_copied_signature_shows_no_roll_back(old: OldRepository) -> None:
    """A user who may only create objects must not be able to make every verification fail."""
    first = old.journal().entries[0]
    signature = old.store.read(layout.entry_signature_key(1, first.sha256))
    key = layout.entry_signature_key(old.journal().head.sequence + 5, "0" * 64)
    old.store.put(key, signature)
    result = verify(old)
    verdict, message = check_of(result, "journal.signatures")
    assert result["verdict"] == "pass" and verdict == "warn" and key in message and "unknown keys" in message


@pytest.mark.mutation
@pytest.mark.parametrize("module", ["repository_verify", "backup_set_verify"])
def test_altered_last_entry_is_unproven_on_host_without_high_water_mark(old: OldRepository, module: str) -> None:
    """It is next to the signature of the original, so it is more than an unsigned object."""
    head = old.journal().head
    path = old.path(layout.entry_key(head.sequence))
    path.write_bytes(path.read_bytes().replace(b"prod", b"prob", 1))
    own = {"signing_key": None} if module == "repository_verify" else {"set_id": old.made[0]}
    result = old.call(module, "drill", require_valid=False, **own)
    assert result["verdict"] == "unproven"
    verdict, message = check_of(result, "journal.unsigned")
    assert verdict == "unproven" and layout.entry_signature_key(head.sequence, head.sha256) in message


@pytest.mark.mutation
def test_second_signature_by_known_signer_is_reported_as_fork(old: OldRepository) -> None:
    key = plant(old, 3, b"another third entry")
    verdict, message = check_of(verify(old), "journal.signatures")
    assert verdict == "warn" and key in message and "backup@prod" in message and "forked" in message


@pytest.mark.mutation
def test_signatures_by_unknown_keys_only_warn(old: OldRepository) -> None:
    old.store.put("journal/0000000099-0123456789abcdef.sig", b"junk")
    plant(old, 98, b"x", "stranger", "backup@prod")
    result = verify(old)
    verdict, message = check_of(result, "journal.signatures")
    assert result["verdict"] == "pass" and verdict == "warn" and "2 signatures" in message and "unknown keys" in message
    assert check_of(result, "repository.orphans")[0] == "pass"


@pytest.mark.no_false_alarm
def test_lost_race_for_entry_number_leaves_no_finding(old: OldRepository) -> None:
    mine = old.journal()
    body = decisions.Verification(1, 1, 0, ()).to_body()
    subjects = [entries.subject(layout.REPOSITORY, old.load().sha256)]
    for journal in (old.journal(), mine):
        old.append(entries.VERIFICATION, "drill", subjects=subjects, body=body, journal=journal)
        body = decisions.Verification(2, 1, 0, ()).to_body()
    assert len([one for one in old.store.list("journal") if one.key.endswith(".sig")]) == len(old.journal().entries) + 1
    assert check_of(verify(old), "journal.signatures")[0] == "pass"


def test_an_empty_repository_is_unproven(role_keys: Path, tmp_path: Path) -> None:
    result = verify(OldRepository(tmp_path, role_keys, 1))
    assert result["failed"] and result["verdict"] == "unproven"
    assert {"set.objects", "repository.decryptable"} <= {one["id"] for one in result["checks"] if one["verdict"] == "unproven"}


def test_invalid_options_are_refused(old: OldRepository) -> None:
    old.see("drill")

    def refused(kind: t.Any, words: str, **own: t.Any) -> None:
        old.refused(kind, words, call=lambda check_mode: verify(old, check_mode=check_mode, **own))

    refused(OptionError, "parts is 0", parts=0)
    for part in (0, 4):
        refused(OptionError, f"part {part} of 3 ", parts=3, part=part)
    refused(OptionError, "the journal does not record which", parts=3)
    refused(KeyProblem, "drill@prod", signing_key=str(old.keys / "backup"))


def test_verifications_of_one_part_answer_for_that_part() -> None:
    def verification(part: int, count: int, *wrong: str) -> t.Any:
        body = decisions.Verification(count, part, 1, wrong).to_body()
        now = datetime.datetime.now(datetime.timezone.utc)
        return entries.Entry(1, "", None, entries.VERIFICATION, {"repository.json": ""}, {}, "drill@prod", "m", body, now)

    history = [verification(1, 2, "a", "b"), verification(2, 2, "a")]
    assert decisions.failed(history) == {"a", "b"}
    assert decisions.failed([*history, verification(1, 2)]) == {"a"}
    assert decisions.failed([*history, verification(1, 1, "b")]) == {"b"}
    assert decisions.failed([*history, verification(2, 2), verification(1, 2)]) == set()
