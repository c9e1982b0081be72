# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Holds enforced by a bucket.

They are on before the journal entry exists and off after the release entry. Objects that another held set needs stay
held.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupError,
    ObjectMissing,
    PermissionMissing,
    StorageError,
    TamperedData,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import BucketOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import decisions, layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.retention.facts import Refusal
from ansible_collections.caracal_ops.backup.plugins.module_utils._sets import set_holds
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.schemes import open_store
from scenes import s3_policies
from scenes.fault_proxy import Answer, FaultProxy
from scenes.old_repository import OldRepository
from scenes.s3_server import DRILL, OPERATOR, PRUNE, S3Server
from scenes.scene import Result
from unit.plugins.module_utils._sets.test_prune_in_a_bucket import in_a_bucket

PUT = r"PUT .*{}\?legal-hold"


@pytest.fixture
def old(s3: S3Server, role_keys: Path, tmp_path: Path) -> OldRepository:
    """Return two sets, which share the first partition of the first set."""
    return in_a_bucket(s3, tmp_path, role_keys, nights=2)[0]


@pytest.fixture
def watched(s3: S3Server, s3_proxy: FaultProxy, role_keys: Path, tmp_path: Path) -> OldRepository:
    """Return the same sets behind the proxy."""
    return in_a_bucket(s3, tmp_path, role_keys, nights=2, s3_endpoint=s3_proxy.endpoint)[0]


def hold(old: OldRepository, number: int = 0, **own: t.Any) -> Result:
    return old.call("backup_hold", "operator", **{"set_id": old.made[number], "hold": "case-1", "reason": "evidence", **own})


def release(old: OldRepository, number: int = 0, **own: t.Any) -> Result:
    return hold(old, number, state="absent", reason="closed", **own)


def verify(old: OldRepository, **own: t.Any) -> Result:
    return old.call("repository_verify", "drill", **{"signing_key": None, "require_valid": False, **own})


def holds_check(result: Result) -> dict[str, t.Any]:
    (found,) = [one for one in result["checks"] if one["id"] == set_holds.HOLDS]
    return dict(found)


def objects(old: OldRepository, number: int = 0) -> set[str]:
    return set(set_holds.objects_of(old.manifest_of(old.made[number])))


def held(old: OldRepository) -> set[str]:
    """Return every object of the repository that the store holds."""
    keys = [one.key for one in old.store.list("")]
    return {key for key, is_held in zip(keys, old.store.overlapped(old.store.is_held, keys), strict=True) if is_held}


def in_the_journal(old: OldRepository) -> list[str]:
    return [decisions.hold(one).state for one in old.journal().of_kind(entries.HOLD)]


def test_objects_of_set_are_held_until_release(old: OldRepository) -> None:
    predicted = hold(old, check_mode=True)
    assert held(old) == set() and in_the_journal(old) == []
    done = hold(old)
    assert {**done, "journal_head": ""} == {**predicted, "journal_head": ""}
    assert done["changed"] and done["enforced"] and held(old) == objects(old) and done["objects"] == len(objects(old))
    own = layout.set_folder(old.made[0])
    assert {f"{own}/manifest.json", f"{own}/RECOVERY.md", f"{own}/signatures/backup.sig", layout.blocks_key(old.made[0])} <= held(old)
    assert any(key.startswith("objects/audit/") for key in held(old)) and any(key.startswith("objects/secrets/") for key in held(old))
    assert done["diff"]["after"].splitlines()[1:] == [f"{key} held by the store" for key in sorted(objects(old))]
    again = hold(old)
    assert not again["changed"] and again["objects"] == 0 and again["enforced"] and in_the_journal(old) == ["held"]
    ended = release(old, check_mode=True)
    assert held(old) == objects(old) and ended["objects"] == len(objects(old))
    assert {**release(old), "journal_head": ""} == {**ended, "journal_head": ""}
    assert held(old) == set() and in_the_journal(old) == ["held", "released"]
    assert not release(old)["changed"]


