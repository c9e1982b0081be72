# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Locks over time: locks of secrets are renewed while a set needs them, and a lock that is too short is found."""

from __future__ import annotations

import datetime
import typing as t
import uuid
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.fields import timestamp
from ansible_collections.caracal_ops.backup.plugins.module_utils._sets import lease
from scenes import s3_policies
from scenes.old_repository import OldRepository
from scenes.s3_server import PRUNE, S3Server

DAYS = {"sets": 1, "objects": 1, "secrets": 1, "journal": 1, "drills": 1}
LONG = {**DAYS, "secrets": 10}


def locked(s3: S3Server, folder: Path, keys: Path, bucket: str | None = None, drilled: int = -1) -> tuple[OldRepository, str]:
    """Return four sets of the last hours, locked for a day, and their prefix in the bucket. One of them passed a drill."""
    prefix = uuid.uuid4().hex
    old = OldRepository(folder, keys, 5, f"s3://{bucket or s3.shared}/{prefix}", s3.options(lock_mode="GOVERNANCE", lock_days=DAYS))
    for _hour in range(4):
        old.add(1)
    old.drill(old.made[drilled])
    return old, prefix


def secrets_of(old: OldRepository, sets: t.Iterable[str]) -> list[str]:
    return [layout.secrets_key("0" * 16, set_id) for set_id in sets]


def left(old: OldRepository, key: str) -> datetime.timedelta:
    until = old.store.locked_until(key)
    assert until is not None
    return until - datetime.datetime.now(datetime.timezone.utc)


def test_a_prune_renews_the_locks_of_secrets_that_are_needed(s3: S3Server, role_keys: Path, tmp_path: Path) -> None:
    old, _prefix = locked(s3, tmp_path, role_keys)
    needed = secrets_of(old, old.made)
    predicted = old.prune(keep_last=4, lock_days=LONG, check_mode=True)
    assert predicted["changed"] and predicted["renewed"] == sorted(needed) and left(old, needed[0]) < datetime.timedelta(days=1)
    done = old.prune(keep_last=4, lock_days=LONG)
    assert done["changed"] and done["renewed"] == sorted(needed) and not done["pruned"]
    assert f"lock renewed: {needed[0]}\n" in done["diff"]["after"]
    assert all(left(old, key) > datetime.timedelta(days=9) for key in needed)
    assert left(old, layout.dump_key(old.made[0], "caracal")) < datetime.timedelta(days=1), "nothing else is locked for longer"
    again = old.prune(keep_last=4, lock_days=LONG)
    assert not again["changed"] and again["renewed"] == []


def test_locks_are_renewed_also_when_nothing_may_be_pruned(s3: S3Server, role_keys: Path, tmp_path: Path) -> None:
    old, _prefix = locked(s3, tmp_path, role_keys, drilled=0)
    done = old.prune(keep_last=1, max_sets_per_day=1, lock_days=LONG)
    assert done["failed"] and done["renewed"] == sorted(secrets_of(old, old.made))
    assert left(old, done["renewed"][0]) > datetime.timedelta(days=9)


def test_a_lock_of_which_half_is_left_is_not_renewed(s3: S3Server, role_keys: Path, tmp_path: Path) -> None:
    old, _prefix = locked(s3, tmp_path, role_keys)
    now = datetime.datetime.now(datetime.timezone.utc)
    key = secrets_of(old, old.made)[0]
    assert lease.due(old.store, [key], now) == []
    assert lease.due(old.store, [key], now + datetime.timedelta(hours=13)) == [key]
    assert lease.due(old.store, [layout.secrets_key("1" * 16, old.made[0])], now) == [], "what is missing cannot be renewed"


def test_the_policy_of_the_guide_lets_a_prune_renew_secrets_and_no_more(s3: S3Server, role_keys: Path, tmp_path: Path) -> None:
    bucket = s3.bucket()
    old, prefix = locked(s3, tmp_path, role_keys, bucket)
    s3_policies.enforce(s3, bucket, prefix)
    old.see("prune")
    done = old.prune(seen=False, keep_last=4, lock_days=LONG, s3_profile=PRUNE)
    assert done["renewed"] == sorted(secrets_of(old, old.made))


def verdict(old: OldRepository, **options: t.Any) -> dict[str, t.Any]:
    result = old.call("repository_verify", "drill", signing_key=None, require_valid=False, **options)
    (check,) = [one for one in result["checks"] if one["id"] == "repository.locks"]
    return t.cast("dict[str, t.Any]", check)


@pytest.mark.no_false_alarm
def test_locks_as_asked_pass(s3: S3Server, role_keys: Path, tmp_path: Path) -> None:
    old, _prefix = locked(s3, tmp_path, role_keys)
    found = verdict(old)
    assert found["verdict"] == "pass" and found["details"]["locked"] > 20, found


def test_without_lock_mode_nothing_is_expected(s3: S3Server, role_keys: Path, tmp_path: Path) -> None:
    old, _prefix = locked(s3, tmp_path, role_keys)
    assert verdict(old, lock_mode="none")["verdict"] == "not_applicable"


@pytest.mark.mutation
@pytest.mark.parametrize("what", ["dump", "secrets", "manifest", "journal", "drill"])
def test_a_lock_that_was_shortened_is_found(s3: S3Server, role_keys: Path, tmp_path: Path, what: str) -> None:
    old, prefix = locked(s3, tmp_path, role_keys)
    key = {
        "dump": layout.dump_key(old.made[1], "caracal"),
        "secrets": secrets_of(old, old.made)[1],
        "manifest": layout.manifest_key(old.made[1]),
        "journal": layout.entry_key(3),
        "drill": next(one.key for one in old.store.list(layout.DRILLS)),
    }[what]
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=30)
    s3.client.put_object_retention(
        Bucket=s3.shared,
        Key=f"{prefix}/{key}",
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": soon},
        BypassGovernanceRetention=True,
    )
    found = verdict(old)
    assert found["verdict"] == "fail" and [one["path"] for one in found["details"]["objects"]] == [key], found


@pytest.mark.mutation
def test_a_lock_that_is_less_strict_than_asked_is_found(s3: S3Server, role_keys: Path, tmp_path: Path) -> None:
    old, _prefix = locked(s3, tmp_path, role_keys)
    found = verdict(old, lock_mode="COMPLIANCE")
    assert found["verdict"] == "fail" and "GOVERNANCE" in found["message"], found


@pytest.mark.mutation
def test_needed_secrets_without_current_lock_are_found(s3: S3Server, role_keys: Path, tmp_path: Path) -> None:
    prefix = uuid.uuid4().hex
    reach = s3.options(lock_mode="GOVERNANCE", lock_days={**DAYS, "secrets": 0})
    old = OldRepository(tmp_path, role_keys, 97, f"s3://{s3.shared}/{prefix}", reach)
    old.add()
    old.add()
    found = verdict(old, lock_days={"sets": 0, "objects": 0, "secrets": 1, "journal": 0, "drills": 0})
    assert found["verdict"] == "fail", found
    assert [one["path"] for one in found["details"]["objects"]] == secrets_of(old, old.made), "the sets are older than a day, and need them"


def test_set_list_shows_end_of_store_lock(s3: S3Server, role_keys: Path, tmp_path: Path) -> None:
    old, _prefix = locked(s3, tmp_path, role_keys)
    listed = old.call("backup_set_info", "drill")
    until = old.store.locked_until(layout.manifest_key(old.made[0]))
    assert until is not None and listed["sets"][0]["locked_until"] == timestamp(until)
    assert all(until.date().isoformat() in line for line in listed["lines"][2:])
