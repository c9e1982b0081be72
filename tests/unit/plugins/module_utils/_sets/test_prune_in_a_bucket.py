# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A prune in a bucket with Object Lock.

Pruned objects are gone with all versions, locked objects stay, and the repository can be copied from the bucket.
"""

from __future__ import annotations

import datetime
import uuid
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import PermissionMissing, VerificationFailed
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import BucketOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.decisions import Prune
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.schemes import open_store
from scenes import s3_policies
from scenes.old_repository import HOUR, OldRepository
from scenes.s3_server import PRUNE, S3Server


def in_a_bucket(
    s3: S3Server, folder: Path, keys: Path, bucket: str | None = None, nights: int = 4, **reach: object
) -> tuple[OldRepository, str]:
    """Return nightly sets and their prefix in the bucket. The last set passed a drill."""
    prefix = uuid.uuid4().hex
    old = OldRepository(folder, keys, 24 * nights + 1, f"s3://{bucket or s3.shared}/{prefix}", s3.options(**reach))
    for _night in range(nights):
        old.add()
    old.drill(old.made[-1])
    return old, prefix


def versions(s3: S3Server, prefix: str, bucket: str | None = None) -> list[str]:
    """Return the keys of all versions and delete markers."""
    pages = s3.client.get_paginator("list_object_versions").paginate(Bucket=bucket or s3.shared, Prefix=f"{prefix}/")
    found = [one["Key"] for page in pages for one in (*page.get("Versions", []), *page.get("DeleteMarkers", []))]
    return sorted(key.removeprefix(f"{prefix}/") for key in found)


def test_pruned_objects_are_gone_with_all_versions(s3: S3Server, role_keys: Path, tmp_path: Path) -> None:
    old, prefix = in_a_bucket(s3, tmp_path, role_keys)
    killed = layout.new_set_id(datetime.datetime.now(datetime.timezone.utc) - 72 * HOUR, b"killd")
    garbage = [layout.manifest_key(killed), layout.dump_key(killed, "caracal"), layout.drill_report_key(killed)]
    for key in garbage:
        old.store.put(key, b"x")
    before = versions(s3, prefix)
    done = old.prune(keep_last=1)
    assert done["pruned"] == old.made[:1] and sorted(done["garbage"]) == sorted(garbage), done["sets"]
    after = versions(s3, prefix)
    gone = set(before) - set(after)
    assert gone >= {*garbage, layout.dump_key(old.made[0], "caracal")} and len(gone) == done["objects"] + len(garbage)
    assert len(after) == len(set(after)), "no delete marker is left"
    assert not old.prune(keep_last=1)["changed"]
    copy = str(tmp_path / "copy")
    assert old.call("repository_copy", "operator", destination=copy)["copied"] == len(after)
    for location in (old.store.location, copy):
        result = old.call("repository_verify", "drill", repository=location, signing_key=None)
        assert result["verdict"] == "pass", result["checks"]


def test_locked_sets_are_retained(s3: S3Server, role_keys: Path, tmp_path: Path) -> None:
    old, prefix = in_a_bucket(
        s3, tmp_path, role_keys, lock_mode="GOVERNANCE", lock_days={"sets": 1, "objects": 0, "secrets": 0, "journal": 1}
    )
    before = versions(s3, prefix)
    done = old.prune(keep_last=1)
    what = {one["set_id"]: one for one in done["sets"]}[old.made[0]]
    assert what["decision"] == "retained" and what["reasons"][0].startswith("locked until")
    assert not done["changed"] and "failed" not in done and versions(s3, prefix) == before


def test_the_policy_of_the_guide_is_enough_to_prune_and_too_little_for_the_journal(s3: S3Server, role_keys: Path, tmp_path: Path) -> None:
    bucket = s3.bucket()
    old, prefix = in_a_bucket(s3, tmp_path, role_keys, bucket)
    s3_policies.enforce(s3, bucket, prefix)
    old.see("prune")
    before = versions(s3, prefix, bucket)
    (first,) = old.prune(seen=False, keep_last=1, s3_profile=PRUNE)["pruned"]
    assert not [key for key in versions(s3, prefix, bucket) if first in key and key.endswith(".age") and "objects/audit" not in key]
    assert {key for key in before if key.startswith(("journal/", "repository"))} <= set(versions(s3, prefix, bucket))
    reached = open_store(old.store.location, BucketOptions(**s3.options(PRUNE)))
    for key in (layout.entry_key(1), layout.REPOSITORY):
        with pytest.raises(PermissionMissing):
            reached.purge(key)
    with pytest.raises(PermissionMissing):
        reached.put(layout.dump_key(first, "caracal"), b"back again")


@pytest.mark.mutation
@pytest.mark.parametrize("days", [3653, -1])
def test_a_clock_that_differs_from_the_stores_prunes_nothing_and_renews_no_lock(
    s3: S3Server, role_keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    old, prefix = in_a_bucket(s3, tmp_path, role_keys)
    old.see("prune")
    before, real = versions(s3, prefix), access.now
    monkeypatch.setattr(access, "now", lambda: real() + datetime.timedelta(days=days))
    for check_mode in (True, False):
        with pytest.raises(VerificationFailed, match=r"s3://.*synchronize the wrong clock") as raised:
            old.prune(check_mode=check_mode, seen=False)
        assert "\n" not in raised.value.msg
    assert versions(s3, prefix) == before


def hide(old: OldRepository, s3: S3Server, set_id: str, *, junk: bool) -> None:
    """Act like a login that may only add delete markers, on a set whose locks have expired."""
    for one in old.manifest_of(set_id).artifacts:
        if one.path.endswith(".age") and "objects/" not in one.path:
            s3.client.delete_object(**old.store.bucket.named(one.path))  # type: ignore[attr-defined]
            if junk:
                s3.client.put_object(**old.store.bucket.named(one.path), Body=b"junk")  # type: ignore[attr-defined]


@pytest.mark.mutation
@pytest.mark.parametrize("junk", [False, True])
def test_set_hidden_by_delete_markers_is_not_pruned(s3: S3Server, role_keys: Path, tmp_path: Path, junk: bool) -> None:
    """The set can be restored, and only a prune could destroy it permanently."""
    old, prefix = in_a_bucket(s3, tmp_path, role_keys)
    old.see("prune")
    hide(old, s3, old.made[0], junk=junk)
    before = versions(s3, prefix)
    done = old.prune(keep_daily=10)
    assert not done["pruned"] and set(before) <= set(versions(s3, prefix)), done["sets"]


@pytest.mark.mutation
@pytest.mark.parametrize("junk", [False, True])
def test_an_entry_and_delete_markers_end_no_set(s3: S3Server, role_keys: Path, tmp_path: Path, junk: bool) -> None:
    """Written with a stolen prune key. The objects are locked, so no data is lost."""
    old, _prefix = in_a_bucket(s3, tmp_path, role_keys, nights=2)
    victim = old.made[0]
    subjects = [entries.subject(layout.manifest_key(victim), old.catalog().get(victim).manifest_sha256)]
    old.append(entries.PRUNE, "prune", subjects=subjects, body=Prune({victim: "x"}, (), 0).to_body())
    hide(old, s3, victim, junk=junk)
    assert old.sets() == old.made