def test_objects_shared_with_another_held_set_stay_held(old: OldRepository) -> None:
    shared = objects(old, 0) & objects(old, 1)
    assert shared
    hold(old, 0)
    assert hold(old, 1, hold="case-2")["objects"] == len(objects(old, 1) - shared)
    assert release(old, 0)["objects"] == len(objects(old, 0) - shared) and held(old) == objects(old, 1)
    assert verify(old)["verdict"] == "pass"
    release(old, 1, hold="case-2")
    assert held(old) == set()


def test_a_set_stays_held_until_its_last_hold_ends(old: OldRepository) -> None:
    hold(old)
    assert hold(old, hold="case-2")["objects"] == 0
    first = release(old)
    assert first["changed"] and first["objects"] == 0 and held(old) == objects(old)
    assert release(old, hold="case-2")["objects"] == len(objects(old)) and held(old) == set()


def test_a_name_that_the_journal_does_not_know_releases_nothing(old: OldRepository) -> None:
    by_hand = layout.dump_key(old.made[1], "caracal")
    old.store.hold(by_hand, True)
    for number in (0, 1):
        for check_mode in (True, False):
            assert not release(old, number, check_mode=check_mode)["changed"]
    hold(old, 1)
    assert release(old, 1, hold="case-2")["objects"] == 0 and by_hand in held(old)


@pytest.mark.story("locked bucket")
@pytest.mark.mutation
def test_the_prune_identity_cannot_destroy_what_is_held_and_no_lock_is_left(s3: S3Server, role_keys: Path, tmp_path: Path) -> None:
    """Each identity has only the rights that the guide grants."""
    bucket = s3.bucket()
    old, prefix = in_a_bucket(s3, tmp_path, role_keys, bucket)
    s3_policies.enforce(s3, bucket, prefix)
    hold(old, s3_profile=OPERATOR)
    intruder = open_store(old.store.location, BucketOptions(**s3.options(PRUNE)))
    for key in objects(old):
        assert intruder.locked_until(key) is None
        with pytest.raises(PermissionMissing):
            intruder.purge(key)
        assert old.store.stat(key)
    assert verify(old, s3_profile=DRILL)["verdict"] == "pass"
    old.see("prune")
    assert old.made[0] not in old.prune(seen=False, keep_last=1, s3_profile=PRUNE)["pruned"]
    release(old, s3_profile=OPERATOR)
    assert old.prune(seen=False, keep_last=1, s3_profile=PRUNE)["pruned"] == old.made[:1]
    assert verify(old, s3_profile=DRILL)["verdict"] == "pass"


@pytest.mark.mutation
def test_hold_without_permission_names_it_and_adds_no_entry(s3: S3Server, role_keys: Path, tmp_path: Path) -> None:
    bucket = s3.bucket()
    old, prefix = in_a_bucket(s3, tmp_path, role_keys, bucket, nights=2)
    hold(old, 1)
    s3_policies.enforce(s3, bucket, prefix)
    with pytest.raises(PermissionMissing, match=r"s3:PutObjectLegalHold is not allowed; give the operator's identity") as raised:
        hold(old, s3_profile=DRILL)
    assert f"0 of {len(objects(old, 0) - objects(old, 1))} legal holds are changed" in raised.value.msg and "\n" not in raised.value.msg
    assert in_the_journal(old) == ["held"] and held(old) == objects(old, 1)


@pytest.mark.mutation
def test_a_run_that_breaks_in_the_middle_is_completed_by_the_same_call(watched: OldRepository, s3_proxy: FaultProxy) -> None:
    old, broken = watched, layout.inventory_key(watched.made[0])
    for state, call in (("held", hold), ("released", release)):
        s3_proxy.add(PUT.format(broken), status=403, code="AccessDenied")
        before, recorded = held(old), in_the_journal(old)
        with pytest.raises(PermissionMissing, match=f"{broken}: .*run this again to change the rest"):
            call(old)
        s3_proxy.faults.clear()
        # At any time too many objects are held rather than too few.
        assert in_the_journal(old) == (recorded if state == "held" else [*recorded, state])
        assert held(old) != before and (broken in held(old)) == (state == "released")
        predicted = call(old, check_mode=True)
        again = call(old)
        assert again["changed"] and predicted["objects"] == again["objects"] > 0
        assert held(old) == (objects(old) if state == "held" else set()) and in_the_journal(old) == [*recorded, state]
        assert not call(old)["changed"]


@pytest.mark.mutation
def test_concurrent_hold_and_release_match_journal(watched: OldRepository, s3_proxy: FaultProxy) -> None:
    """A set is held while another set that shares an object is released, and the reverse, at every point of the run."""
    old, (leaf,) = watched, [key for key in objects(watched, 0) & objects(watched, 1) if key.startswith("objects/audit/")]

    def meanwhile(call: t.Callable[[], Result]) -> t.Callable[[Answer], Answer]:
        def act(answer: Answer) -> Answer:
            call()
            return answer

        return act

    other = str(old.mark("backup"))
    for request in (rf"GET .*{leaf}\?legal-hold", PUT.format(leaf), r"PUT .*journal/.*json"):
        hold(old, 0)
        fault = s3_proxy.add(request, times=1, change=meanwhile(lambda: hold(old, 1, high_water_mark=other)))
        release(old, 0)
        assert fault.hits == 1 and held(old) == objects(old, 1), request
        release(old, 1)
    # A held partition is not held again, so the second point does not occur.
    for request in (rf"GET .*{leaf}\?legal-hold", r"PUT .*journal/.*json"):
        hold(old, 0)
        fault = s3_proxy.add(request, times=1, change=meanwhile(lambda: release(old, 0, high_water_mark=other)))
        hold(old, 1)
        assert fault.hits == 1 and held(old) == objects(old, 1), request
        release(old, 1)
    assert held(old) == set()


def test_missing_object_does_not_prevent_hold_of_others(old: OldRepository) -> None:
    gone = layout.inventory_key(old.made[0])
    old.store.purge(gone)
    assert hold(old)["objects"] == len(objects(old)) - 1 and held(old) == objects(old) - {gone}
    result = verify(old)
    assert {one["id"] for one in result["checks"] if one["verdict"] == "fail"} == {"set.objects", "repository.decryptable"}
    assert holds_check(result)["verdict"] == "pass"
    release(old)
    assert held(old) == set()


@pytest.mark.mutation
def test_set_with_altered_manifest_is_not_held(old: OldRepository) -> None:
    hold(old, 1)
    key = layout.manifest_key(old.made[0])
    old.store.purge(key)
    old.store.put(key, b"{}")
    recorded = in_the_journal(old)
    with pytest.raises(TamperedData):
        hold(old, 0)
    assert in_the_journal(old) == recorded and held(old) == objects(old, 1)


# ---- the effect on other modules


def test_prune_retains_objects_held_by_store_and_reports_reason(s3: S3Server, role_keys: Path, tmp_path: Path) -> None:
    old, _prefix = in_a_bucket(s3, tmp_path, role_keys)
    first, second = old.made[:2]
    by_hand = [layout.dump_key(first, "caracal"), *(key for key in objects(old, 1) if key.startswith("objects/secrets/"))]
    for key in by_hand:
        old.store.hold(key, True)
    predicted = old.prune(check_mode=True, keep_last=1, grace=1.0)
    done = old.prune(keep_last=1, grace=1.0)
    assert {**done, "journal_head": ""} == {**predicted, "journal_head": ""}
    what = {one["set_id"]: one for one in done["sets"]}
    assert what[first]["decision"] == "retained" and what[first]["reasons"] == [Refusal().reason]
    assert what[second]["decision"] == "pruned"
    assert done["retained"] == [{"key": by_hand[1], "until": None, "reason": Refusal().reason}]
    assert "failed" not in done and all(old.store.stat(key) for key in by_hand)
    again = old.prune(keep_last=1, grace=1.0)
    assert not again["changed"] and again["retained"] == done["retained"]
    for key in by_hand:
        old.store.hold(key, False)
    later = old.prune(keep_last=1, grace=1.0)
    assert later["pruned"] == [first] and not any(old.store.stat(key) for key in by_hand)


@pytest.mark.mutation
def test_a_hold_that_was_taken_off_behind_our_back_is_found_and_put_on_again(old: OldRepository) -> None:
    assert holds_check(verify(old))["verdict"] == "not_applicable"
    hold(old, 0)
    hold(old, 1)
    assert holds_check(verify(old))["verdict"] == "pass"
    for key in sorted(objects(old, 0)):
        old.store.hold(key, False)
        result = verify(old)
        found = holds_check(result)
        assert result["verdict"] == "fail" and found["verdict"] == "fail" and result["failed_sets"] == [], key
        users = [old.made[number] for number in (0, 1) if key in objects(old, number)]
        assert found["details"] == {"sets": users, "paths": [key]} and key in found["message"]
        assert found["message"].endswith(f"run backup_hold again for set {old.made[0]}")
        again = hold(old, 0)
        assert again["changed"] and again["objects"] == 1 and old.store.is_held(key)
    assert verify(old)["verdict"] == "pass" and in_the_journal(old) == ["held", "held"]


@pytest.mark.no_false_alarm
def test_a_hold_of_before_gets_its_legal_holds_from_the_same_call(old: OldRepository) -> None:
    """An earlier version without legal holds entered the hold."""
    record = old.catalog().get(old.made[0])
    subjects = [entries.subject(layout.manifest_key(record.set_id), record.manifest_sha256)]
    old.append(entries.HOLD, "operator", subjects=subjects, body=decisions.Hold(record.set_id, "case-1", "held", "old").to_body())
    assert holds_check(verify(old))["verdict"] == "fail"
    assert hold(old)["changed"] and in_the_journal(old) == ["held"] and verify(old)["verdict"] == "pass"


@pytest.mark.mutation
def test_holds_that_cannot_be_checked_are_unproven(watched: OldRepository, s3_proxy: FaultProxy) -> None:
    hold(watched)
    s3_proxy.add("GET .*legal-hold", status=403, code="AccessDenied")
    result = verify(watched)
    assert result["verdict"] == "unproven" and "GetObjectLegalHold is not allowed" in holds_check(result)["message"]
    s3_proxy.faults.clear()
    key = layout.manifest_key(watched.made[0])
    watched.store.hold(key, False)
    watched.store.purge(key)
    assert holds_check(verify(watched))["verdict"] == "unproven"


def test_a_bucket_without_object_lock_has_the_entry_alone(s3: S3Server, role_keys: Path, tmp_path: Path) -> None:
    old, _prefix = in_a_bucket(s3, tmp_path, role_keys, s3.bucket(lock=False), nights=2)
    done = hold(old)
    assert done["changed"] and not done["enforced"] and done["objects"] == 0 and in_the_journal(old) == ["held"]
    assert holds_check(verify(old))["verdict"] == "not_applicable"
    with pytest.raises(StorageError, match="has no Object Lock"):
        hold(old, 1, lock_mode="GOVERNANCE")
    assert in_the_journal(old) == ["held"]


def test_a_copy_that_has_the_entry_gets_legal_holds_and_no_entry_of_its_own(s3: S3Server, old: OldRepository) -> None:
    hold(old)
    copy = f"{old.store.location}-copy"
    old.call("repository_copy", "operator", destination=copy)
    done = hold(old, repository=copy)
    assert done["changed"] and done["objects"] == len(objects(old)) and done["journal_head"] == str(old.journal().head)
    assert all(open_store(copy, BucketOptions(**s3.options())).is_held(key) for key in objects(old))


def test_remaining_holds_of_set_pruned_meanwhile_can_be_released(
    s3: S3Server, role_keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prune without the right to see holds runs between the legal holds and the entry."""
    old, _prefix = in_a_bucket(s3, tmp_path, role_keys)
    real, first = set_holds.settle, old.made[0]

    def slow(*given: t.Any, **more: t.Any) -> set_holds.Changed:
        monkeypatch.undo()
        found = real(*given, **more)
        body = decisions.Prune({first: "no rule keeps it"}, (), 0).to_body()
        old.append(entries.PRUNE, "prune", subjects=[entries.subject(layout.manifest_key(first), digest)], body=body)
        return found

    digest = old.catalog().get(first).manifest_sha256
    monkeypatch.setattr(set_holds, "settle", slow)
    with pytest.raises(ObjectMissing, match="was pruned, see entry"):
        hold(old)
    assert held(old) == objects(old)
    with pytest.raises(BackupError, match="was pruned"):
        hold(old)
    done = release(old)
    assert done["changed"] and held(old) == set() and not release(old)["changed"]
    assert old.prune()["changed"] and verify(old)["verdict"] == "pass"
